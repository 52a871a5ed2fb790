"""-X and -I: the file, both ways, and what happens when it or the datastore is not as it should be."""

import os

import pytest

from dhcp.cli.common import Session
from dhcp.cli.config_tables import commit_whole
from dhcp.cli.exchange import ExchangeError, parse, render
from storage.records import (
    FREE_ID,
    MACRO,
    SYMBOL,
    Binding,
    Change,
    MemoryRecords,
    SunwFiles,
    TabEntry,
    ipv4_int,
)
from storage.records.port import nothing
from tests.dhcp.cli.dhcpconfig.conftest import NET, Server
from tests.rows import rows_of

GOLDEN = """\
# twinboot exchange 1

[dhcptab]
# name|type|0|value
GrubMenu|s|0|Site,150,ASCII,1,0
192.168.76.0|m|0|:Subnet=255.255.255.0:RDiscvyF=1:Broadcst=192.168.76.255:
Locale|m|0|:UTCoffst=-18000:
install-odd|m|0|:Include=Locale:Timeserv=192.168.78.14:LeaseTim=86400:LeaseNeg:
pipe|m|0|:BootFile="a|b":

[192.168.76.0]
# address|client id|flags|server|lease|0|macro|comment
192.168.76.9|00|00|192.168.78.14|0|0|install-odd|
192.168.76.10|0100144F000001|03|192.168.78.14|4294967295|0|install-odd|a\\|b

[end]
"""


def binding(last: int, client_id: bytes = FREE_ID, flags: int = 0, lease_s: int = 0, comment: str = "") -> Binding:
    address = ipv4_int(f"192.168.76.{last}")
    return Binding(address, client_id, flags, ipv4_int("192.168.78.14"), lease_s, 0, "install-odd", comment)


ROWS = [binding(10, bytes.fromhex("0100144F000001"), 3, 0xFFFFFFFF, "a|b"), binding(9)]
ENTRIES = [TabEntry("GrubMenu", SYMBOL, 0, "Site,150,ASCII,1,0"), TabEntry("pipe", MACRO, 0, ':BootFile="a|b":')]


@pytest.fixture
def full(server: Server) -> Server:
    """A server with a network, two bindings, a symbol and a macro of its own."""
    server.configure()
    server.ok(f"-N {NET} -m 24")
    changes = [Change(NET, None, row) for row in ROWS] + [Change("dhcptab", None, entry) for entry in ENTRIES]
    SunwFiles(server.store).commit(changes)
    return server


def empty(server: Server) -> None:
    """Make it a server with a dhcptab and nothing in it."""
    server.ok("-U -f -x")
    server.machine = server.machine._replace(name="install-even")
    server.configure()


def test_the_file_is_text_that_people_can_read(full: Server) -> None:
    assert full.ok("-X @/out -m ALL -o ALL -a ALL") == "Exported 4 macros, 1 options, 1 networks with 2 addresses.\n"
    assert (full.root / "out").read_text() == GOLDEN
    assert (full.root / "out").stat().st_mode & 0o777 == 0o644


def test_a_chosen_part_is_exported_as_the_manual_page_has_it(full: Server) -> None:
    full.ok(f"-X @/out -a {NET} -m {NET},Locale -o GrubMenu")
    tables = parse((full.root / "out").read_bytes())
    assert [row.key for row in tables["dhcptab"]] == [("GrubMenu", SYMBOL), (NET, MACRO), ("Locale", MACRO)]
    assert len(tables[NET]) == 2


def test_import_gives_back_what_was_exported(full: Server) -> None:
    full.ok("-X @/out -m ALL -o ALL -a ALL")
    before = full.rows(NET), full.macros()
    empty(full)
    said = full.ok("-I @/out")
    assert said.endswith("networks with 2 addresses: 6 added, 0 replaced, 1 there already.\n")
    assert {key: row._replace(signature=0) for key, row in full.rows(NET).items()} == {
        key: row._replace(signature=0) for key, row in before[0].items()
    }
    assert before[1].items() < full.macros().items()
    assert "0 added, 0 replaced, 7 there already" in full.ok("-I @/out")


