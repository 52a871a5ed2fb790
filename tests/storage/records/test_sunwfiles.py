import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest

from storage.records import (
    Binding,
    Change,
    Outcome,
    RecordsError,
    SunwFiles,
    TabEntry,
    descriptors,
    ipv4_int,
    leftovers,
)
from storage.records import durable as durable_module
from tests.rows import rows_of
from tests.storage.records.conftest import Bind

NET = "192.168.76.0"


def rows_by_last_byte(records):
    return {row.address & 0xFF: row for row in records.read(NET).rows}


def one(records, old, new, table=NET):
    (result,) = records.commit([Change(table, old, new)])
    return result


def listing(directory):
    return sorted(os.listdir(directory))


def test_creating_and_adding_gives_suns_bytes(tmp_path: Path, golden: Path) -> None:
    for name, table in (("SUNWfiles1_192_168_76_0", NET), ("SUNWfiles1_dhcptab", "dhcptab")):
        rows = SunwFiles(golden).read(table).rows
        generations = iter([row.signature >> 48 for row in rows])
        records = SunwFiles(tmp_path, generation=generations.__next__)
        records.create(table)
        records.commit([Change(table, None, row._replace(signature=0)) for row in rows])
        lowest = [row._replace(signature=row.signature >> 48 << 48 | 1) for row in rows]
        assert list(records.read(table).rows) == lowest
        assert (tmp_path / name).read_bytes() == (golden / name).read_bytes()
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o644
    assert not [name for name in listing(tmp_path) if "new" in name]


def test_a_modified_row_moves_to_the_end_with_the_next_signature(records: SunwFiles, network_file: Path) -> None:
    before = network_file.read_bytes().splitlines(keepends=True)
    row = rows_by_last_byte(records)[10]
    new = row._replace(client_id=bytes.fromhex("01DEADBEEF0001"), lease_s=1300000000)
    assert one(records, row, new).outcome is Outcome.STORED
    line = b"192.168.76.10|01DEADBEEF0001|00|192.168.76.1|1300000000|10416825938107957250|pxe1|\n"
    assert network_file.read_bytes() == b"".join([*before[:4], *before[5:], line])


def test_signatures_beyond_a_signed_64_bit_number_can_be_matched(records: SunwFiles) -> None:
    rows = rows_of(records, NET, Binding)
    assert sum(row.signature >= 2**63 for row in rows) == 4
    results = records.commit([Change(NET, row, row._replace(lease_s=1)) for row in rows])
    assert {result.outcome for result in results} == {Outcome.STORED}


def test_dhcptab_keys_are_name_and_type(records: SunwFiles) -> None:
    assert one(records, None, TabEntry("Locale", "m", 0, ":"), "dhcptab").outcome is Outcome.EXISTS


def test_tables_are_found_by_suns_pattern(records: SunwFiles, network_file: Path) -> None:
    for name in (
        "SUNWfiles1_10_0_0_0",
        "SUNWfiles1_10_0_0_0.new",
        "SUNWfiles2_10_1_0_0",
        "SUNWfiles1_10_2_0_999",
        "SUNWfiles1_10_3_0",
        ".SUNWfiles1_10.4.0.0.lock",
        "xSUNWfiles1_10_5_0_0",
        "twinboot1_installs",
        "twinboot1_guests",
    ):
        (network_file.parent / name).touch()
    assert records.tables() == ["10.0.0.0", NET, "dhcptab", "guests", "installs"]


def test_our_own_container_is_not_a_network_to_sun(tmp_path: Path) -> None:
    records = SunwFiles(tmp_path)
    records.create("installs")
    assert (tmp_path / "twinboot1_installs").read_bytes().startswith(b"# twinboot1_installs\n#\n")
    assert records.read("installs").rows == ()


def test_lock_files_bear_suns_names(records: SunwFiles, network_file: Path) -> None:
    records.commit([Change(NET, None, None), Change("dhcptab", None, None)])
    locks = [name for name in listing(network_file.parent) if name.endswith(".lock")]
    assert locks == [".SUNWfiles1_192.168.76.0.lock", ".SUNWfiles1_dhcptab.lock"]


def test_a_batch_without_success_writes_nothing(records: SunwFiles, network_file: Path, binding: Bind) -> None:
    before = network_file.stat()
    assert one(records, None, binding(10)).outcome is Outcome.EXISTS
    after = network_file.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_rewrite_keeps_mode_and_stray_lines(records: SunwFiles, network_file: Path, binding: Bind) -> None:
    network_file.chmod(0o640)
    with network_file.open("ab") as file:
        file.write(b"# by hand\n\n192.168.76.14|0|00|192.168.76.1|0|1|m|\n192.168.76.15|00|00|192.168.76.1|0|1|m|end")
    before = network_file.read_bytes()
    assert one(records, None, binding(20)).outcome is Outcome.STORED
    assert network_file.read_bytes().startswith(before + b"\n192.168.76.20|")
    assert stat.S_IMODE(network_file.stat().st_mode) == 0o640
    assert [fault.line for fault in records.read(NET).faults] == [11]


def test_a_missing_table_or_directory_leaves_no_lock_file(
    records: SunwFiles, network_file: Path, binding: Bind
) -> None:
    before = listing(network_file.parent)
    (result,) = records.commit([Change("10.0.0.0", None, binding(1, address=ipv4_int("10.0.0.1")))])
    assert result.outcome is Outcome.NOT_FOUND
    assert listing(network_file.parent) == before
    network_file.parent.rename(f"{network_file.parent}.gone")
    assert one(records, None, binding(20)).outcome is Outcome.UNAVAILABLE
    with pytest.raises(RecordsError, match="create it or mount the share"):
        records.tables()


