"""Guests with a real Linux NFS client, on a machine whose own kernel may have none: User Mode Linux.

A guest is one process group. Its root is this machine's root, read-only (hostfs), so it runs our Python and our
work tree as they are; what it writes goes to memory, to `/mnt/lab` (the lab's directory) or to the share. SIGKILL of
the group is a power cut; SIGSTOP of its kernel stops every clock it could look at, and SIGCONT shows it a later time.

Source: the kernel's Documentation/virt/uml/user_mode_linux_howto_v2.rst.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from twinboot.lab.enclosure import Enclosure, Program
from twinboot.lab.isolate import LabError
from twinboot.lab.kit import Kit
from twinboot.lab.wires import ROLES

__all__ = ["Card", "Guest", "arguments"]

BOOT_TIMEOUT_S = 40.0
ANSWER_TIMEOUT_S = 60.0
MEMORY_MIB = 256
HERE = Path(__file__).parent
SAID_MAX = 200
END_TIMEOUT_S = 10.0
POLL_S = 0.02


class Card(NamedTuple):
    """A guest's network card: the tap that is its cable, the role of the link (`wires.ROLES`), its address with prefix
    length, its MAC.
    """

    tap: str
    role: str
    address: str
    mac: str


def arguments(kit: Kit, name: str, fe: Card, be: Card, lab: Path, processor: int) -> list[str]:
    """The command line of a guest. `fe` is its card on the clients' switch, `be` that on the storage's.

    It keeps to one processor of this machine's, as it has but one itself: its kernel and its programs are processes
    that take turns at each system call, which takes several times as long from one processor to another.
    """
    cards = [
        f"vec{number}:transport=tap,ifname={card.tap},depth=128,gro=1,mac={card.mac}"
        for number, card in enumerate((fe, be))
    ]
    console = ["con=null", "con0=fd:0,fd:1", "con1=null", "ssl=null", "quiet", "loglevel=3"]
    root = ["rootfstype=hostfs", "rootflags=/", "ro", "root=/dev/root", f"init={HERE / 'uml_init.sh'}"]
    told = {
        "node": name,
        "fe": fe.address,
        "be": be.address,
        "mods": kit.modules,
        "lab": lab,
        "python": Path(sys.executable).resolve(),
        "agent": HERE / "uml_agent.py",
    }
    words = [f"{key}={value}" for key, value in told.items()]
    pinned = ["taskset", "--cpu-list", str(processor)]
    return [*pinned, str(kit.linux), f"umid=twinboot-{name}", f"mem={MEMORY_MIB}M", *root, *console, *cards, *words]


class Guest:
    """An install server's machine. `power_on` boots it; whatever ends the enclosure ends it."""

    def __init__(
        self, enclosure: Enclosure, kit: Kit, name: str, fe: Card, be: Card, lab: Path, processor: int
    ) -> None:
        self.name, self.fe, self.be = name, fe, be
        self._enclosure, self._lab, self._processor = enclosure, lab, processor
        self._kit = kit
        self._program: Program | None = None
        self._kernel = 0
        self._said: list[str] = []
        self._waiting: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._last_id = 0
        self._console = threading.Lock()

    def power_on(self) -> None:
        """Begin to boot; `await_boot` waits for the end of it."""
        argv = arguments(self._kit, self.name, self.fe, self.be, self._lab, self._processor)
        # The guest's memory is a file that must not be on a disk.
        self._program = self._enclosure.start(argv, "", {"TMPDIR": "/run"}, subprocess.PIPE, subprocess.PIPE)
        self._booted: queue.Queue[dict[str, Any]] = queue.Queue()
        self._said, self._waiting, self._last_id = [], {0: self._booted}, 0
        threading.Thread(target=self._listen, args=(self._program.process, self._waiting), daemon=True).start()

    def await_boot(self) -> None:
        """Wait until programs can be run in it. LabError with its last words when it does not come up."""
        try:
            self._booted.get(timeout=BOOT_TIMEOUT_S)
        except queue.Empty:
            raise LabError(f"guest {self.name} did not boot: {' / '.join(self._said[-3:]) or 'no message'}") from None
        self._kernel = self._running.inside_pid  # it has made itself the leader of a group of its own

    def cut_power(self) -> None:
        """SIGKILL: nothing is flushed, no connection is closed. Returns when nothing of the guest holds its cables."""
        if self._program is None:
            return
        group, self._kernel = self._kernel, 0
        if group:  # else it has not booted, and is still in the group that we gave it
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self._program.kill()
        self._program = None
        deadline = time.monotonic() + END_TIMEOUT_S
        while group and _members(group):
            if time.monotonic() > deadline:
                raise LabError(f"guest {self.name} does not end; please report this")
            time.sleep(POLL_S)

    def pause(self) -> None:
        """Stop the guest's kernel, as a hypervisor pauses a machine; its programs stop with their next system call."""
        self._signal_kernel(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on; its clocks have moved meanwhile."""
        self._signal_kernel(signal.SIGCONT)

    def plug(self, card: Card, *, is_in: bool) -> None:
        """Pull the cable of one of its cards out of the switch, or put it back.

        The tap itself stays up: a guest's driver does not use one again that failed it.
        """
        port = ("master", ROLES[card.role]) if is_in else ("nomaster",)
        self._enclosure.run("ip", "link", "set", card.tap, *port)

    def run(
        self, *argv: str, env: Mapping[str, str] | None = None, timeout_s: float = ANSWER_TIMEOUT_S, check: bool = True
    ) -> str:
        """Run a program in the guest and return the end of what it said. LabError when it fails and `check` is set."""
        told = self.result(self.begin(*argv, env=env, timeout_s=timeout_s), timeout_s)
        if check and told["code"]:
            raise LabError(f"`{' '.join(argv)}` failed in guest {self.name}: {told['out'].strip()}")
        return str(told["out"])

    def begin(
        self, *argv: str, env: Mapping[str, str] | None = None, timeout_s: float = ANSWER_TIMEOUT_S
    ) -> queue.Queue[dict[str, Any]]:
        """Begin to run a program; `result` has its code and output."""
        return self._ask({"argv": argv, "env": dict(env or {}), "timeout_s": timeout_s})

    def result(self, waiting: queue.Queue[dict[str, Any]], timeout_s: float = ANSWER_TIMEOUT_S) -> dict[str, Any]:
        """The end of a program that was begun. LabError if the guest says nothing in time."""
        try:
            return waiting.get(timeout=timeout_s + 5)
        except queue.Empty:
            raise LabError(f"guest {self.name} is silent: {' / '.join(self._said[-3:]) or 'no message'}") from None

    def start(self, *argv: str, log: str, env: Mapping[str, str] | None = None) -> int:
        """Start a program that stays, with its output in `log` (a path in the guest); return its process id there."""
        told = self.result(self._ask({"argv": argv, "env": dict(env or {}), "log": log}))
        if "pid" not in told:
            raise LabError(f"`{argv[0]}` cannot be started in guest {self.name}: {told['out']}")
        return int(told["pid"])

    def signal(self, pid: int, number: int) -> None:
        """Signal a program that `start` began, and all that it started."""
        self.result(self._ask({"pid": pid, "signal": number}))

    def wait(self, pid: int, timeout_s: float = 10.0) -> int:
        """Wait for the end of a program that `start` began; -1 if it does not end in time."""
        return int(self.result(self._ask({"wait": pid, "timeout_s": timeout_s}), timeout_s)["code"])

    def mount(self, source: str, target: str, version: str, options: str = "") -> None:
        """Mount `SERVER:/EXPORT` at `target` by NFS `version` (`3` or `4.1`). LabError with mount's own words."""
        self.run("mkdir", "-p", target)
        words = [f"vers={version}", "hard", "proto=tcp", *(("nolock",) if version == "3" else ())]
        words += [f"clientaddr={self.be.address.partition('/')[0]}"] if version != "3" else []
        joined = ",".join([*words, *filter(None, [options])])
        self.run(str(self._kit.mount_nfs), source, target, "-o", joined, env=self._kit.environment)
        self.run("mountpoint", "-q", target)

    def _ask(self, request: dict[str, Any]) -> queue.Queue[dict[str, Any]]:
        stdin = self._running.process.stdin
        assert stdin
        with self._console:
            self._last_id += 1
            answer = self._waiting[self._last_id] = queue.Queue()
            stdin.write(json.dumps({"id": self._last_id, **request}).encode() + b"\n")
            stdin.flush()
        return answer

    def _listen(self, process: subprocess.Popen[bytes], waiting: dict[int, queue.Queue[dict[str, Any]]]) -> None:
        assert process.stdout
        for line in process.stdout:
            try:
                told = json.loads(line)
                waiting.pop(told["id"]).put(told)
            except (ValueError, TypeError, KeyError):
                self._said = [*self._said, line.decode(errors="replace").strip()][-SAID_MAX:]

    def _signal_kernel(self, number: int) -> None:
        if not self._kernel:
            raise LabError(f"guest {self.name} is off")
        os.kill(self._kernel, number)

    @property
    def _running(self) -> Program:
        if not self._program:
            raise LabError(f"guest {self.name} is off")
        return self._program


def _members(group: int) -> list[int]:
    """Processes of a group that have not ended."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(entry.name)) == group and "\nState:\tZ" not in (entry / "status").read_text():
                found.append(int(entry.name))
        except OSError:
            continue  # it ended while we looked
    return found
