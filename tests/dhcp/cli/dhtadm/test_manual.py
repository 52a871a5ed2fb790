"""dhtadm as typed in Sun's manuals: macros and symbols, and its listing."""

import json
from pathlib import Path

import pytest

from dhcp.cli import dhtadm
from storage.records import Change, TabEntry
from tests.dhcp.cli.conftest import Shell
from tests.dhcp.cli.dhtadm.conftest import value

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
    assert {key[0] for key in tab.rows("dhcptab")} == {*INSTALL_GUIDE, "SUNW.i86pc"}


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
