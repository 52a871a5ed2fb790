"""Running commands on a host of Xen: here, or by ssh as the user's own ssh is set up. Bounded in time.

    ssh://root@192.168.78.21        by ssh; nobody is asked anything, so keys must be in place
    ssh://root@hv1:2222?config=/etc/twinboot/ssh_config
    local:                          on this machine

A script is one word of sh, so it is quoted once for the way there. Its words are put in by `shlex.quote`.
"""

import subprocess
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from guests.hypervisor import HypervisorError, Outcome

CONNECT_S = 10
SSH_FAILED = 255
"""ssh(1): its own exit code when it could not get through."""

WORDS_CHARS_MAX = 400
SSH_OPTIONS = ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_S}")
SAYINGS = (
    ("invalid domain identifier", Outcome.NOT_FOUND, "look at `xl list` there"),
    ("Can't find hypervisor", Outcome.UNAVAILABLE, "boot the host into Xen"),
    ("cannot open libxc handle", Outcome.UNAVAILABLE, "boot the host into Xen"),
    ("xl: not found", Outcome.UNAVAILABLE, "install xen-utils there"),
    ("xl: command not found", Outcome.UNAVAILABLE, "install xen-utils there"),
    ("failed to free memory", Outcome.NO_MEMORY, "stop another guest, or use another host"),
    ("not enough memory", Outcome.NO_MEMORY, "stop another guest, or use another host"),
    ("Cannot allocate memory", Outcome.NO_MEMORY, "stop another guest, or use another host"),
    ("iSCSI:", Outcome.NO_DISK, "see that the volume is exported to this host (`domu-show`)"),
    ("block-twinboot", Outcome.NO_DISK, "see that iscsid runs there, and that the portal answers"),
    ("ould not find bridge", Outcome.NO_LINK, "make the bridge there"),
    ("already exists", Outcome.ALREADY, "look at `xl list` there"),
    ("Permission denied", Outcome.DENIED, "let the user be root there"),
)
"""What xl and our scripts say -> what it means, and what to do."""


class Done(NamedTuple):
    """What a script left."""

    code: int
    out: str
    words: str


class Shell:
    """The shell of one host."""

    def __init__(self, name: str, uri: str) -> None:
        self.name = name
        self._way = _way(name, uri)

    def argv(self, script: str, *, terminal: bool = False) -> list[str]:
        """The command line that runs a script there."""
        if not self._way:
            return ["sh", "-c", script]
        return [self._way[0], *(["-t"] if terminal else []), *self._way[1:], script]

    def run(self, script: str, deadline_s: float, stdin: bytes = b"") -> Done:
        """Run it; a code that is not 0 is the caller's to judge. UNAVAILABLE."""
        try:
            done = subprocess.run(self.argv(script), input=stdin, capture_output=True, timeout=deadline_s, check=False)
        except FileNotFoundError as error:
            raise self.error(Outcome.UNAVAILABLE, f"{error.filename} is not installed here") from error
        except subprocess.TimeoutExpired as error:
            text = f"no answer within {deadline_s:g} s: see whether the host is well"
            raise self.error(Outcome.UNAVAILABLE, text) from error
        words = done.stderr.decode(errors="replace")
        if self._way and done.returncode == SSH_FAILED:
            raise self.error(Outcome.UNAVAILABLE, f"ssh: {_line(words)}: see that `ssh` gets there without questions")
        return Done(done.returncode, done.stdout.decode(errors="replace"), words)

    def ask(self, script: str, deadline_s: float, stdin: bytes = b"") -> str:
        """Run it and return what it printed; its failure is HypervisorError."""
        done = self.run(script, deadline_s, stdin)
        if done.code:
            raise self.failed(done)
        return done.out

    def failed(self, done: Done, otherwise: Outcome = Outcome.FAILED) -> HypervisorError:
        """The port's error for a script's last words."""
        for saying, outcome, advice in SAYINGS:
            if saying.lower() in done.words.lower():
                return self.error(outcome, f"{_telling(done.words, saying)}: {advice}")
        return self.error(otherwise, _line(done.words) or f"exit code {done.code}")

    def error(self, outcome: Outcome, text: str) -> HypervisorError:
        """An error of this host."""
        return HypervisorError(outcome, f"{self.name}: {text}")


def _way(name: str, uri: str) -> Sequence[str]:
    """ssh's command line up to the script; empty for this machine."""
    if uri == "local:":
        return ()
    try:
        parts = urlsplit(uri)
        port, options = parts.port, parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError:
        parts, port, options = urlsplit(""), None, {}
    host = parts.hostname or ""
    plain = not host.startswith("-") and not (parts.username or "").startswith("-")
    if parts.scheme != "ssh" or not host or not plain or options.keys() - {"config"}:
        raise HypervisorError(
            Outcome.INVALID,
            f"{name}: {uri}: xl is reached at ssh://root@ADDRESS (?config=FILE for ssh's own), or local:",
        )
    config = ("-F", options["config"][-1]) if "config" in options else ()
    where = ("-p", str(port)) if port else ()
    return ("ssh", *config, *SSH_OPTIONS, *where, f"{parts.username}@{host}" if parts.username else host)


def _line(words: str) -> str:
    return " ".join(words.split())[:WORDS_CHARS_MAX]


def _telling(words: str, saying: str) -> str:
    """The line that says it, without what libxl puts before it."""
    line = next(line for line in words.splitlines() if saying.lower() in line.lower())
    return _line(line.rpartition("script: ")[2] if "script: " in line else line)
