"""The log as a store: damage, holes, compaction, copies in Sun's format and edits made to them."""

import errno
import os
import threading

import pytest

from storage.records import (
    Change,
    Outcome,
    RecordsError,
    SunwFiles,
    TabEntry,
    open_records,
    twinlog_house,
    twinlog_turns,
)
from storage.records.files import Stamp
from storage.records.twinlog_names import FOLDER, log_name, snap_name
from storage.records.twinlog_text import Head, encode_batch

NET = "192.168.76.0"
COPY = "SUNWfiles1_192_168_76_0"


@pytest.fixture
def odd(share, server):
    store = server(share)
    store.create(NET)
    return store


def add(store, *rows):
    results = store.commit([Change(NET, None, row) for row in rows])
    assert [result.outcome for result in results] == [Outcome.STORED] * len(rows)
    return [result.row for result in results]


def put(share, name, data):
    """Replace a file's contents behind everybody's back."""
    folder, _, last = name.rpartition("/")
    share.folders[folder][last] = number = len(share.data) + 1
    share.data[number] = data


def spoil(share, name):
    put(share, f"{FOLDER}/{name}", share.read(f"{FOLDER}/{name}")[:-9])


@pytest.fixture
def compacting(monkeypatch):
    monkeypatch.setattr(twinlog_turns, "BATCHES_MIN", 2)
    monkeypatch.setattr(twinlog_turns, "BATCHES_MAX", 2)


# -- damage


def test_a_torn_batch_is_skipped_kept_and_named(share, server, odd, binding):
    add(odd, binding(10))
    add(odd, binding(11))
    spoil(share, log_name(2))
    again = server(share)
    delta = again.read(NET)
    assert [row.address & 255 for row in delta.rows] == [11]
    ((table, _, text, reason),) = delta.faults
    assert (table, text) == (NET, f"{FOLDER}/{log_name(2)}")
    assert "torn" in reason
    add(again, binding(12))
    assert log_name(2) in share.folders[FOLDER]
    assert log_name(4) in share.folders[FOLDER]


def test_a_torn_last_batch_keeps_its_number(share, server, odd, binding):
    add(odd, binding(10))
    spoil(share, log_name(2))
    again = server(share)
    add(again, binding(10))
    assert log_name(3) in share.folders[FOLDER]


def test_damaged_batches_outlive_compaction_under_another_name(compacting, share, server, odd, binding):
    add(odd, binding(10))
    put(share, f"{FOLDER}/{log_name(3)}", bytes(100))
    for last in range(20, 30):
        add(odd, binding(last))
    names = share.folders[FOLDER]
    assert f"{log_name(3)}.damaged" in names
    assert log_name(3) not in names
    assert len(server(share).read(NET).rows) == 11
    assert not server(share).read(NET).faults


def test_a_damaged_snapshot_costs_nothing(compacting, share, server, odd, binding):
    for last in range(20, 31):
        add(odd, binding(last))
    newest = max(name for name in share.folders[FOLDER] if name.endswith(".snap"))
    spoil(share, newest)
    again = server(share)
    assert set(again.read(NET).rows) == set(odd.read(NET).rows)
    assert newest in again.read(NET).faults[0].text
    for last in range(40, 50):
        add(again, binding(last))
    assert f"{newest}.damaged" in share.folders[FOLDER]
    assert len(server(share).read(NET).rows) == 21


def test_a_missing_batch_is_closed_so_that_nobody_gets_its_number(share, server, odd, binding):
    for last in (10, 11, 12):
        add(odd, binding(last))
    share.remove(f"{FOLDER}/{log_name(3)}")
    again = server(share)
    assert [row.address & 255 for row in again.read(NET).rows] == [10, 12]
    assert log_name(3) in share.folders[FOLDER]
    assert "was missing" in again.read(NET).faults[0].reason
    add(again, binding(13))
    assert log_name(5) in share.folders[FOLDER]


def test_a_log_without_beginning_is_refused(compacting, share, server, odd, binding):
    for last in range(20, 31):
        add(odd, binding(last))
    for name in list(share.folders[FOLDER]):
        if name.endswith(".snap"):
            spoil(share, name)
    with pytest.raises(RecordsError, match="twinboot store check") as caught:
        server(share)
    assert caught.value.outcome is Outcome.UNAVAILABLE


