"""A stand-in for a machine with ZFS and a target in its kernel, which no test machine of ours has.

It takes the very words that zfs(8), targetcli(8), stmfadm(8) and itadm(8) document and judges them: an option, order or
name that the manuals do not have is a failed test, not a refusal. Its state is one JSON file, so that it outlives a
process that is killed. What it answers has the form of the manuals' examples.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from storage.volumes.command import Command
from storage.volumes.port import Progress
from storage.volumes.zfs_host import Host
from tests.zfs_machine.comstar import itadm, stmfadm
from tests.zfs_machine.lio import cat, grep, targetcli
from tests.zfs_machine.words import RefusedError
from tests.zfs_machine.zfs import udevadm, zfs


class Machine(Host):
    """A host whose commands are played; `poured` keeps what was written to devices."""

    def __init__(self, path: Path, root: str = "tank/guests") -> None:
        super().__init__(path)
        self._file = path / "machine.json"
        self.hide: Callable[[str], bool] = lambda _: False
        """Whether a command is to fail, by its words: a test says so."""
        if not self._file.exists():
            sets: dict[str, Any] = {name: {} for name in ("tank", root)}
            empty: dict[str, Any] = {name: {} for name in ("stores", "iscsi", "units", "targets", "tgs", "hgs")}
            self._save({"sets": sets, "sessions": {}, "initiators": {}, "tpgs": {}, "order": 0, **empty})

    def ask(self, one: Command) -> tuple[int, str, str]:
        state = json.loads(self._file.read_text())
        program, *words = one.argv
        try:
            if self.hide(" ".join(one.argv)):
                raise RefusedError(f"{program}: failed as the test asked")
            printed = PROGRAMS[program](state, words, one.given)
        except RefusedError as error:
            return 1, "", str(error)
        self._save(state)
        return 0, printed, ""

    def pour(self, source: Path, argv: Sequence[str], progress: Progress | None) -> None:
        assert argv[0] == "dd"
        assert argv[1].startswith("of=/dev/zvol/")
        dataset = argv[1].removeprefix("of=/dev/zvol/").removeprefix("rdsk/")
        state = json.loads(self._file.read_text())
        state["sets"][dataset]["poured"] = source.stat().st_size
        self._save(state)
        if progress:
            progress(source.stat().st_size, source.stat().st_size)

    def log_in(self, iqn: str, *initiators: str) -> None:
        state = json.loads(self._file.read_text())
        state["sessions"][iqn] = list(initiators)
        self._save(state)

    def forget_targets(self) -> None:
        """As after a boot without the saved configuration."""
        state = json.loads(self._file.read_text())
        for name in ("stores", "iscsi", "units", "targets", "tgs"):
            state[name] = {}
        self._save(state)

    def state(self) -> Any:
        return json.loads(self._file.read_text())

    def _save(self, state: Any) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.rename(self._file)


PROGRAMS = {
    "zfs": zfs,
    "udevadm": udevadm,
    "targetcli": targetcli,
    "cat": cat,
    "grep": grep,
    "stmfadm": stmfadm,
    "itadm": itadm,
}