def test_x_deletes_what_was_exported_and_nothing_else(full: Server) -> None:
    full.ok(f"-X @/out -a {NET} -m pipe -x")
    assert SunwFiles(full.store).tables() == ["dhcptab"]
    assert "pipe" not in full.macros()
    assert "Locale" in full.macros()
    full.ok("-I @/out")
    assert len(full.rows(NET)) == 2


def test_what_changes_during_an_export_is_not_deleted(full: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def renewed(path, data, *, replace):
        store = SunwFiles(full.store)
        row = next(row for row in rows_of(store, NET, Binding) if row.client_id == FREE_ID)
        store.commit([Change(NET, row, row._replace(client_id=b"\1new"))])

    monkeypatch.setattr("dhcp.cli.config_exchange._write", renewed)
    assert full(f"-X @/out -a {NET} -x") == 255
    assert "192.168.76.9 of 192.168.76.0 was changed by somebody else: nothing of 192.168.76.0 was deleted" in full.err
    assert len(full.rows(NET)) == 2


def test_conflicts_are_named_and_nothing_is_written(full: Server) -> None:
    full.ok("-X @/out -m ALL -o ALL -a ALL")
    text = (full.root / "out").read_text()
    (full.root / "out").write_text(
        text.replace("-18000", "3600").replace("9|00|00", "9|01AB|00").replace("pipe|", "new|")
    )
    before = full.files()
    assert full("-I @/out") == 255
    assert full.err == (
        "dhcpconfig: dhcptab: Locale m is there with other data: -f replaces it\n"
        "dhcpconfig: 192.168.76.0: 192.168.76.9 is there with other data: -f replaces it\n"
    )
    assert full.files() == before
    assert full.ok("-I @/out -f").endswith("1 added, 2 replaced, 4 there already.\n")
    assert full.macros()["Locale"] == ":UTCoffst=3600:"
    replaced = full.rows(NET)[ipv4_int("192.168.76.9")]
    assert isinstance(replaced, Binding)
    assert replaced.client_id == b"\1\xab"


def test_an_import_that_disables_a_macro_says_so(server: Server) -> None:
    server.configure()
    (server.root / "in").write_text("# twinboot exchange 1\n[dhcptab]\nodd|m|0|:Include=nothing:\n[end]\n")
    assert server("-I @/in") == 0
    assert server.err.startswith("dhcpconfig: warning: odd is disabled: ")


def test_rows_that_can_never_be_stored_stop_the_whole_import(server: Server) -> None:
    server.configure()
    long = "c" * 60
    (server.root / "in").write_text(
        f"# twinboot exchange 1\n[dhcptab]\ngood|m|0|:LeaseNeg:\n[{NET}]\n"
        f"192.168.76.1|00|00|10.0.0.1|0|0|m|{long}\n10.0.0.1|00|00|10.0.0.1|0|0|m|\n[end]\n"
    )
    before = server.files()
    assert server("-I @/in") == 255
    assert [line.split(": ")[1] for line in server.err.splitlines()] == [
        "192.168.76.1 of 192.168.76.0",
        "10.0.0.1 of 192.168.76.0",
    ]
    assert server.files() == before


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "line 1: its first line is not that of an export"),
        (b"\x1f\x8b\x08\0", "line 1: its first line is not that of an export"),
        (b"# twinboot exchange 2\n[end]\n", "line 1: its first line"),
        (b"# twinboot exchange 1\r\n[end]\r\n", "line 1: it has carriage returns"),
        (b"# twinboot exchange 1\n[dhcptab]\n", "line 3: the file ends without [end]: it was cut off"),
        (b"# twinboot exchange 1\nLocale|m|0|:\n[end]\n", "line 2: stands before the first section"),
        (b"# twinboot exchange 1\n[installs]\n[end]\n", "line 2: '[installs]' is no section"),
        (b"# twinboot exchange 1\n[10.0.0]\nx|y\n[end]\n", "line 2: '[10.0.0]' is no section"),
        (b"# twinboot exchange 1\n[dhcptab\n[end]\n", "line 2: '[dhcptab' is no section"),
        (b"# twinboot exchange 1\n[dhcptab]\n[dhcptab]\n[end]\n", "line 3: the section dhcptab begins a second time"),
        (b"# twinboot exchange 1\n[dhcptab]\nLocale|m|0\n[end]\n", "line 3: of dhcptab has 3 fields instead of 4"),
        (
            b"# twinboot exchange 1\n[dhcptab]\na|m|0|:\n\na|m|0|:\n[end]\n",
            "line 5: a m of dhcptab stands in line 3 already",
        ),
        (b"# twinboot exchange 1\n[10.0.0.0]\n10.0.0.1|0|00|10.0.0.1|0|0||\n[end]\n", "line 3: of 10.0.0.0 client id"),
        (b"# twinboot exchange 1\n[end]\n[dhcptab]\n", "line 3: stands after [end]"),
    ],
)
def test_a_file_that_is_not_whole_and_good_is_refused_with_the_line(server: Server, body: bytes, reason: str) -> None:
    server.configure()
    (server.root / "in").write_bytes(body)
    assert f"@/in: {reason}" in server.refused("-I @/in")