def test_temporary_files_of_crashed_writers_are_removed_when_old(
    records: SunwFiles, network_file: Path, binding: Bind
) -> None:
    directory = network_file.parent
    young, old, suns = (directory / name for name in (".twinboot1_new.a", ".twinboot1_new.b", "SUNWfiles1_dhcptab.new"))
    for path in (young, old, suns):
        path.touch()
    os.utime(old, (0, 0))
    os.utime(suns, (0, 0))
    one(records, None, binding(20))
    assert (young.exists(), old.exists(), suns.exists()) == (True, False, True)


@pytest.mark.parametrize(
    ("call", "code", "outcome"),
    [
        ("writev", errno.ENOSPC, Outcome.FULL),
        ("fsync", errno.EDQUOT, Outcome.FULL),
        ("fsync", errno.EIO, Outcome.UNAVAILABLE),
        ("rename", errno.EROFS, Outcome.DENIED),
        ("rename", errno.ESTALE, Outcome.UNAVAILABLE),
        ("fchmod", errno.EPERM, Outcome.DENIED),
    ],
)
def test_a_failed_write_is_reported_and_leaves_no_trace(
    records: SunwFiles,
    network_file: Path,
    binding: Bind,
    monkeypatch: pytest.MonkeyPatch,
    call,
    code,
    outcome,
) -> None:
    records.read(NET)
    before = network_file.read_bytes()
    stored = rows_by_last_byte(records)[10]

    def fail(*_args, **_kwargs):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        results = records.commit([Change(NET, None, binding(20)), Change(NET, None, binding(11))])
    assert [result.outcome for result in results] == [outcome, Outcome.EXISTS]
    assert "\n" not in results[0].detail
    assert str(network_file) in results[0].detail
    assert network_file.read_bytes() == before
    assert not [name for name in listing(network_file.parent) if name.startswith(durable_module.TEMP_PREFIX)]
    assert one(records, stored, stored._replace(lease_s=3)).outcome is Outcome.STORED


def test_after_a_failed_directory_sync_the_file_is_believed(
    records: SunwFiles, monkeypatch: pytest.MonkeyPatch, binding: Bind
) -> None:
    version = records.read(NET).version

    def fail(_directory):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(descriptors, "sync_directory", fail)
        result = one(records, None, binding(20))
    assert (result.outcome, result.row) == (Outcome.UNAVAILABLE, None)
    assert [row.key for row in records.read(NET, version).rows] == [binding(20).key]


@pytest.mark.parametrize(("generation", "is_held"), [(7, True), (0, False)])
def test_what_is_replaced_is_held_where_the_file_system_is_local(
    records: SunwFiles,
    network_file: Path,
    binding: Bind,
    monkeypatch: pytest.MonkeyPatch,
    generation,
    is_held,
) -> None:
    held = []
    monkeypatch.setattr(descriptors, "generation", lambda _: generation)  # NFS tells none
    monkeypatch.setattr(leftovers.Leftovers, "hold", lambda _, path: held.append(path))
    assert one(records, None, binding(20)).outcome is Outcome.STORED
    assert held == ([str(network_file)] if is_held else [])


@pytest.mark.parametrize(
    ("code", "lets_go", "outcome"),
    [
        (errno.ENOSPC, True, Outcome.STORED),
        (errno.ENOSPC, False, Outcome.FULL),
        (errno.EIO, True, Outcome.UNAVAILABLE),
    ],
)
def test_room_that_a_replaced_file_still_takes_is_waited_for(
    records: SunwFiles, binding: Bind, monkeypatch: pytest.MonkeyPatch, code, lets_go, outcome
) -> None:
    writev, full = os.writev, [True]

    def write(fd, pieces):
        if full[0]:
            raise OSError(code, os.strerror(code))
        return writev(fd, pieces)

    def are_gone():
        full[0] = False
        return lets_go

    monkeypatch.setattr(os, "writev", write)
    monkeypatch.setattr(leftovers, "are_gone", are_gone)
    assert one(records, None, binding(20)).outcome is outcome
    assert (binding(20).key in {row.key for row in records.read(NET).rows}) == (outcome is Outcome.STORED)


@pytest.mark.root
def test_a_full_file_system(tmp_path: Path, binding: Bind) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], check=True)
    try:
        records = SunwFiles(mount)
        records.create(NET)
        with pytest.raises(OSError, match="No space"):
            (mount / "filler").write_bytes(bytes(128 * 1024))
        rows = [Change(NET, None, binding(last)) for last in range(1, 200)]
        assert {result.outcome for result in records.commit(rows)} == {Outcome.FULL}
        (mount / "filler").unlink()
        assert {result.outcome for result in records.commit(rows)} == {Outcome.STORED}
    finally:
        subprocess.run(["umount", mount], check=True)


def test_what_a_failed_write_left_in_memory_is_never_read(
    records: SunwFiles, binding: Bind, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = records.read(NET).version
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "I/O error")))
        records.commit([Change(NET, None, binding(20))])
    delta = records.read(NET, version)
    assert binding(20).key not in {row.key for row in delta.rows}
    assert one(records, None, binding(20)).outcome is Outcome.STORED


def test_a_directory_that_cannot_be_synced_leaves_it_open_what_is_there(
    records: SunwFiles, network_file: Path, binding: Bind, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fail(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        (result,) = records.commit([Change(NET, None, binding(20))])
    assert result.outcome is Outcome.UNAVAILABLE
    assert 20 in rows_by_last_byte(records)
