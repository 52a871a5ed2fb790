"""Running virsh: one process for one question, however many parts it has, and never longer than its deadline.

virsh and not libvirt's Python binding: the binding has to be built against the machine's C library (or is Debian's, for
Debian's Python alone), and a call in it that hangs cannot be ended; a process can. A command costs some 30 ms; several
go in one process, divided by marks, so that a list of a thousand domains takes two or three processes.
"""

import os
import subprocess
import time
from collections.abc import Callable, Sequence

from guests.hypervisor import HypervisorError, Outcome
from guests.virsh_text import refusal

MARK = "twinboot-next-answer"
BATCH_MAX = 500
"""Commands for one process: they are one argument, of which Linux takes 128 KiB."""

TICK_S = 0.5
END_TIMEOUT_S = 5.0


class Virsh:
    """virsh, connected to one host. `name` is the host's, for messages."""

    def __init__(self, name: str, uri: str, deadline_s: float) -> None:
        self.name = name
        self.uri = _never_asking(uri)
        self._deadline_s = deadline_s

    def argv(self, *words: str) -> list[str]:
        """The command line of one virsh command."""
        return ["virsh", "--quiet", "--connect", self.uri, *words]

    def ask(self, *words: str, text: str = "", deadline_s: float | None = None) -> str:
        """What one command prints, given `text` on its standard input. HypervisorError."""
        done = self._run(self.argv(*words), text, deadline_s or self._deadline_s)
        if done.returncode:
            raise refusal(self.name, done.stderr or done.stdout)
        return done.stdout

    def ask_all(self, commands: Sequence[str]) -> list[str]:
        """What each of the commands prints; nothing for one that fails. They are trusted text: no names of domains.

        Raises only when the host cannot be reached at all.
        """
        answers: list[str] = []
        for start in range(0, len(commands), BATCH_MAX):
            part = commands[start : start + BATCH_MAX]
            script = f"; echo {MARK}; ".join(part)
            done = self._run(["virsh", "--connect", self.uri, f"{script}; echo {MARK}"], "", self._deadline_s)
            found = done.stdout.split(f"{MARK}\n")[:-1]
            if len(found) != len(part):
                raise refusal(self.name, done.stderr or "virsh broke off")
            answers += found
        return answers

    def watch(self, *words: str, tick: Callable[[], None] | None, deadline_s: float) -> None:
        """Run a command that takes long, calling `tick` now and then. HypervisorError."""
        with self._start(self.argv(*words)) as process:
            deadline = time.monotonic() + deadline_s
            while True:
                try:
                    _, complaints = process.communicate(timeout=TICK_S)
                    break
                except subprocess.TimeoutExpired:
                    if time.monotonic() > deadline:
                        process.kill()
                        raise self._late(words[0], deadline_s) from None
                    if tick:
                        tick()
        if process.returncode:
            raise refusal(self.name, complaints)

    def _run(self, argv: Sequence[str], text: str, deadline_s: float) -> "subprocess.CompletedProcess[str]":
        with self._start(argv) as process:
            try:
                out, complaints = process.communicate(text, timeout=deadline_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise self._late("it", deadline_s) from None
        return subprocess.CompletedProcess(argv, process.returncode, out, complaints)

    def _start(self, argv: Sequence[str]) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        try:
            return subprocess.Popen(
                argv,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                text=True,
                errors="replace",
                env={**os.environ, "LC_ALL": "C"},
            )
        except FileNotFoundError as error:
            raise HypervisorError(
                Outcome.UNAVAILABLE, "virsh is not on the PATH: install the package libvirt-clients"
            ) from error
        except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
            raise HypervisorError(Outcome.FAILED, f"{self.name}: virsh cannot be run: {error}") from error

    def _late(self, what: str, deadline_s: float) -> HypervisorError:
        return HypervisorError(
            Outcome.UNAVAILABLE,
            f"{self.name}: {what} did not answer within {deadline_s:g} s: see to libvirtd there ({self.uri})",
        )


def _never_asking(uri: str) -> str:
    """An ssh URI that fails instead of asking for a password: nobody may be there to answer."""
    if "+ssh://" not in uri.partition("?")[0] + "//" or "no_tty=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}no_tty=1"


def quoted(word: str) -> str:
    """A word of virsh's own command language."""
    return "'" + word.replace("'", "'\\''") + "'"
