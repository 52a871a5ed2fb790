"""-C: into another place or another kind of datastore, with nothing lost and nothing half done."""

from pathlib import Path

import pytest

from dhcp.cli import config_convert, service
from dhcp.cli.service import Daemon
from storage.records import (
    ADAPTERS,
    Binding,
    Change,
    Install,
    MemoryRecords,
    Outcome,
    Result,
    SunwFiles,
    TabEntry,
    ipv4_int,
    open_records,
)
from storage.records.port import nothing
from tests.dhcp.cli.dhcpconfig.conftest import Server

NET = "192.168.76.0"
QUESTION = """
Converting your data stores will result in your DHCP service being
stopped, the data stores converted, and the DHCP service restarted.

Are you SURE you want to convert the DHCP data stores? (Y/N): """


def binding(last: int) -> Binding:
    address = ipv4_int(f"192.168.76.{last}")
    return Binding(address, b"\1mac%03d" % last, last % 2, 1, 2**32 - 1, 0, "install-odd", f"a|{last}")


@pytest.fixture
def full(server: Server) -> Server:
    server.configure()
    server.ok(f"-N {NET} -m 24")
    SunwFiles(server.store).commit([Change(NET, None, binding(last)) for last in range(10, 60)])
    return server


def rows(records, table: str) -> set:
    return {row._replace(signature=0) for row in records.read(table).rows}


@pytest.fixture
def second_kind(monkeypatch: pytest.MonkeyPatch) -> dict[str, MemoryRecords]:
    """Return the datastores, by path, of a second kind of which there is an adapter."""
    opened: dict[str, MemoryRecords] = {}
    monkeypatch.setitem(ADAPTERS, "twinlog", lambda path: opened.setdefault(str(path), MemoryRecords()))
    return opened


def test_all_rows_move_and_the_configuration_follows(full: Server) -> None:
    before = {table: rows(SunwFiles(full.store), table) for table in ("dhcptab", NET)}
    said = full.ok("-C -r SUNWfiles -p @/new/place", "Y\n")
    assert said == QUESTION + (
        "DHCP server not running.\nConverted table for network 192.168.76.0.\nConverted dhcptab.\n"
        "Updated DHCP configuration file with new resource and path.\n"
        "Deleted old table for network 192.168.76.0.\nDeleted old dhcptab table.\n"
    )
    new = SunwFiles(full.root / "new" / "place")
    assert {table: rows(new, table) for table in new.tables()} == before
    assert SunwFiles(full.store).tables() == []
    assert full.ok("-P") == ("DAEMON_ENABLED TRUE\nRESOURCE SUNWfiles\nRUN_MODE server\nPATH @/new/place\nCONVER 1\n")


def test_k_keeps_the_old_tables_and_another_kind_is_as_good(full: Server, second_kind) -> None:
    full.ok("-C -r twinlog -p @/log -f -k -u 'some text'")
    (log,) = second_kind.values()
    assert {table: rows(log, table) for table in log.tables()} == {
        table: rows(SunwFiles(full.store), table) for table in SunwFiles(full.store).tables()
    }
    assert "RESOURCE twinlog\n" in full.ok("-P")
    assert full.ok("-P RESOURCE_CONFIG") == "some text\n"
    full.ok("-C -r SUNWfiles -p @/back -f")
    assert log.tables() == []
    assert len(rows(SunwFiles(full.root / "back"), NET)) == 50


def test_no_is_no(full: Server) -> None:
    assert "nothing was changed" in full.refused("-C -r SUNWfiles -p @/new", "n\n")
    assert not (full.root / "new").exists()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-r SUNWbinfiles -p @/new", 'RESOURCE: "SUNWbinfiles" is not legal'),
        ("-r SUNWfiles -p 'host=x password=geheim'", "-p host=x password=***: SUNWfiles needs an absolute directory"),
        ("-r postgresql -p @/new", "PATH is no connection string"),
        ("-r SUNWfiles -p new", 'PATH: "new" is not legal'),
        ("-r SUNWfiles -p @/dhcp/../dhcp", "the source data store is the same as destination data store"),
        ("-r SUNWfiles -p @/file/dhcp", "@/file/dhcp: Not a directory"),
    ],
)
def test_what_is_refused_before_anything_is_touched(full: Server, line: str, reason: str) -> None:
    (full.root / "file").touch()
    assert reason in full.refused(f"-C {line} -f")


def test_a_damaged_row_is_not_left_behind(full: Server) -> None:
    with (full.store / "SUNWfiles1_dhcptab").open("a") as file:
        file.write("nonsense\n")
    assert "dhcptab: line 8 is left out" in full.refused("-C -r SUNWfiles -p @/new -f")


def test_a_place_with_tables_is_not_mixed_up(full: Server) -> None:
    other = full.root / "other"
    other.mkdir()
    SunwFiles(other).create(NET)
    assert "has tables already (192.168.76.0): give an empty place" in full.refused("-C -r SUNWfiles -p @/other -f")
    assert SunwFiles(other).tables() == [NET]


class Lossy(MemoryRecords):
    def __init__(self, refuse: bool) -> None:
        super().__init__()
        self.refuse = refuse

    def commit(self, changes, waits=nothing):
        if self.refuse:
            return [Result(Outcome.FULL, None, "no space left: make room") for _ in changes]
        return [*super().commit(changes[:-1], waits), Result(Outcome.STORED, None, "")]


@pytest.mark.parametrize(
    ("refuse", "reason"), [(True, "no space left: make room"), (False, "the copy does not read back as it was written")]
)
def test_a_failed_copy_leaves_all_as_it_was(
    full: Server, monkeypatch: pytest.MonkeyPatch, refuse: bool, reason: str
) -> None:
    target = Lossy(refuse)
    monkeypatch.setitem(ADAPTERS, "twinlog", lambda path: target)
    before = full.files()
    assert full("-C -r twinlog -p @/new -f") == 255
    assert reason in full.err.splitlines()[0]
    assert target.tables() == []
    assert full.files() == before


