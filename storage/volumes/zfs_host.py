"""Commands on the machine that has the disks: this one, or another by ssh, each with a deadline.

A remote shell takes one line, so every word is quoted for it. Messages are asked for in English, because they are
read. What must not be seen in a list of processes (a secret) goes through standard input. ssh asks nobody anything: it
has its key, or it fails; one connection serves the commands of a minute.
"""

import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from storage.volumes.command import Command
from storage.volumes.local_tools import attempt, environment, failed, not_installed
from storage.volumes.port import Outcome, Progress, VolumesError

COMMAND_TIMEOUT_S = 120
"""zfs waits for the pool's next transaction group, and a busy pool takes its time."""

CONNECT_TIMEOUT_S = 10
KEEP_S = 60
BUSY = "is busy"
BUSY_POLL_S = 0.1
SSH_FAILED = 255
PIECE_BYTES = 1 << 20
PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
ENGLISH = ("env", "LC_ALL=C", f"PATH={PATH}")


def ssh_options(control: Path) -> list[str]:
    """Words for an ssh that asks nobody and never hangs; `control` is the socket of the shared connection."""
    options = {
        "BatchMode": "yes",
        "LogLevel": "ERROR",
        "ConnectTimeout": str(CONNECT_TIMEOUT_S),
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "ControlMaster": "auto",
        "ControlPath": str(control),
        "ControlPersist": str(KEEP_S),
    }
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def ssh_argv(where: str, control: Path, argv: Sequence[str]) -> list[str]:
    """The words that run `argv` at `where`."""
    return ["ssh", *ssh_options(control), "--", where, shlex.join(argv)]


class Host:
    """Where commands run: `ssh` as USER@HOST or empty, `become` before each of them."""

    def __init__(self, run_dir: Path, ssh: str = "", become: tuple[str, ...] = ()) -> None:
        self._control = run_dir / "ssh-%C"
        self._ssh = ssh
        self._become = become

    @property
    def name(self) -> str:
        """What people call it."""
        return self._ssh or "this machine"

    def run(self, one: Command) -> str:
        """What it printed; VolumesError."""
        deadline = time.monotonic() + one.patience_s
        code, printed, words = self.ask(one)
        while code not in one.codes and BUSY in words and time.monotonic() < deadline:
            time.sleep(BUSY_POLL_S)
            code, printed, words = self.ask(one)
        if code in one.codes or (one.unless and one.unless in words):
            return printed
        raise self._failed(one.argv[0], code, words.strip() or printed.strip())

    def ask(self, one: Command) -> tuple[int, str, str]:
        """How it ended, what it printed, and what it complained of."""
        done = attempt(self._words(one.argv), None, COMMAND_TIMEOUT_S, one.given)
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def pour(self, source: Path, argv: Sequence[str], progress: Progress | None) -> None:
        """Give a file to a command on its standard input."""
        total = source.stat().st_size
        done = 0
        try:
            with (
                source.open("rb") as file,
                subprocess.Popen(
                    self._words(argv),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env=environment(None),
                ) as taker,
            ):
                assert taker.stdin is not None
                assert taker.stderr is not None
                try:
                    while piece := file.read(PIECE_BYTES):
                        taker.stdin.write(piece)
                        done += len(piece)
                        if progress:
                            progress(done, total)
                    taker.stdin.close()
                except BrokenPipeError:
                    pass  # what it says at last is told below
                words = taker.stderr.read().decode(errors="replace")
        except FileNotFoundError as error:
            raise not_installed(self._words(argv)[0]) from error
        if taker.returncode:
            raise self._failed(argv[0], taker.returncode, words)

    def _words(self, argv: Sequence[str]) -> list[str]:
        if self._ssh:
            return ssh_argv(self._ssh, self._control, [*ENGLISH, *self._become, *argv])
        return [*self._become, *argv]

    def _failed(self, program: str, code: int, words: str) -> VolumesError:
        """Of several lines the first says what is wrong; zfs goes on with how to destroy even more."""
        first = words.splitlines()[0] if words else f"exit code {code}"
        if self._ssh and code == SSH_FAILED:
            return VolumesError(
                Outcome.UNAVAILABLE, f"{self._ssh}: not to be reached by ssh: {first}: try: ssh {self._ssh} true"
            )
        return failed(program, first)
