from storage.records import changelog
from storage.records.changelog import ChangeLog


def test_keys_changed_since_a_version():
    log = ChangeLog()
    log.note({1, 2})
    log.note({2, 3})
    log.note(())
    assert log.version == 3
    assert [log.since(version) for version in (1, 2, 3)] == [{1, 2, 3}, {2, 3}, set()]


def test_versions_never_given_cannot_be_told():
    log = ChangeLog()
    assert [log.since(version) for version in (-1, 0, 2)] == [None, None, None]


def test_memory_is_bounded_by_keys_and_by_entries(monkeypatch):
    monkeypatch.setattr(changelog, "KEYS_MAX", 4)
    monkeypatch.setattr(changelog, "ENTRIES_MAX", 3)
    log = ChangeLog()
    for key in range(5):
        log.note({key})
    assert [log.since(version) for version in (2, 3)] == [None, {2, 3, 4}]
    log.note(set(range(10, 15)))
    assert log.since(log.version - 1) is None
    assert log.since(log.version) == set()