def test_a_log_without_its_first_batch_is_refused(share, server, odd, binding):
    add(odd, binding(10))
    share.remove(f"{FOLDER}/{log_name(1)}")
    with pytest.raises(RecordsError, match="twinboot store check"):
        server(share)


def test_what_a_newer_version_wrote_stops_this_one(share, odd, binding):
    text = encode_batch(Head("new.1.1", 1.0), b"[futures]\n+ x|y\n")
    put(share, f"{FOLDER}/{log_name(2)}", text)
    with pytest.raises(RecordsError, match="update this server"):
        odd.read(NET)
    (result,) = odd.commit([Change(NET, None, binding(10))])
    assert result.outcome is Outcome.UNAVAILABLE


def test_a_share_put_back_to_an_earlier_state_is_believed(share, server, odd, binding):
    add(odd, binding(10))
    before = odd.read(NET)
    share.remove(f"{FOLDER}/{log_name(2)}")
    delta = odd.read(NET, before.version)
    assert delta.gone == (binding(10).key,)
    add(odd, binding(11))
    assert set(server(share).read(NET).rows) == set(odd.read(NET).rows)


def test_a_full_disk_during_compaction_is_told_and_mended(compacting, share, odd, binding):
    def full(verb, name, *_):
        if verb == "sync-data" and not name.endswith((".2", ".4", ".5")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    share.before = full
    for last in range(5):
        odd.commit([Change(NET, None, binding(last))])
        if odd.read(NET).faults:
            break
    assert "free some space" in odd.read(NET).faults[-1].reason
    share.before = lambda *_: None
    for last in range(20, 26):
        add(odd, binding(last))
    assert not odd.read(NET).faults


# -- following


def test_an_unchanged_folder_costs_one_stat_where_a_stat_is_current(share, server, odd, binding):
    calls = []
    share.stat_is_current = True
    share.stat = lambda name: calls.append("stat") or Stamp(1, 1, len(share.folders[FOLDER]), 12345, 12345)
    share.after = lambda verb, *_: calls.append(verb)
    odd.read(NET)
    odd._clock.time += 1.0
    odd.read(NET)
    odd._clock.time += 1.0
    calls.clear()
    assert odd.read(NET, odd.read(NET).version).rows == ()
    assert calls == ["stat", "stat"]
    add(server(share, "even"), binding(10))
    assert len(odd.read(NET).rows) == 1


def test_one_listing_serves_the_reads_of_one_batch(share, server, odd):
    calls = []
    patient = server(share, "even", look_s=0.01)
    share.after = lambda verb, *_: calls.append(verb)
    for _ in range(5):
        patient.read(NET)
    assert calls == ["names"]


def test_who_comes_late_starts_from_the_newest_snapshot(compacting, share, server, odd, binding):
    late = server(share.view(), "late")
    before = late.read(NET)
    for last in range(20, 40):
        add(odd, binding(last))
    delta = late.read(NET, before.version)
    assert not delta.whole
    assert len(delta.rows) == 20
    assert set(delta.rows) == set(odd.read(NET).rows)


def test_peers_are_known_by_their_batches(share, server, odd, binding):
    even = server(share.view(), "even")
    add(even, binding(10))
    odd.read(NET)
    assert list(odd.peers()) == ["even"]
    peer = odd.peers()["even"]
    assert peer.number == 2
    assert abs(peer.heard_s - peer.at_s) < 1


def test_two_servers_on_a_real_directory_agree(compacting, tmp_path, binding):
    stores = [open_records("twinlog", tmp_path) for _ in range(2)]
    stores[0].create(NET)
    wins = []

    def serve(store):
        for last in range(1, 60):
            (result,) = store.commit([Change(NET, None, binding(last))])
            wins.append((result.outcome, last))

    threads = [threading.Thread(target=serve, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = [last for outcome, last in wins if outcome is Outcome.STORED]
    unknown = {last for outcome, last in wins if outcome is Outcome.UNAVAILABLE}  # a busy machine makes sleepers
    assert len(stored) == len(set(stored))
    assert {*stored, *unknown} == set(range(1, 60))
    assert {outcome for outcome, _ in wins} <= {Outcome.STORED, Outcome.EXISTS, Outcome.UNAVAILABLE}
    rows = [set(store.read(NET).rows) for store in (*stores, open_records("twinlog", tmp_path))]
    assert rows[0] == rows[1] == rows[2]
    assert set(stored) <= {row.address & 0xFF for row in rows[0]}


def test_a_missing_directory_says_what_to_do(tmp_path):
    with pytest.raises(RecordsError, match="create it or mount the share"):
        open_records("twinlog", tmp_path / "none")


# -- copies


def test_copies_are_containers_that_the_other_adapter_reads(tmp_path, binding):
    store = open_records("twinlog", tmp_path)
    store.create(NET)
    store.create("installs")
    rows = add(store, binding(10, comment="a|b"), binding(11))
    store.publish()
    copies = SunwFiles(tmp_path)
    assert copies.tables() == [NET, "installs"]
    assert set(copies.read(NET).rows) == set(rows)
    assert not copies.read(NET).faults
    assert store.rescan() == (0, ())
    store.drop("installs")
    store.publish()
    assert copies.tables() == [NET]


def test_copies_follow_a_snapshot_and_a_quiet_time(compacting, share, odd, binding):
    add(odd, binding(11))
    assert COPY in share.folders[""]
    text = share.read(COPY)
    add(odd, binding(12))
    odd.tend()
    assert share.read(COPY) == text
    odd._clock.time += 60
    odd.tend()
    assert b"192.168.76.12|" in share.read(COPY)
    done = []
    share.after = lambda verb, *_: done.append(verb)
    odd._clock.time += 60
    odd.tend()
    assert "rename" not in done


def edit(share, change):
    put(share, COPY, change(share.read(COPY)))


@pytest.fixture
def published(share, odd, binding):
    rows = add(odd, binding(10), binding(11), binding(12))
    odd.publish()
    return rows


def test_an_edited_copy_is_taken_over_row_by_row(share, server, odd, published, binding):
    kept, changed, removed = published
    even = server(share.view(), "even")

    def by_hand(text):
        lines = [line for line in text.splitlines(keepends=True) if not line.startswith(b"192.168.76.12|")]
        lines = [line[:-1] + b"by hand\n" if line.startswith(b"192.168.76.11|") else line for line in lines]
        return b"".join(lines) + b"192.168.76.13|00|00|192.168.76.1|0|1|pxe1|new\n"

    edit(share, by_hand)
    assert even.rescan() == (3, ())
    rows = {row.address & 255: row for row in odd.read(NET).rows}
    assert rows.keys() == {10, 11, 13}
    assert rows[10] == kept
    assert rows[11] == changed._replace(comment="by hand", signature=changed.signature + 1)
    assert rows[13].comment == "new"
    assert even.rescan() == (0, ())  # published anew
    (late,) = odd.commit([Change(NET, removed, removed._replace(lease_s=1))])
    assert late.outcome is Outcome.NOT_FOUND


def test_what_both_sides_changed_stays_ours_and_is_reported(share, odd, published):
    odd.commit([Change(NET, published[1], published[1]._replace(lease_s=99))])
    edit(share, lambda text: text.replace(b"|pxe1|", b"|hand|"))
    taken, (told,) = odd.rescan()
    assert taken == 2
    assert "192.168.76.11" in told
    rows = {row.address & 255: row for row in odd.read(NET).rows}
    assert (rows[11].lease_s, rows[11].macro) == (99, "pxe1")
    assert rows[10].macro == "hand"
    assert any(name.startswith("edited.") for name in share.folders[FOLDER])
    assert odd.rescan() == (0, ())


def test_a_broken_edit_is_kept_and_named_and_removes_nothing(share, odd, published):
    edit(share, lambda text: text.replace(b"192.168.76.11|00|", b"192.168.76.11|0|"))
    taken, (told,) = odd.rescan()
    assert (taken, len(odd.read(NET).rows)) == (0, 3)
    assert "line 7" in told
    assert "hexadecimal" in told


def test_what_is_no_container_is_reported_and_left_alone(share, odd, published):
    put(share, COPY, b"")
    taken, (told,) = odd.rescan()
    assert taken == 0
    assert "first line" in told
    assert share.read(COPY) == b""
    assert len(odd.read(NET).rows) == 3


def test_a_row_that_the_format_cannot_carry_is_refused_by_its_reason(share, odd, published):
    edit(share, lambda text: text.replace(b"192.168.76.12|00|00", b"192.168.76.12|00|99"))
    taken, (told,) = odd.rescan()
    assert taken == 0
    assert "flags" in told


def test_containers_found_in_place_are_taken_over_as_a_whole(network_file, binding):
    before = SunwFiles(network_file.parent)
    rows = {table: set(before.read(table).rows) for table in before.tables()}
    store = open_records("twinlog", network_file.parent)
    assert store.tables() == []
    taken, refused = store.rescan()
    assert taken == sum(map(len, rows.values()))
    assert not refused
    now = {table: {row._replace(signature=0) for row in store.read(table).rows} for table in store.tables()}
    assert now == {table: {row._replace(signature=0) for row in found} for table, found in rows.items()}
    assert store.rescan() == (0, ())


def test_an_edit_of_a_copy_too_old_to_compare_adds_new_rows_only(compacting, share, odd, published):
    old = share.read(COPY)
    for _ in range(8):
        (row, *_) = odd.read(NET).rows
        odd.commit([Change(NET, row, row._replace(lease_s=row.lease_s + 1))])
    put(share, COPY, old.replace(b"|pxe1|", b"|hand|") + b"192.168.76.77|00|00|192.168.76.1|0|1|pxe1|\n")
    taken, refused = odd.rescan()
    assert taken == 1
    assert "too long ago" in refused[0]
    assert not any(row.macro == "hand" for row in odd.read(NET).rows)


def test_copies_never_replace_a_newer_or_an_edited_one(share, server, odd, published, binding):
    even = server(share.view(), "even")
    add(odd, binding(20))
    odd.publish()
    text = share.read(COPY)
    even._copies.publish(even._log.state.frozen(), "")  # even has not looked since
    assert share.read(COPY) == text
    edit(share, lambda data: data + b"# note\n")
    edited = share.read(COPY)
    odd.publish()
    assert share.read(COPY) == edited


# -- tidying


def test_temporary_files_are_swept_by_the_clock_of_the_share(compacting, share, odd, binding):
    put(share, f"{FOLDER}/tmp.dead.1.1", b"")
    dead = share.folders[FOLDER]["tmp.dead.1.1"]
    old = {dead: 0}
    share.stat = lambda name: Stamp(
        1, 0, 0, old.get(share._inode(name), (twinlog_house.TMP_KEPT_S + 1) * 1_000_000_000), 0
    )
    put(share, f"{FOLDER}/tmp.live.1.1", b"")
    for last in range(3):
        add(odd, binding(last))
    assert "tmp.dead.1.1" not in share.folders[FOLDER]
    assert "tmp.live.1.1" in share.folders[FOLDER]


def test_two_snapshots_and_what_is_above_the_older_one_stay(compacting, share, odd, binding):
    for last in range(20):
        add(odd, binding(last))
    names = sorted(name for name in share.folders[FOLDER])
    snapshots = [name for name in names if name.endswith(".snap")]
    logs = [name for name in names if name.endswith(".log")]
    assert len(snapshots) == 2
    assert logs[0][:12] > snapshots[0][:12]
    assert snapshots[1] <= snap_name(int(logs[-1][:12]))


def test_rows_of_all_kinds_survive_compaction(compacting, share, server, odd, binding):
    odd.create("dhcptab")
    odd.commit([Change("dhcptab", None, TabEntry("a|b", "m", 0, ':Rootpath="/x|y":'))])
    for last in range(6):
        add(odd, binding(last))
    assert set(server(share).read("dhcptab").rows) == set(odd.read("dhcptab").rows)
