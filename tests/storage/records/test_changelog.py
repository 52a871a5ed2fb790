import pytest

from storage.records import Binding, Key, Row, changelog
from storage.records.changelog import ChangeLog

ROWS: dict[Key, Row] = {key: Binding(key, b"\0", 0, 0, 0, 1, "", "") for key in range(10)}


def told(log, version):
    """Keys of the rows that changed since a version, and the keys that are gone, or None."""
    found = log.since(version, ROWS)
    return None if found is None else ({row.address for row in found[0]}, set(found[1]))


def test_keys_changed_since_a_version():
    log = ChangeLog()
    log.note({1, 2})
    log.note({2, 3, 77})
    log.note(())
    assert log.version == 3
    assert [told(log, version) for version in (1, 2, 3)] == [({1, 2, 3}, {77}), ({2, 3}, {77}), (set(), set())]


def test_the_latest_rows_are_told_as_they_were_noted():
    log = ChangeLog()
    log.note((1,), [ROWS[1]])
    log.note((2,), [ROWS[2]])
    assert log.since(2, {}) == ((ROWS[2],), ())  # no look at the table
    assert told(log, 1) == ({1, 2}, set())


def test_rows_noted_earlier_are_not_told_as_the_latest():
    log = ChangeLog()
    log.note((1,), [ROWS[1]])
    log.note((2, 77))
    assert [told(log, version) for version in (1, 2)] == [({1, 2}, {77}), ({2}, {77})]


def test_versions_never_given_cannot_be_told():
    log = ChangeLog()
    assert [log.since(version, ROWS) for version in (-1, 0, 2)] == [None, None, None]


def test_memory_is_bounded_by_keys_and_by_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changelog, "KEYS_MAX", 4)
    monkeypatch.setattr(changelog, "ENTRIES_MAX", 3)
    log = ChangeLog()
    for key in range(5):
        log.note({key})
    assert [told(log, version) for version in (2, 3)] == [None, ({2, 3, 4}, set())]
    log.note(set(range(10, 15)))
    assert told(log, log.version - 1) is None
    assert told(log, log.version) == (set(), set())
