"""Every operation on the share fails once, with every error a share can give: what was told must be so afterwards.

STORED is on the disk. Anything else before the new contents have their name means that nothing was written; after that
nobody can tell but who looks. In any case the object goes on, believes what is there, agrees with one that has just
been opened, and tells a reader who knew the state before what changed.
"""

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.records import Binding, Change, Outcome, Records, RecordsError, SunwFiles
from storage.records.files import LocalFiles
from storage.records.twinlog import TwinLog
from tests.storage.records.conftest import Bind

NET = "192.168.76.0"
ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.EIO, errno.EBADF, errno.ETIMEDOUT]
STEPS_MAX = 60
"""More than a commit takes; a test ends at the step that is not reached."""


class Faults:
    """Counts operations, and lets the one with number `at` fail: before it is done, or after."""

    def __init__(self):
        self.at = -1
        self.code = 0
        self.after = False
        self.count = 0
        self.is_named = False

    def arm(self, at, code, after):
        self.at, self.code, self.after, self.count, self.is_named = at, code, after, 0, False

    @property
    def struck(self):
        return 0 <= self.at < self.count

    def around(self, name, call):
        def faulty(*args, **kwargs):
            number, self.count = self.count, self.count + 1
            strikes = number == self.at
            if strikes and not self.after:
                raise OSError(self.code, os.strerror(self.code))
            done = call(*args, **kwargs)
            self.is_named |= name in ("rename", "link")
            if strikes:
                raise OSError(self.code, os.strerror(self.code))
            return done

        return faulty


SYSTEM_CALLS = [(os, name) for name in ("open", "stat", "fstat", "read", "writev", "fchmod", "fsync", "rename")]
SYSTEM_CALLS += [(os, "unlink"), (os, "link"), (os, "scandir"), (fcntl, "lockf")]
LOSES_ITS_RESULT = {"open", "read"}  # failing after the fact would leak a descriptor here, or eat data: no kernel does


class FaultyFiles(LocalFiles):
    """The share as twinlog sees it."""

    def __init__(self, path, faults):
        super().__init__(path)
        for name in ("names", "read", "write", "link", "rename", "remove", "make", "sync", "stat"):
            setattr(self, name, faults.around(name, getattr(self, name)))


def sunwfiles(path, faults, monkeypatch):
    for module, name in SYSTEM_CALLS:
        if not (faults.after and name in LOSES_ITS_RESULT):
            monkeypatch.setattr(module, name, faults.around(name, getattr(module, name)))
    return SunwFiles(path)


def twinlog(path, faults, _):
    return TwinLog(FaultyFiles(path, faults), server="odd", look_s=0.0, background=lambda job: job())


FRESH: dict[Callable[..., Records], Callable[[Path], Records]] = {
    sunwfiles: SunwFiles,
    twinlog: lambda path: TwinLog(LocalFiles(path), server="even", look_s=0.0),
}


def trial(make, path, binding, monkeypatch, at, code, after):
    """One commit with one fault; whether the fault came to pass."""
    faults = Faults()
    with monkeypatch.context() as patch:
        faults.after = after
        records = make(path, faults, patch)
        records.create(NET)
        (old,) = records.commit([Change(NET, None, binding(10))])
        version = records.read(NET).version
        faults.arm(at, code, after)
        (result,) = records.commit([Change(NET, old.row, old.row._replace(lease_s=5))])
        struck, is_named = faults.struck, faults.is_named
        faults.at = -1
        (seen,) = records.read(NET).rows
        changed = records.read(NET, version)
        (fresh,) = FRESH[make](path).read(NET).rows
        assert isinstance(fresh, Binding)
        where = f"step {at}, {errno.errorcode[code]}, {'after' if after else 'before'}: {result}"
        assert seen == fresh, where
        if result.outcome is Outcome.STORED:
            assert fresh == result.row, where
        elif not is_named:
            assert fresh == old.row, where
        if fresh != old.row:
            assert changed.whole or changed.rows == (fresh,), where
        (again,) = records.commit([Change(NET, fresh, fresh._replace(lease_s=6))])
        assert again.outcome is Outcome.STORED, (where, again)
        assert FRESH[make](path).read(NET).rows == (again.row,), where
    return struck


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("make", FRESH)
def test_a_commit_tells_the_truth_whatever_fails(
    make, code, after, tmp_path: Path, binding: Bind, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(STEPS_MAX):
        path = tmp_path / str(at)
        path.mkdir()
        if not trial(make, path, binding, monkeypatch, at, code, after):
            break
    assert 2 < at < STEPS_MAX - 1


def read_or_refused(records):
    try:
        return records.read(NET).rows
    except RecordsError as error:
        if error.outcome in (Outcome.UNAVAILABLE, Outcome.DENIED, Outcome.FULL) and "\n" not in str(error):
            return None
        raise


@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("make", FRESH)
def test_reading_fails_clearly_and_goes_on(
    make, code, tmp_path: Path, binding: Bind, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults()
    with monkeypatch.context() as patch:
        records = make(tmp_path, faults, patch)
        records.create(NET)
        (old,) = records.commit([Change(NET, None, binding(10))])
        for at in range(STEPS_MAX):
            faults.arm(at, code, after=False)
            assert read_or_refused(records) in ((old.row,), None)
            struck = faults.struck
            faults.at = -1
            assert records.read(NET).rows == (old.row,)
            if not struck:
                break
