"""Scenario of test_sun_commands: the session of docs/from-sun-commands.md, typed in a lab until its machine has booted.

Run by hand: `python tests/system/sun_commands.py RESULT.json` (root). The result holds each command with what it
printed and what the page says that it prints, and the journal's events.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from twinboot import journal
from twinboot.commands.lab import CACHE
from twinboot.lab import isolate, wires
from twinboot.lab.machine import Card, Machine, Spec

PAGE = Path(__file__).parents[2] / "docs" / "from-sun-commands.md"
SERVER, MAC = "install-odd", "00:14:4f:00:00:01"
ADDRESSES = {"fe": "192.168.76.25/24", "be": "192.168.78.14/24"}
READY_S, BOOT_S = 60.0, 420.0


class Step(NamedTuple):
    """A command of the page, here-document and all, and the lines that it prints there."""

    command: str
    says: str


def steps(page: str) -> Iterator[Step]:
    for block in re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^# ", block, flags=re.MULTILINE)[1:]:
            head, newline, rest = part.partition("\n")
            if head.endswith("<<'EOF'"):
                text, _, rest = rest.partition("EOF\n")
                yield Step(f"{head}{newline}{text}EOF", rest)
            else:
                yield Step(head, rest)


class Session:
    """The server's shell. The page's places are below a directory of the lab's own."""

    def __init__(self, place: Path) -> None:
        names = {"/srv/twinboot": "share", "/etc/twinboot": "etc", "/var/lib/twinboot": "state"}
        self._places = {shown: str(place / real) for shown, real in names.items()}
        self._journal = place / "state" / "journal.db"
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DHCPSVC_CONF": str(place / "etc" / "dhcpsvc.conf"),
            "TWINBOOT_CONFIG": str(place / "etc" / "twinboot.toml"),
            "TZ": "UTC",
        }
        self._daemon: subprocess.Popen[str] | None = None

    def _popen(self, command: str) -> subprocess.Popen[str]:
        for shown, real in self._places.items():
            command = command.replace(shown, real)
        return subprocess.Popen(
            ["ip", "netns", "exec", SERVER, "unshare", "--uts", "sh", "-c", f"hostname {SERVER}\n{command}"],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _shown(self, text: str) -> str:
        for shown, real in self._places.items():
            text = text.replace(real, shown)
        return text

    def type(self, command: str) -> tuple[int, str]:
        """Run a command; return its exit code and output, errors among it, of one in the background one line."""
        if not command.endswith(" &"):
            process = self._popen(command)
            said, _ = process.communicate()
            return process.returncode, self._shown(said)
        self._daemon = self._popen(f"exec {command.removesuffix(' &')}")
        assert self._daemon.stdout
        is_ready = select.select([self._daemon.stdout], [], [], READY_S)[0]
        return 0, self._shown(self._daemon.stdout.readline() if is_ready else "")

    def end(self) -> None:
        if self._daemon is not None:
            self._daemon.send_signal(signal.SIGTERM)
            self._daemon.wait()

    def events(self) -> list[dict[str, object]]:
        return journal.read(journal.open_reader(self._journal), journal.Query()) if self._journal.exists() else []


def boot(session: Session, place: Path) -> None:
    """Switch the machine on, and wait for its report."""
    machine = Machine(Spec("hv1", "uefi", (Card(MAC, "hv1-be"),)), place)
    machine.power_on()
    deadline = time.monotonic() + BOOT_S
    while time.monotonic() < deadline and not any(one["kind"] == "report.received" for one in session.events()):
        time.sleep(1.0)
    machine.power_off()


def play(result: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="twinboot-lab-") as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "etc").mkdir()
        isolate.private_run_directory()
        wires.lay(wires.plan([wires.Server(SERVER, ADDRESSES)], [wires.Plug("hv1-be", "be")]))
        session = Session(place)
        typed = []
        try:
            for step in steps(PAGE.read_text()):
                if step.command.startswith("twinboot explain"):
                    boot(session, place)
                code, said = session.type(step.command)
                print(f"# {step.command}\n{said}", end="", flush=True)
                typed.append({"command": step.command, "code": code, "said": said, "page": step.says})
                if step.command.startswith("mkdir"):  # what `twinboot media build` would make
                    subprocess.run(["cp", "-r", f"{CACHE}/boot/.", str(place / "share" / "boot")], check=True)
        finally:
            session.end()
        result.write_text(json.dumps({"typed": typed, "events": session.events()}))


if __name__ == "__main__":
    if isolate.inside():
        play(Path(sys.argv[1]))
    else:
        sys.exit(isolate.run([sys.executable, *sys.argv]))
