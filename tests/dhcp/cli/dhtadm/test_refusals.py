"""What dhtadm cannot do is said in one line, with Sun's exit codes."""

from pathlib import Path

import pytest

from dhcp.cli import service
from storage.records import Change, TabEntry
from tests.dhcp.cli.conftest import Shell


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