def test_changes_by_another_server_stop_it(full: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = config_convert._copy

    def copy_while_another_serves(*args) -> None:
        copy(*args)
        SunwFiles(full.store).commit([Change(NET, None, binding(99))])

    monkeypatch.setattr(config_convert, "_copy", copy_while_another_serves)
    assert full("-C -r SUNWfiles -p @/new -f") == 255
    assert "the old data store was changed meanwhile: stop the DHCP service on every server" in full.err
    assert SunwFiles(full.root / "new").tables() == []
    assert len(rows(SunwFiles(full.store), NET)) == 51
    assert "PATH @/dhcp\n" in full.ok("-P")


def test_the_old_table_stays_if_it_changes_at_the_last_moment(full: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    delete = config_convert._delete

    def renewed(*args) -> None:
        SunwFiles(full.store).commit([Change(NET, None, binding(99))])
        delete(*args)

    monkeypatch.setattr(config_convert, "_delete", renewed)
    assert full("-C -r SUNWfiles -p @/new -f") == 255
    assert "192.168.76.0: rows were added just now: the table stays with these" in full.err
    assert rows(SunwFiles(full.store), NET) == {binding(99)}
    assert "PATH @/new\n" in full.ok("-P")


def test_the_service_is_stopped_meanwhile_and_started_again(full: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def systemctl(name: str, action: str) -> None:
        told.append((action, full.conf.read_text().splitlines()[0]))
        full.daemon = None if action == "stop" else Daemon(4711, supervised=True)

    monkeypatch.setattr(service, "_by_unit", systemctl)
    full.unit, full.daemon = "twinboot.service", Daemon(4711, supervised=True)
    said = full.ok("-C -r SUNWfiles -p @/new -f")
    assert (said.splitlines()[0], "DHCP server started." in said) == ("DHCP server shutdown.", True)
    assert told == [("stop", "DAEMON_ENABLED=FALSE"), ("start", "DAEMON_ENABLED=TRUE")]


def test_a_service_that_cannot_be_stopped_stops_the_conversion(full: Server) -> None:
    full.daemon = Daemon(4711, supervised=True)
    assert "runs under `twinboot serve`" in full.refused("-C -r SUNWfiles -p @/new -f")


FOREIGN = [
    binding(100)._replace(client_id=bytes(range(64)), flags=15, comment="caf\udce9 \\o/ a|b"),
    binding(101)._replace(client_id=b"\0", lease_s=0, flags=4, macro="gr\u00fc\u00dfe|x", comment=""),
]
ENTRIES = [
    TabEntry("a|b", "m", 0, ':Rootpath="/x|y":Include=caf\udce9:'),
    TabEntry("a|b", "s", 0, "Site,150,ASCII,1,0"),
    TabEntry("empty", "m", 0, ""),
]
INSTALL = Install("hv1", "armed", "live-xen", "t|oken", 2**40, 1, 0, "caf\udce9 \\ |")


@pytest.fixture
def foreign(full: Server):
    """Return the server, with rows of every kind and texts in several encodings."""
    records = SunwFiles(full.store)
    records.create("installs")
    changes = [Change(NET, None, row) for row in FOREIGN]
    changes += [Change("dhcptab", None, row) for row in ENTRIES] + [Change("installs", None, INSTALL)]
    assert {result.outcome for result in records.commit(changes)} == {Outcome.STORED}
    return full


def contents(resource: str, path: str) -> dict[str, set]:
    records = open_records(resource, path)
    return {table: rows(records, table) for table in records.tables()}


@pytest.mark.parametrize(
    "way",
    [
        ("postgresql", "SUNWfiles"),
        ("twinlog", "SUNWfiles"),
        ("postgresql", "twinlog", "SUNWfiles"),
        ("twinlog", "postgresql", "SUNWfiles"),
    ],
)
def test_nothing_is_lost_on_the_way_through_every_kind_and_back(foreign, database, way) -> None:
    before = contents("SUNWfiles", str(foreign.store))
    assert len(before[NET]) == 52
    for resource in way:
        place = database if resource == "postgresql" else f"@/{resource}"
        foreign.ok(f"-C -r {resource} -p '{place}' -f")
        assert contents(resource, place.replace("@", str(foreign.root))) == before
        assert f"RESOURCE {resource}\nRUN_MODE server\nPATH {place}\n" in foreign.ok("-P")
    assert open_records("postgresql", database).tables() == []
    assert SunwFiles(foreign.store).tables() == []


def test_one_database_is_not_converted_into_itself(foreign, database) -> None:
    foreign.ok(f"-C -r postgresql -p '{database}' -f")
    again = f"{database} application_name=other"
    assert "same as destination" in foreign.refused(f"-C -r postgresql -p '{again}' -f")


def test_a_password_is_warned_of_and_not_shown(full: Server, database) -> None:
    assert full(f"-C -r postgresql -p '{database} password=geheim' -f -k") == 0
    assert "use passfile=FILE instead" in full.err
    assert "geheim" not in full.out + full.err + full.ok("-P") + full.ok("-P PATH")
    assert "password=geheim" in full.conf.read_text()


def test_a_server_that_is_down_leaves_all_as_it_was(full: Server, tmp_path: Path) -> None:
    before = full.files()
    assert full(f"-C -r postgresql -p 'host={tmp_path} dbname=x' -f") == 255
    assert "start PostgreSQL there, or correct PATH" in full.err
    assert full.files() == before
