"""One head of an appliance by its command line over ssh: what a Unified Storage 7410 of 2009 has, and all since.

Each verb is one run of ssh and one program on its standard input (`zfssa_script`), with a deadline. Nothing is a word
of the command but where it goes: a CHAP secret travels inside the program, and no message repeats it. ssh has its key
and asks nobody. A run that does not print its last line may have done anything: GoneError.

Not run on a real appliance. Software 2008.Q4 to 2009.Q2 exported every LUN under a name of its own and had no groups:
it is not supported, and says so by contexts that are not there.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from storage.volumes import zfssa_answer, zfssa_script
from storage.volumes.local_tools import environment, not_installed
from storage.volumes.names import Name, Project, Snapshot, Volume
from storage.volumes.port import Access, Outcome, VolumesError
from storage.volumes.zfs_host import SSH_FAILED, ssh_options
from storage.volumes.zfssa_answer import MOVED, Answer
from storage.volumes.zfssa_heads import GoneError
from storage.volumes.zfssa_model import Facts
from storage.volumes.zfssa_script import Program

PROGRAM_TIMEOUT_S = 120
"""An appliance that lists some hundred LUNs takes its time."""

REFUSALS = (
    ("Permission denied", "it does not let this user in by key: give that user this server's public key: {by_hand}"),
    ("Host key verification failed", "its host key is not known: log in once by hand: {by_hand}"),
    ("no matching", "no common algorithms: old software needs lines in ~/.ssh/config (docs/volumes.md): {by_hand}"),
)
"""What ssh says -> what to do, for what no other head and no waiting puts right."""


class CliHead:
    """A head at `HOST` or `HOST:PORT`, as the user whose key this server has."""

    def __init__(self, name: str, pool: str, user: str, run_dir: Path) -> None:
        self.name = name
        self._pool = pool
        self._user = user
        self._control = run_dir / "appliance-%C"

    def forget(self) -> None:
        """Nothing is kept but ssh's connection, which ends by itself when its head does."""

    def owns(self, pool: str) -> bool:
        """Whether the pool is among those that it lets be chosen."""
        answer = self._run(zfssa_script.owns(pool))
        if answer.problem and answer.problem[0] != MOVED:
            raise zfssa_answer.refused(self.name, answer.problem)
        return answer.problem is None

    def facts(self) -> Facts:
        """Everything, in one run."""
        return zfssa_answer.facts_of(self._do(zfssa_script.facts(self._pool)), self._pool)

    def make_project(self, project: Project) -> None:
        """Make an empty project."""
        self._do(zfssa_script.make_project(self._pool, project))

    def make_lun(self, project: Project, name: str, size_bytes: int) -> None:
        """Make a sparse LUN that nobody sees."""
        self._do(zfssa_script.make_lun(self._pool, project, name, size_bytes))

    def rename_lun(self, project: Project, name: str, volume: Volume) -> None:
        """Give a LUN its name."""
        self._do(zfssa_script.rename_lun(self._pool, project, name, volume))

    def drop_lun(self, project: Project, name: str) -> None:
        """Remove a LUN whose name is not one of ours."""
        self._do(zfssa_script.drop_lun(self._pool, project, name))

    def leftovers(self, project: Project) -> list[str]:
        """Names of LUNs that are being made, or were."""
        lines = self._do(zfssa_script.leftovers(self._pool, project)).lines
        return [line[1] for line in lines if line[0] == "SHARE" and line[1:] and line[1].startswith("_")]

    def snapshot(self, snapshot: Snapshot) -> None:
        """Take it."""
        self._do(zfssa_script.snapshot(self._pool, snapshot))

    def clone(self, snapshot: Snapshot, volume: Volume) -> None:
        """Make a LUN of it that nobody sees."""
        self._do(zfssa_script.clone(self._pool, snapshot, volume))

    def destroy(self, name: Name) -> None:
        """Remove it; the program refuses what has something in it."""
        self._do(zfssa_script.destroy(self._pool, name))

    def show(self, project: Project, name: str, groups: tuple[str, str]) -> None:
        """Let a LUN be seen through a target group by an initiator group; the LUN number is 0."""
        self._do(zfssa_script.show(self._pool, project, name, groups))

    def make_target(self, iqn: str, alias: str, *, checks: bool, interfaces: Sequence[str]) -> str:
        """Make an iSCSI target; returns the name that it got."""
        made = zfssa_script.make_target(self._pool, iqn, alias, checks=checks, interfaces=interfaces)
        return next((line[1] for line in self._do(made).lines if line[0] == "IQN" and line[1:]), iqn)

    def drop_target(self, iqn: str) -> None:
        """Remove a target."""
        self._do(zfssa_script.drop_target(self._pool, iqn))

    def make_group(self, kind: str, name: str, members: Sequence[str]) -> None:
        """Make a group of targets or of initiators."""
        self._do(zfssa_script.make_group(self._pool, kind, name, members))

    def drop_group(self, kind: str, name: str) -> None:
        """Remove a group."""
        self._do(zfssa_script.drop_group(self._pool, kind, name))

    def make_initiator(self, name: str, access: Access, *, there: bool) -> None:
        """Let the appliance know an initiator, and what it proves itself by."""
        if access.chap or not there:
            self._do(zfssa_script.make_initiator(self._pool, name, access, there=there))

    def _do(self, program: Program) -> Answer:
        answer = self._run(program)
        if answer.problem is None:
            return answer
        if answer.problem[0] == MOVED:
            raise GoneError(f"{self.name} does not have it any more")
        raise zfssa_answer.refused(self.name, answer.problem, program.secret)

    def _run(self, program: Program) -> Answer:
        try:
            done = subprocess.run(
                self._argv(),
                input=program.text.encode(),
                capture_output=True,
                env=environment(None),
                timeout=PROGRAM_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError as error:
            raise not_installed("ssh") from error
        except subprocess.TimeoutExpired:
            raise GoneError(f"{self.name} does not answer within {PROGRAM_TIMEOUT_S} s") from None
        answer = zfssa_answer.read(done.stdout.decode(errors="replace"))
        if answer is not None:
            return answer
        words = zfssa_answer.last_words(done.stderr.decode(errors="replace"), program.secret)
        if done.returncode == SSH_FAILED:
            for saying, advice in REFUSALS:
                if saying in words:
                    text = advice.format(by_hand=" ".join(["ssh", *self._where()]))
                    raise VolumesError(Outcome.DENIED, f"{self.name}: {text}: {words}")
        raise GoneError(f"{self.name} did not answer to the end ({words or f'exit code {done.returncode}'})")

    def _argv(self) -> list[str]:
        return ["ssh", "-T", *ssh_options(self._control), *self._where()]

    def _where(self) -> list[str]:
        host, colon, port = self.name.rpartition(":")
        if not colon or self.name.endswith("]"):
            host, port = self.name, ""
        return [*(["-p", port] if port else []), "--", f"{self._user}@{host.strip('[]')}"]