def test_of_many_faults_the_first_are_told() -> None:
    with pytest.raises(ExchangeError) as caught:
        parse(b"# twinboot exchange 1\n[dhcptab]\n" + b"x\n" * 1000 + b"[end]\n")
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 980 more"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-X @/out", "say what to export"),
        ("-X @/out -m nothing", "there is no macro nothing to export"),
        ("-X @/out -o Locale", "there is no option Locale to export"),
        ("-X @/out -a 10.0.0.0", "there is no network 10.0.0.0 to export"),
        ("-X @/no/out -m ALL", "@/no/out: No such file or directory"),
        ("-X @/pipe -m ALL -f", "@/pipe is no regular file"),
        ("-X @ -m ALL -f", "@ is no regular file"),
        ("-X @/there -m ALL", "file already exists and will not be overwritten - @/there: -f overwrites it"),
        ("-I @/none", "@/none: No such file or directory"),
        ("-I @", "@: Is a directory"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(full: Server, line: str, reason: str) -> None:
    (full.root / "there").write_text("precious")
    os.mkfifo(full.root / "pipe")
    before = full.files()
    assert full(line) == 255
    assert reason in full.err.splitlines()[0]
    assert full.files() == before


def test_f_overwrites_the_file(full: Server) -> None:
    (full.root / "out").write_text("old")
    full.ok("-X @/out -m Locale -f")
    assert (full.root / "out").read_text().startswith("# twinboot exchange 1\n")


def test_a_damaged_row_stops_an_export(full: Server) -> None:
    with (full.store / "SUNWfiles1_192_168_76_0").open("a") as file:
        file.write("192.168.76.77|oops\n")
    assert "192.168.76.0: line 7 is left out" in full.refused("-X @/out -a ALL")


def test_g_after_an_import_needs_a_daemon(full: Server) -> None:
    full.ok("-X @/out -m ALL")
    assert full("-I @/out -g") == 255
    assert "Unable to signal the daemon" in full.err


class Racing(MemoryRecords):
    """Somebody else adds 192.168.76.9 just before each commit that adds 192.168.76.10 as well."""

    def commit(self, changes, waits=nothing):
        if {change.new and change.new.key for change in changes} > {ipv4_int("192.168.76.9")}:
            super().commit([Change(NET, None, binding(9, b"\1theirs"))])
        return super().commit(changes, waits)


def test_a_container_gets_all_rows_or_none() -> None:
    records = Racing()
    records.create(NET)
    with pytest.raises(Exception, match=r"192\.168\.76\.0 already has 192\.168\.76\.9"):
        commit_whole(records, NET, [Change(NET, None, row) for row in ROWS])
    assert [row.client_id for row in rows_of(records, NET, Binding)] == [b"\1theirs"]


def test_an_import_that_loses_a_race_names_it(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    from dhcp.cli import dhcpconfig  # noqa: PLC0415 - beside its only use: the fixture's server has real files

    server.configure()
    records = Racing()
    records.create("dhcptab")
    (server.root / "in").write_bytes(render({NET: ROWS}))
    assert dhcpconfig.main(["-I", str(server.root / "in")], Session(lambda resource, path: records)) == 255
    assert "already has 192.168.76.9: nothing was imported into 192.168.76.0" in capsys.readouterr().err
    assert len(records.read(NET).rows) == 1  # theirs
