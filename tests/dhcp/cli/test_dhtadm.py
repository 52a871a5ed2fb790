"""dhtadm as typed in Sun's manuals, its listing, its exit codes, and what it says to bad input."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dhcp.cli import dhtadm, service
from dhcp.options import MessageType
from storage.records import Change, MemoryRecords, Outcome, TabEntry
from tests.dhcp.cli.conftest import Shell
from tests.dhcp.conftest import Lab, make_binding, make_store

VENDOR = "Vendor=SUNW.Sun-Blade-1000 SUNW.Sun-Fire-880 SUNW.i86pc"
INSTALL_GUIDE = {
    "SrootOpt": f"{VENDOR},1,ASCII,1,0",
    "SrootIP4": f"{VENDOR},2,IP,1,1",
    "SrootNM": f"{VENDOR},3,ASCII,1,0",
    "SrootPTH": f"{VENDOR},4,ASCII,1,0",
    "SswapIP4": f"{VENDOR},5,IP,1,0",
    "SbootRS": f"{VENDOR},9,NUMBER,2,1",
    "SinstIP4": f"{VENDOR},10,IP,1,1",
}
"""Symbols that the Solaris installation guide tells people to define."""


@pytest.fixture
def tab(shell: Shell) -> Shell:
    shell.ok("dhtadm -C")
    return shell


def value(shell: Shell, name: str, kind: str = "m") -> str:
    row = shell.rows("dhcptab")[(name, kind)]
    assert isinstance(row, TabEntry)
    return row.value


def test_macros_of_opensolaris_print_as_its_installer_expects(tab: Shell) -> None:
    tab.ok("dhtadm -A -m hoover -d ':LeaseNeg:'")
    tab.ok("""dhtadm -A -m 192.168.0.0 -d ':Include=hoover:BootFile="http://1.1.1.1:80/wanboot-cgi":'""")
    assert tab("dhtadm -A -m macro_foo -d ':Include=fluffy:BootFile=install_test_ai_x86:'") == 0
    assert tab.err == (
        "dhtadm: warning: macro macro_foo is disabled: "
        "Include=fluffy: macro fluffy is not defined: add it or correct the name\n"
    )
    tab.ok("""dhtadm -A -m 01000AE429C1EF -d ':BootSrvA=172.20.25.12:BootFile="01000AE429C1EF":'""")
    tab.ok("dhtadm -A -s GrubMenu -d Site,150,ASCII,1,0")
    assert tab("dhtadm -P") == 0
    assert tab.out == (
        "Name                \tType    \tValue\n"
        "==================================================\n"
        '01000AE429C1EF      \tMacro   \t:BootSrvA=172.20.25.12:BootFile="01000AE429C1EF":\n'
        '192.168.0.0         \tMacro   \t:Include=hoover:BootFile="http://1.1.1.1:80/wanboot-cgi":\n'
        "hoover              \tMacro   \t:LeaseNeg:\n"
        "macro_foo           \tMacro   \t:Include=fluffy:BootFile=install_test_ai_x86:\n"
        "GrubMenu            \tSymbol  \tSite,150,ASCII,1,0\n"
    )
    assert tab.err == (
        "dhtadm: macro macro_foo is disabled: Include=fluffy: macro fluffy is not defined: add it or correct the name\n"
    )


def test_the_symbols_of_the_installation_guide_are_taken_as_printed(tab: Shell) -> None:
    for name, text in INSTALL_GUIDE.items():
        tab.ok(f"dhtadm -A -s {name} -d '{text}'")
    tab.ok("dhtadm -A -m SUNW.i86pc -d ':SrootIP4=10.0.0.1:SrootPTH=\"/x:y\":SbootRS=1024:'")
    assert {key[0] for key in tab.rows("dhcptab")} == {*INSTALL_GUIDE, "SUNW.i86pc"}  # type: ignore[index]


def test_the_examples_of_dhcptab_4(tab: Shell) -> None:
    tab.ok("dhtadm -A -s MystatRt -d Site,130,IP,2,0")
    tab.ok("dhtadm -A -m 10netnis -d ':MystatRt=3.0.0.0 10.0.0.30:'")
    tab.ok("dhtadm -A -m slp -d ':SLP_DA=00c0a80105c0a80085:SLP_SS=006861707079:'")
    assert value(tab, "10netnis") == ":MystatRt=3.0.0.0 10.0.0.30:"


def test_the_examples_of_dhtadm_1m(tab: Shell) -> None:
    tab.ok("dhtadm -A -s MySym -d 'Vendor=SUNW.PCW.LAN,20,IP,1,0' -r SUNWfiles -p /var/mydhcp")
    tab.ok("dhtadm -A -m aruba -d ':Timeserv=10.0.0.10 10.0.0.11:DNSserv=10.0.0.1:'")
    tab.ok("dhtadm -M -m aruba -e 'Timeserv='")
    assert value(tab, "aruba") == ":DNSserv=10.0.0.1:"
    tab.ok("dhtadm -M -m aruba -e 'Hostname=_NULL_VALUE_'")
    assert value(tab, "aruba") == ":DNSserv=10.0.0.1:Hostname:"
    tab.ok("dhtadm -A -m Locale -d ':UTCoffst=-18000:'")
    assert tab.refused("dhtadm -M -m Locale -e 'UTCOffst=18000'") == (
        3,
        "dhtadm: macro Locale: symbol UTCOffst is not defined: write UTCoffst",
    )
    tab.ok("dhtadm -M -m Locale -e 'UTCoffst=18000'")
    tab.ok("dhtadm -M -m Locale -n MyLocale")
    assert value(tab, "MyLocale") == ":UTCoffst=18000:"
    tab.ok("dhtadm -D -s MySym")
    tab.ok("dhtadm -R")
    assert tab.records.tables() == []


@pytest.mark.parametrize(
    ("before", "edit", "after"),
    [
        (":LeaseNeg:", "LeaseTim=600", ":LeaseNeg:LeaseTim=600:"),
        (":LeaseTim=60:LeaseNeg:", "LeaseTim=600", ":LeaseTim=600:LeaseNeg:"),
        (":LeaseNeg:", "LeaseNeg=_NULL_VALUE_", ":LeaseNeg:"),
        (":LeaseNeg:", "BootFile=http://10.0.0.1/grub", ':LeaseNeg:BootFile="http://10.0.0.1/grub":'),
        (":LeaseNeg:", 'BootFile="http://10.0.0.1/grub"', ':LeaseNeg:BootFile="http://10.0.0.1/grub":'),
        (":LeaseNeg:", 'DNSdmain=a\\"b', ':LeaseNeg:DNSdmain="a\\"b":'),
        (':BootFile="a:b\\\\c":', "LeaseTim=5", ':BootFile="a:b\\\\c":LeaseTim=5:'),
        (":BootFile=bare:Router@:", "LeaseTim=5", ':BootFile="bare":Router@:LeaseTim=5:'),
        (":Include=a:LeaseNeg:", "Include=b c", ":Include=b c:LeaseNeg:"),
        (":DNSserv=10.0.0.1:DNSserv=10.0.0.2:", "DNSserv=10.0.0.3", ":DNSserv=10.0.0.1:DNSserv=10.0.0.3:"),
        (":DNSserv=10.0.0.1:LeaseNeg:DNSserv=10.0.0.2:", "DNSserv=", ":LeaseNeg:"),
        (":Wrong=1:LeaseTim=x:", "Wrong=", ":LeaseTim=x:"),  # mended one by one
        (":LeaseNeg:", "LeaseNeg=", ":"),
    ],
)
def test_editing_one_symbol_leaves_the_others(tab: Shell, before: str, edit: str, after: str) -> None:
    tab.records.commit([Change("dhcptab", None, TabEntry("m1", "m", 0, before))])
    assert tab(f"dhtadm -M -m m1 -e '{edit}'") == 0
    assert value(tab, "m1") == after


def test_a_site_symbol_can_be_used_at_once_and_a_change_of_it_checked(tab: Shell) -> None:
    tab.ok("dhtadm -A -s Menu -d Site,150,ASCII,1,0")
    tab.ok("dhtadm -A -m x -d ':Menu=menu.lst:'")
    assert tab("dhtadm -M -s Menu -d Site,150,IP,1,0") == 0
    assert tab.err.startswith("dhtadm: warning: macro x is disabled: Menu: 'menu.lst' is not an address")
    assert tab("dhtadm -D -s Menu") == 0
    assert tab.err == ""  # still disabled, nothing new


def test_a_symbol_and_a_macro_may_share_a_name_and_be_renamed(tab: Shell) -> None:
    tab.ok("dhtadm -A -s Locale -d Site,200,ASCII,1,0")
    tab.ok("dhtadm -A -m Locale -d ':UTCoffst=0:'")
    tab.ok("dhtadm -M -s Locale -n Place")
    assert set(tab.rows("dhcptab")) == {("Place", "s"), ("Locale", "m")}


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("dhtadm -C", 1, "it is there already"),
        ("dhtadm -A -m known -d ':LeaseNeg:'", 1, "macro known is there already: change it with -M"),
        ("dhtadm -M -m known -n other", 1, "macro other is there already: choose another name"),
        ("dhtadm -M -m nobody -d ':LeaseNeg:'", 2, "there is no macro nobody: add it with -A"),
        ("dhtadm -M -m nobody -e 'LeaseTim=5'", 2, "there is no macro nobody"),
        ("dhtadm -M -s nobody -n other", 2, "there is no symbol nobody"),
        ("dhtadm -D -m nobody", 2, "there is no macro nobody: see the names with -P"),
        ("dhtadm -D -s known", 2, "there is no symbol known"),
        ("dhtadm -A -m x -d 'LeaseNeg'", 3, "with colons at both ends"),
        ("dhtadm -A -m x -d ':LeaseNeg'", 3, "with colons at both ends"),
        ("dhtadm -A -m x -d ':'", 3, "with colons at both ends"),
        ("dhtadm -A -m x -d ''", 3, "with colons at both ends"),
        ("dhtadm -A -m x -d ':Nonsense=1:'", 3, "symbol Nonsense is not defined"),
        ("dhtadm -A -m x -d ':SrootNM=a:'", 3, "add it as Vendor=<client class>,3,ASCII,1,0"),
        ("dhtadm -A -m x -d ':Router=10.0.0:'", 3, "is not an address"),
        ("dhtadm -A -m x -d ':LeaseTim=1 2:'", 3, "LeaseTim takes at most 1"),
        ("dhtadm -A -m x -d ':StaticRt=10.0.0.1:'", 3, "in groups of 2"),
        ("dhtadm -A -m x -d ':LeaseNeg=1:'", 3, "LeaseNeg is a flag"),
        ("dhtadm -A -m x -d ':LeaseTim:'", 3, "LeaseTim has no value"),
        ("""dhtadm -A -m x -d ':BootFile="a:'""", 3, "a double quote is not closed"),
        ("dhtadm -A -m x -d ':ServerID=10.0.0.1:'", 3, "set by the server itself"),
        ("dhtadm -A -m '' -d ':LeaseNeg:'", 3, "is empty"),
        (f"dhtadm -A -m {'x' * 129} -d ':LeaseNeg:'", 3, "at most 128 fit"),
        ("dhtadm -A -m 'x\ny' -d ':LeaseNeg:'", 3, "it has a control character (a line feed?)"),
        ("dhtadm -A -s x -d Site,127,IP,1,0", 3, "use 128 to 254"),
        ("dhtadm -A -s x -d Site,150,BOOLEAN,0,0", 3, "is unknown: use one of"),
        ("dhtadm -A -s x -d Site,150,IP,1", 3, "five fields"),
        ("dhtadm -A -s Router -d Site,150,IP,1,0", 3, "built in and cannot be defined again"),
        ("dhtadm -M -m known -d 'x'", 3, "with colons at both ends"),
        ("dhtadm -M -m known -e 'LeaseTim'", 3, "write symbol=value"),
        ("dhtadm -M -m known -e '=5'", 3, "write symbol=value"),
        ("dhtadm -M -m known -e 'LeaseTim='", 3, "nothing to take out"),
        ("dhtadm -M -m known -e 'LeaseTim=_NULL_VALUE_'", 3, "LeaseTim has no value"),
        ("dhtadm -M -m known -e 'LeaseNeg=1'", 3, "LeaseNeg is a flag"),
        ("dhtadm -M -m twice -e 'Include=c'", 3, "give the whole macro with -d"),
        ("dhtadm -M -m quoted -e 'LeaseTim=1'", 3, "give the whole macro with -d"),
        ("dhtadm -M -s Menu -n Router", 3, "built in"),
        ("dhtadm -P -g", 3, "Unable to signal the daemon to reload the dhcptab: "),
        ("dhtadm", 4, "give one of -C -A -M -D -R -P -B"),
        ("dhtadm -A -M", 4, "give one of -C -A -M -D -R -P -B, not 2"),
        ("dhtadm -A -m x", 4, "-A needs -d"),
        ("dhtadm -A -d ':LeaseNeg:'", 4, "give a symbol's name with -s or a macro's name with -m"),
        ("dhtadm -A -m x -s y -d ':LeaseNeg:'", 4, "not both"),
        ("dhtadm -A -m x -m y -d ':LeaseNeg:'", 4, "-m is given twice"),
        ("dhtadm -A -m x -d ':LeaseNeg:' -e a=b", 4, "-e does not go with -A"),
        ("dhtadm -M -m known", 4, "give one of -d, -n and -e"),
        ("dhtadm -M -m known -n x -d ':LeaseNeg:'", 4, "give one of -d, -n and -e"),
        ("dhtadm -M -s Menu -e a=b", 4, "-e edits macros only"),
        ("dhtadm -C extra", 4, "-C takes no operands, not 1"),
        ("dhtadm -Z", 4, "option -Z not recognized"),
        ("dhtadm -D -m", 4, "option -m requires argument"),
        ("dhtadm -C --json", 4, "--json does not go with -C"),
        ("dhtadm -B /nowhere/batch", 4, "/nowhere/batch: No such file or directory: name a batch file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tab: Shell, line: str, code: int, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(service, "find", lambda _port: None)
    given = {
        "known": ":LeaseNeg:",
        "other": ":LeaseNeg:",
        "twice": ":Include=known:Include=other:",
        "quoted": ':Odd="a:b":',
    }
    entries = [TabEntry(name, "m", 0, text) for name, text in given.items()]
    entries.append(TabEntry("Menu", "s", 0, "Site,150,ASCII,1,0"))
    tab.records.commit([Change("dhcptab", None, entry) for entry in entries])
    before = tab.rows("dhcptab")
    if line == "dhtadm -P -g":
        assert tab(line) == code
        assert words in tab.err
    else:
        assert words in tab.refused(line)[1]
        assert tab(line) == code
    assert tab.err.startswith("dhtadm: ")
    assert ("\n\ndhtadm [-r resource]" in tab.err) == (code == 4 and not line.endswith("batch"))
    assert tab.rows("dhcptab") == before


@pytest.mark.parametrize("line", ["-P", "-R", "-D -m x", "-A -m x -d ':LeaseNeg:'", "-M -m x -n y"])
def test_without_a_dhcptab_everything_but_creating_it_exits_with_2(shell: Shell, line: str) -> None:
    assert shell.refused(f"dhtadm {line}") == (2, "dhtadm: there is no dhcptab: create it with -C")


def test_the_listing_as_json_names_faults(tab: Shell) -> None:
    tab.ok("dhtadm -A -m good -d ':LeaseNeg:'")
    tab("dhtadm -A -m bad -d ':Include=none:'")
    assert tab("dhtadm -P --json") == 0
    assert json.loads(tab.out) == [
        {
            "name": "bad",
            "type": "macro",
            "value": ":Include=none:",
            "fault": "Include=none: macro none is not defined: add it or correct the name",
        },
        {"name": "good", "type": "macro", "value": ":LeaseNeg:", "fault": None},
    ]


def test_a_damaged_row_is_named_and_the_others_are_listed(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dhtadm.main(["-C"]) == 0
    with (conf.parent / "dhcp" / "SUNWfiles1_dhcptab").open("a") as file:
        file.write("broken\ngood|m|1|:LeaseNeg:\n")
    assert dhtadm.main(["-P"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("good                \tMacro   \t:LeaseNeg:\n")
    assert err == "dhtadm: dhcptab: line 5 is left out: it has 1 fields instead of 4: mend or delete it\n"


def test_a_batch_goes_on_after_a_failure_and_exits_with_the_gravest(tab: Shell, tmp_path: Path) -> None:
    batch = tmp_path / "batch"
    batch.write_text(
        "# macros\n"
        "\n"
        "dhtadm -A -m a -d \\\n"
        "':LeaseNeg:'\n"
        "-A -m b -d ':Nonsense=1:'\n"
        "dhtadm -A -m a -d ':LeaseNeg:'\n"
        "-A -m 'c d' -d \":LeaseTim=60:\""
    )
    assert tab(f"dhtadm -B {batch} -v") == 3
    assert tab.out.splitlines() == [
        "> dhtadm -A -m a -d ':LeaseNeg:'",
        "> -A -m b -d ':Nonsense=1:'",
        "> dhtadm -A -m a -d ':LeaseNeg:'",
        "> -A -m 'c d' -d \":LeaseTim=60:\"",
    ]
    assert tab.err.splitlines() == [
        "dhtadm: macro b: symbol Nonsense is not defined: define it, or correct its name",
        f"dhtadm: {batch}: line 5 failed with exit code 3: -A -m b -d ':Nonsense=1:'",
        "dhtadm: macro a is there already: change it with -M",
        f"dhtadm: {batch}: line 6 failed with exit code 1: dhtadm -A -m a -d ':LeaseNeg:'",
    ]
    assert {name for name, _ in tab.rows("dhcptab")} == {"a", "c d"}  # type: ignore[misc]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-A -m 'x", "no closing quotation: close every quote"),
        ("-B other", "-B inside a batch"),
        ("pntadm -L", "pntadm is no option: this file is for dhtadm commands"),
        ("-Z", "option -Z not recognized"),
    ],
)
def test_a_batch_names_lines_that_are_no_commands(tab: Shell, tmp_path: Path, line: str, words: str) -> None:
    batch = tmp_path / "batch"
    batch.write_text(line)
    assert tab(f"dhtadm -B {batch}") == 4
    assert words in tab.err.splitlines()[0]
    assert len(tab.err.splitlines()) == 2  # no usage text for each line of a batch


def test_a_batch_from_standard_input_warns_once_at_its_end(conf: Path) -> None:
    text = "-C\n-A -m outer -d ':Include=inner:'\n-A -m inner -d ':LeaseNeg:'\n-A -m odd -d ':Include=gone:'\n-P\n"
    found = subprocess.run(
        [sys.executable, "-c", "from dhcp.cli.dhtadm import main; raise SystemExit(main())", "-B"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, len(found.stdout.splitlines())) == (0, 5)
    assert [line for line in found.stderr.splitlines() if "warning" in line] == [
        "dhtadm: warning: macro odd is disabled: Include=gone: macro gone is not defined: add it or correct the name"
    ]


def test_a_flood_of_warnings_is_cut_short(tab: Shell) -> None:
    rows = [TabEntry(f"m{number}", "m", 0, ":Include=base:") for number in range(50)]
    tab.records.commit([Change("dhcptab", None, row) for row in (*rows, TabEntry("base", "m", 0, ":LeaseNeg:"))])
    assert tab("dhtadm -D -m base") == 0
    assert len(tab.err.splitlines()) == 21
    assert tab.err.endswith("dhtadm: warning: 30 more are disabled: see -P\n")


def test_the_daemon_is_told_and_without_one_the_edit_stands(tab: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: heard.append(pid) if number == signal.SIGHUP else None)
    monkeypatch.setattr(service, "find", lambda port: service.Daemon(4711, supervised=True) if port == 67 else None)
    tab.ok("dhtadm -A -m x -d ':LeaseNeg:' -g")
    assert heard == [4711]
    monkeypatch.setattr(service, "find", lambda _port: None)
    code, line = tab.refused("dhtadm -D -m x -g")
    assert (code, line.split(":")[1]) == (3, " Unable to signal the daemon to reload the dhcptab")
    assert ("x", "m") not in tab.rows("dhcptab")  # what was asked for is done all the same


class Racing(MemoryRecords):
    """A store in which somebody else is always first, for so many commits, with the same kind of change."""

    def __init__(self, rival: Callable[[TabEntry], TabEntry], times: int) -> None:
        super().__init__()
        self.rival = rival
        self.times = times

    def commit(self, changes):  # type: ignore[no-untyped-def]
        if self.times:
            self.times -= 1
            row = changes[0].old
            assert super().commit([Change("dhcptab", row, self.rival(row))])[0].outcome is Outcome.STORED
        return super().commit(changes)


def raced(rival: str, times: int, capsys: pytest.CaptureFixture[str]) -> Shell:
    records = Racing(lambda row: row._replace(value=row.value + rival), times)
    records.load("dhcptab", [TabEntry("x", "m", 1, ":LeaseTim=60:")])
    return Shell(records, capsys)


def test_an_edit_beside_another_edit_of_the_macro_loses_neither(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = raced("LeaseNeg:", 1, capsys)
    shell.ok("dhtadm -M -m x -e LeaseTim=600")
    assert value(shell, "x") == ":LeaseTim=600:LeaseNeg:"


@pytest.mark.parametrize(
    ("rival", "times", "line"),
    [
        ("LeaseTim=5:", 1, "-M -m x -e LeaseTim=600"),
        ("LeaseNeg:", 1, "-M -m x -d ':LeaseTim=600:'"),
        ("LeaseNeg:", 1, "-D -m x"),
        ("LeaseNeg:", 2, "-M -m x -e LeaseTim=600"),
    ],
)
def test_an_edit_that_would_undo_anothers_is_refused(
    conf: Path, capsys: pytest.CaptureFixture[str], rival: str, times: int, line: str
) -> None:
    shell = raced(rival, times, capsys)
    code, text = shell.refused(f"dhtadm {line}")
    assert code == 3
    assert "somebody else changed the same entry just now" in text


def test_two_processes_that_edit_one_macro_lose_nothing(conf: Path) -> None:
    """Each process edits symbols of its own; collisions are tried again, and what is refused is refused loudly."""
    program = [sys.executable, "-c", "from dhcp.cli.dhtadm import main; raise SystemExit(main())"]
    subprocess.run([*program, "-B"], input="-C\n-A -m x -d ':LeaseNeg:'\n", text=True, check=True)
    batches = {
        symbol: "".join(f"-A -m {symbol}{number} -d ':{symbol}={number + 1}:'\n" for number in range(20))
        + f"-M -m x -e {symbol}=7\n"
        for symbol in ("LeaseTim", "MTU")
    }
    writers = [
        (subprocess.Popen([*program, "-B"], stdin=subprocess.PIPE, text=True), text) for text in batches.values()
    ]
    for writer, text in writers:
        assert writer.stdin is not None
        writer.stdin.write(text)
        writer.stdin.close()
    assert [writer.wait(30) for writer, _ in writers] == [0, 0]
    found = subprocess.run([*program, "-P", "--json"], capture_output=True, check=True).stdout
    rows = {row["name"]: row["value"] for row in json.loads(found)}
    assert len(rows) == 41
    assert sorted(rows["x"].split(":")) == ["", "", "LeaseNeg", "LeaseTim=7", "MTU=7"]


def test_a_running_daemon_sees_an_edit_at_the_next_packet(
    start: Callable[..., Lab], conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = make_store([make_binding("127.0.0.20")], {"127.0.0.0": ":LeaseTim=600:LeaseNeg:"})
    lab = start(records)
    shell = Shell(records, capsys)
    mac = "00:14:4f:00:00:01"
    assert lab.relay.ask(MessageType.DISCOVER, mac).options.get(3) is None
    shell.ok("dhtadm -M -m 127.0.0.0 -e Router=127.0.0.254")
    assert lab.relay.ask(MessageType.DISCOVER, mac).options[3] == bytes((127, 0, 0, 254))
