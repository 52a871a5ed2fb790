"""What a guest of `xl` has on its host: its definition, its secret, our hotplug script, and its memory while it moves.

A definition is the file DIRECTORY/<domain>.cfg (see `xl_text`). It is put there by rename, after everything that it
needs, so that a domain whose file is there can be started.
"""

import shlex
from pathlib import Path
from typing import NamedTuple

from guests.domain import Kind
from guests.hypervisor import Outcome
from guests.xl_render import SCRIPT, render
from guests.xl_shell import Shell
from guests.xl_text import Definition
from storage.volumes import Chap

DEADLINE_S = 60.0
"""For a question, or a file: a busy host, and an ssh that has to be set up."""

TEMPLATE_BYTES_MAX = 1 << 16
TEMPLATES = Path(__file__).parent / "templates"


class XlSettings(NamedTuple):
    """How a host is reached (`xl_shell`), and where things are on it; `address`: where other hosts reach it by ssh."""

    name: str
    uri: str
    initiator: str
    address: str = ""
    templates: Path | None = None
    directory: str = "/etc/xen"
    save: str = "/var/lib/xen"
    net: str = "/sys/class/net"


class Files:
    """The files of one host. Paths are told as words for its shell."""

    def __init__(self, shell: Shell, settings: XlSettings) -> None:
        self._shell = shell
        self._settings = settings

    @property
    def heads(self) -> str:
        """A script that prints the first line of each definition."""
        return f"sed -s -n '1p' {shlex.quote(self._settings.directory)}/*.cfg 2>/dev/null\ntrue"

    def keep(self, definition: Definition, chap: Chap | None) -> None:
        """Write its file, its secret and the hotplug script; the file comes last, by rename."""
        path, text = self._template(definition.kind)
        config = render(path, text, definition).encode()
        script = (TEMPLATES / "xl" / SCRIPT).read_bytes()
        secret = f"{chap.user} {chap.secret}\n".encode() if chap else b""
        where = shlex.quote(self._settings.directory)
        secrets, target = self._secret(definition.iqn), self.cfg(definition.name)
        put = (
            f"umask 077; mkdir -p {where}/scripts {where}/twinboot && head -c {len(script)} > {where}/scripts/.{SCRIPT}"
        )
        put += f" && chmod 755 {where}/scripts/.{SCRIPT} && mv {where}/scripts/.{SCRIPT} {where}/scripts/{SCRIPT}"
        put += f" && head -c {len(secret)} > {secrets}" if chap else f" && rm -f {secrets}"
        put += f" && cat > {target}.new && mv {target}.new {target}"
        self._shell.ask(put, DEADLINE_S, script + secret + config)

    def forget(self, name: str, definition: Definition | None) -> None:
        """Remove what `keep` wrote, but for the hotplug script."""
        secret = self._secret(definition.iqn) if definition else ""
        self._shell.ask(f"rm -f {self.cfg(name)} {secret} {self.saved(name)}", DEADLINE_S)

    def chap(self, iqn: str) -> Chap | None:
        """What the host proves itself by to a target; None if nothing."""
        words = self._shell.run(f"cat {self._secret(iqn)} 2>/dev/null", DEADLINE_S).out.split()
        return Chap(words[0], words[1]) if len(words) == 2 else None

    def cfg(self, name: str) -> str:
        """Where a domain's definition is."""
        return shlex.quote(f"{self._settings.directory}/{name}.cfg")

    def saved(self, name: str) -> str:
        """Where a domain's memory is while it moves."""
        return shlex.quote(f"{self._settings.save}/{name}.twinboot-save")

    def _secret(self, iqn: str) -> str:
        return shlex.quote(f"{self._settings.directory}/twinboot/{iqn}")

    def _template(self, kind: Kind) -> tuple[str, str]:
        """The site's, or ours; one that cannot be read is an error and never silently ours."""
        for place in (self._settings.templates, TEMPLATES):
            path = place / "xl" / f"{kind.value}.cfg" if place else None
            try:
                if path and path.exists():
                    with path.open(encoding="utf-8") as file:
                        return str(path), file.read(TEMPLATE_BYTES_MAX)
            except (OSError, UnicodeDecodeError) as error:
                raise self._shell.error(Outcome.INVALID, f"template {path}: {error}: make it readable") from error
        raise self._shell.error(Outcome.INVALID, f"there is no template xl/{kind.value}.cfg")
