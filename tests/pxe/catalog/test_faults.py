"""A share or a tree that fails does not lose the boot, and is told once."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from pxe.content import Why
from storage.records import Change, Delta, MemoryRecords, Outcome, RecordsError, Result
from storage.records.port import nothing
from tests.pxe.catalog.conftest import arm_hv1, fetch, refusal, state, text
from tests.pxe.conftest import HV1, Rig


class Flaky(MemoryRecords):
    """A share that can be told to fail reads, writes or both."""

    fail_read = fail_write = False

    def read(self, table: str, since: int = 0) -> Delta:
        if self.fail_read:
            raise RecordsError(Outcome.UNAVAILABLE, "the share is away; mount it")
        return super().read(table, since)

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        if self.fail_write:
            return [Result(Outcome.UNAVAILABLE, None, "the share is full") for _ in changes]
        return super().commit(changes, waits)


def test_a_failing_share_does_not_lose_the_boot(make_rig: Callable[..., Rig]) -> None:
    store = Flaky()
    store.create("installs")
    rig = make_rig(store)
    token = arm_hv1(store)
    text(rig, HV1)
    store.fail_write = True
    assert fetch(rig, f"install/{token}/xen")
    assert rig.kinds()[-1] == "records.fault"
    store.fail_read = True
    assert fetch(rig, f"install/{token}/vmlinuz")
    store.fail_read = store.fail_write = False
    assert fetch(rig, f"install/{token}/initrd.gz")  # the next fetch tries again
    assert state(store) == "installing"


def test_a_share_that_is_away_is_told_once(make_rig: Callable[..., Rig]) -> None:
    store = Flaky()
    store.create("installs")
    rig = make_rig(store)
    store.fail_read = True
    for _ in range(3):
        assert "local disk" in text(rig, HV1)
    assert rig.kinds().count("records.fault") == 1


def test_no_descriptor_leaks_when_the_other_server_was_faster(make_rig: Callable[..., Rig]) -> None:
    class Spent(MemoryRecords):
        """Rearms behind the catalog's back, just before it commits."""

        armed_again = False

        def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
            if self.armed_again:
                self.armed_again = False
                arm_hv1(self)
            return super().commit(changes, waits)

    store = Spent()
    store.create("installs")
    rig = make_rig(store)
    token = arm_hv1(store)
    before = len(os.listdir("/proc/self/fd"))
    store.armed_again = True
    assert refusal(rig, f"install/{token}/xen").why is Why.ACCESS
    assert len(os.listdir("/proc/self/fd")) == before
    assert state(store) == "armed"


def test_a_tree_that_is_not_there_says_so(rig: Rig, tmp_path: Path) -> None:
    (rig.share / "boot").rename(tmp_path / "away")
    refused = refusal(rig, "grub/i386-pc/core.0")
    assert refused.why is Why.UNAVAILABLE
    assert "mounted" in str(refused)
