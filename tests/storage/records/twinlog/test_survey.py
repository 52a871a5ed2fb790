"""Looking a log over, mending it and getting its contents out, without a server."""

import itertools
from pathlib import Path

import pytest

from storage.records import Change, RecordsError, SunwFiles, TabEntry
from storage.records.files import LocalFiles
from storage.records.twinlog_mend import Mender, export
from storage.records.twinlog_names import FOLDER, log_name, snap_name
from storage.records.twinlog_state import State
from storage.records.twinlog_survey import Survey, survey
from storage.records.twinlog_text import Head, decode_batch, encode_batch
from tests.storage.records.conftest import Bind
from tests.storage.records.twinlog.conftest import NET, FakeFiles, compact_after


def state_of(found: Survey) -> State:
    assert found.state is not None
    return found.state


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch, share: FakeFiles, server, binding: Bind):
    """A log of some age: two snapshots and batches above them, by two servers."""
    compact_after(monkeypatch, 4, 4)
    odd, even = server(share.view(), "odd"), server(share.view(), "even")
    odd.create(NET)
    odd.create("dhcptab")
    for last, store in zip(range(10), itertools.cycle((odd, even)), strict=False):
        store.commit(
            [
                Change(NET, None, binding(last)),
                Change("dhcptab", None, TabEntry(f"m{last}", "m", 0, ":x:")),
            ]
        )
    (row, *_) = odd.read(NET).rows
    odd.commit([Change(NET, row, row._replace(lease_s=5)), Change(NET, odd.read(NET).rows[1], None)])
    return odd


@pytest.fixture
def mender(share: FakeFiles):
    counts = itertools.count()
    return Mender(share, lambda: f"tool.0.{next(counts)}", lambda: 1_800_000_000.0)


def harms(found):
    return [(finding.name, finding.text) for finding in found.findings if finding.harm]


def test_a_log_in_use_is_sound(share: FakeFiles, busy) -> None:
    found = survey(share)
    assert found.is_sound
    assert not harms(found)
    assert set(state_of(found).tables[NET].rows.values()) == set(busy.read(NET).rows)
    assert found.servers.keys() == {"odd", "even"}
    assert found.servers["odd"][0] == 13
    assert len(found.snapshots) == 2


def test_an_empty_log_is_sound(share: FakeFiles, server) -> None:
    server(share).create(NET)
    found = survey(share)
    assert found.is_sound
    assert list(state_of(found).tables) == [NET]


def test_the_history_of_a_row_is_told(share: FakeFiles, busy, binding: Bind) -> None:
    events = survey(share).history("192.168.76.9")
    assert [(event.number, event.table, event.sign) for event in events] == [(12, NET, "+")]
    assert events[0].head.server == "even"
    assert [event.table for event in survey(share).history("m9")] == ["dhcptab"]


@pytest.mark.parametrize("broken", [bytes(50), b"", b"twinlog 1 batch"])
def test_a_damaged_batch_is_found_and_mended(share: FakeFiles, server, busy, mender, broken) -> None:
    name = log_name(11)
    share.put_log(name, broken)
    found = survey(share)
    assert not found.is_sound
    assert name in dict(harms(found))
    assert any(name in step for step in mender.plan(found))
    mender.mend(found)
    again = survey(share)
    assert not harms(again)
    assert share.data[share.folders[FOLDER][f"{name}.damaged"]] == broken
    assert decode_batch(share.read(f"{FOLDER}/{name}")).tables == []
    assert not server(share).read(NET).faults
    assert not mender.plan(again)


def test_a_missing_batch_is_found_and_closed(share: FakeFiles, server, busy, mender) -> None:
    share.remove(f"{FOLDER}/{log_name(11)}")
    found = survey(share)
    assert found.holes == [11]
    mender.mend(found)
    assert survey(share).is_sound
    assert log_name(11) in share.folders[FOLDER]
    assert set(server(share).read(NET).rows) == set(state_of(survey(share)).tables[NET].rows.values())


def test_a_damaged_snapshot_is_found_and_put_aside(share: FakeFiles, server, busy, mender) -> None:
    newest = max(name for name in share.folders[FOLDER] if name.endswith(".snap"))
    share.put_log(newest, bytes(9))
    found = survey(share)
    assert not found.is_sound
    assert set(state_of(found).tables[NET].rows.values()) == set(busy.read(NET).rows)
    mender.mend(found)
    assert survey(share).is_sound
    assert set(server(share).read(NET).rows) == set(busy.read(NET).rows)


def test_a_log_without_beginning_is_not_mended_by_guessing(share: FakeFiles, busy, mender) -> None:
    for name in list(share.folders[FOLDER]):
        if name.endswith(".snap"):
            share.put_log(name, b"")
    found = survey(share)
    assert found.state is None
    assert not found.is_sound
    with pytest.raises(RecordsError, match="backup"):
        mender.mend(found)


def test_a_batch_that_replaces_what_was_not_there_is_found(share: FakeFiles, busy) -> None:
    share.put_log(log_name(14), encode_batch(Head("bad.0.1", 1.0), b"[dhcptab]\n99 m1|m|100|:y:\n- m2|m|7|:x:\n"))
    texts = [text for _, text in harms(survey(share))]
    assert len(texts) == 2
    assert "m1 m" in texts[0]


def test_a_snapshot_that_is_not_what_the_batches_make_is_found(share: FakeFiles, busy) -> None:
    newest = max(name for name in share.folders[FOLDER] if name.endswith(".snap"))
    older = min(name for name in share.folders[FOLDER] if name.endswith(".snap"))
    share.put_log(newest, share.read(f"{FOLDER}/{older}"))
    assert newest in dict(harms(survey(share)))


def test_leftovers_are_named_and_harmless(share: FakeFiles, busy) -> None:
    for name in ("tmp.a.b.1", "000000000003.log.damaged", "edited.000000000003.x", "README"):
        share.put_log(name, b"")
    share.put_log(log_name(2), encode_batch(Head("sleeper.0.1", 1.0), b""))
    share.put_log(
        snap_name(1),
        share.read(f"{FOLDER}/{max(n for n in share.folders[FOLDER] if n.endswith('.snap'))}"),
    )
    found = survey(share)
    assert found.is_sound
    assert len([finding for finding in found.findings if not finding.harm]) >= 5


def test_what_a_newer_version_wrote_is_named(share: FakeFiles, busy) -> None:
    share.put_log(log_name(14), encode_batch(Head("new.0.1", 1.0), b"[futures]\n+ x|y\n"))
    found = survey(share)
    assert found.state is None
    assert "update this server" in harms(found)[0][1]


def test_the_state_of_the_copies_is_told(share: FakeFiles, busy, binding: Bind) -> None:
    busy.publish()
    assert not survey(share).findings
    busy.commit([Change(NET, None, binding(99))])
    assert "older than the log" in survey(share).findings[0].text
    busy.publish()
    copy = "SUNWfiles1_192_168_76_0"
    share.folders[""][copy] = number = len(share.data) + 1
    share.data[number] = b"# SUNWfiles1_192_168_76_0\n"
    assert "was edited" in survey(share).findings[0].text


def test_an_export_is_a_directory_of_containers(tmp_path: Path, share: FakeFiles, busy) -> None:
    state = state_of(survey(share))
    names = export(state, LocalFiles(tmp_path))
    assert sorted(names) == ["SUNWfiles1_192_168_76_0", "SUNWfiles1_dhcptab"]
    copies = SunwFiles(tmp_path)
    assert set(copies.read(NET).rows) == set(busy.read(NET).rows)
    with pytest.raises(FileExistsError):
        export(state, LocalFiles(tmp_path))
