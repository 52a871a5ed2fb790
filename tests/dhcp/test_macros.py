"""Macros: their language, what disables one, what a client gets, and in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhcp.macros import MacroTable
from dhcp.macrotext import Item, check_macro, format_macro, quote, read_items
from dhcp.symbols import BUILT_IN, Kind, SymbolError, parse_symbol
from storage.records.rows import TabEntry

NET = "192.168.76.0"
MAC_ID = "0100144F000001"
PXE = "PXEClient:Arch:00000:UNDI:002001"
VENDOR_SYMBOLS = {
    "SrootOpt": "Vendor=SUNW.i86pc,1,ASCII,1,0",
    "SrootIP4": "Vendor=SUNW.i86pc SUNW.other,2,IP,1,1",
    "SrootNM": "Vendor=SUNW.i86pc,3,ASCII,1,0",
    "SrootPTH": "Vendor=SUNW.i86pc,4,ASCII,1,0",
    "SinstIP4": "Vendor=SUNW.i86pc,10,IP,1,1",
}


def table(macros: dict[str, str], symbols: dict[str, str] | None = None) -> MacroTable:
    rows = [TabEntry(name, "s", 1, text) for name, text in (symbols or {}).items()]
    return MacroTable.load([TabEntry(name, "m", 1, text) for name, text in macros.items()] + rows)


def codes(found: MacroTable, class_id: str = "", macro: str = "ip") -> list[int]:
    return [code for code, _ in found.select(class_id, (), NET, macro, bytes.fromhex(MAC_ID)).options]


# The three vectors of wire order: what Solaris' own code sends after options 53 and 54.
NET_MACRO = ":Subnet=255.255.255.0:Router=192.168.76.1:Broadcst=192.168.76.255:"
VECTOR = {NET: NET_MACRO, "ip": ":LeaseTim=3600:DNSserv=192.168.76.1:", MAC_ID: ":MTU=1500:"}


def test_w1_order_without_class_macro() -> None:
    assert codes(table(VECTOR)) == [26, 51, 6, 28, 1, 3]


def test_w2_order_with_class_macro() -> None:
    found = table({**VECTOR, PXE: ":BootFile=nbp.SUNW.i86pc:BootSrvA=192.168.76.1:"})
    assert codes(found, PXE) == [26, 51, 6, 1, 3, 28]
    selected = found.select(PXE, (), NET, "ip", bytes.fromhex(MAC_ID))
    assert (selected.boot_file, selected.boot_server) == ("nbp.SUNW.i86pc", 0xC0A84C01)
    assert selected.names == (PXE, NET, "ip", MAC_ID)


def test_w3_vendor_options_are_last() -> None:
    macro = NET_MACRO + "SrootIP4=10.0.0.1:SrootNM=abcde:SrootPTH=/a/b/c/de:SinstIP4=10.0.0.2:"
    found = table({NET: macro}, VENDOR_SYMBOLS)
    options = found.select("SUNW.i86pc", (), NET, "", b"").options
    assert [(code, len(value)) for code, value in options] == [(28, 4), (1, 4), (3, 4), (43, 30)]
    assert codes(found, "SUNW.none") == [28, 1, 3]


def test_a_value_set_again_stays_where_it_was() -> None:
    found = table({NET: ":MTU=1:IpTTL=2:MTU=3:", "ip": ":IpTTL=9:TcpTTL=8:"})
    assert found.select("", (), NET, "ip", b"").options == ((37, b"\x08"), (23, b"\x09"), (26, b"\0\3"))


def test_later_macros_win() -> None:
    names = {"cls": 1, "iPXE": 2, NET: 3, "ip": 4, MAC_ID: 5}
    for last in range(1, 6):
        found = table({name: f":LeaseTim={n}:" for name, n in names.items() if n <= last})
        selected = found.select("cls", ("iPXE",), NET, "ip", bytes.fromhex(MAC_ID))
        assert selected.lease_s == last
        assert selected.options == ((51, last.to_bytes(4, "big")),)
        assert len(selected.names) == last


@pytest.mark.parametrize(
    ("class_id", "file"),
    [
        ("PXEClient:Arch:00007:UNDI:003016", "uefi"),
        ("PXEClient:Arch:00007", "uefi"),
        ("PXEClient:Arch:00000:UNDI:002001", "exact"),
        ("PXEClient:Arch:00000:UNDI:003001", "any"),
        ("PXEClient", "any"),
        ("PXEClientX", ""),
        ("pxeclient", ""),
        (":::", ""),
        ("", ""),
    ],
)
def test_class_macro_is_the_longest_prefix(class_id: str, file: str) -> None:
    found = table({"PXEClient": ":BootFile=any:", "PXEClient:Arch:00007": ":BootFile=uefi:", PXE: ":BootFile=exact:"})
    assert found.select(class_id, (), NET, "", b"").boot_file == file


def test_a_disabled_class_macro_is_not_replaced_by_a_shorter_one() -> None:
    found = table({"PXEClient": ":BootFile=any:", "PXEClient:Arch:00007": ":Nonsense=1:"})
    selected = found.select("PXEClient:Arch:00007:UNDI:003016", (), NET, "", b"")
    assert (selected.boot_file, selected.names, selected.disabled) == ("", (), ("PXEClient:Arch:00007",))


def test_user_class_ipxe_and_no_other() -> None:
    found = table({"iPXE": ":BootFile=menu.ipxe:", "secret": ":BootFile=x:", PXE: ":BootFile=nbp:"})
    assert found.select(PXE, ["iPXE"], NET, "", b"").boot_file == "menu.ipxe"
    assert found.select(PXE, ["secret", "ipxe"], NET, "", b"").boot_file == "nbp"


def test_vendor_options_follow_the_matched_class_macro() -> None:
    symbols = {"Ctl": "Vendor=PXEClient:Arch:00000,6,NUMBER,1,1", "Exact": f'Vendor="{PXE}",8,NUMBER,1,1'}
    found = table({"PXEClient:Arch:00000": ":Ctl=8:"}, symbols)
    assert found.select(PXE, (), NET, "", b"").options == ((43, b"\6\1\x08"),)
    exact = table({"PXEClient:Arch:00000": ":Ctl=8:Exact=1:"}, symbols)
    assert exact.select(PXE, (), NET, "", b"").vendor == ((8, b"\1"),)


def test_vendor_options_are_merged_like_others() -> None:
    macros = {NET: ":SrootIP4=10.0.0.1:SrootNM=a:", "ip": ":SrootNM=b:SrootOpt=o:"}
    selected = table(macros, VENDOR_SYMBOLS).select("SUNW.i86pc", (), NET, "ip", b"")
    assert dict(selected.vendor) == {1: b"o", 2: b"\x0a\0\0\1", 3: b"b"}
    assert table(macros, VENDOR_SYMBOLS).select("SUNW.other", (), NET, "ip", b"").vendor == ((2, b"\x0a\0\0\1"),)


def test_option_43_holds_whole_suboptions_only() -> None:
    long = {"SrootOpt": "a" * 100, "SrootNM": "b" * 100, "SrootPTH": "c" * 100}
    text = ":" + "".join(f"{name}={value}:" for name, value in long.items())
    selected = table({"SUNW.i86pc": text}, VENDOR_SYMBOLS).select("SUNW.i86pc", (), NET, "", b"")
    ((code, area),) = selected.options
    assert (code, len(area), selected.dropped) == (43, 204, (1,))


def test_raw_option_43_is_last_too() -> None:
    assert codes(table({NET: ":Vendor=060108ff:MTU=1500:"})) == [26, 43]


def test_fields_and_flags() -> None:
    text = ":BootSrvN=boot:BootPath=/x:Hostname:LeaseNeg:EchoVC:BootFile=f:BootSrvA=10.0.0.1:"
    selected = table({NET: text}).select("", (), NET, "", b"")
    assert selected.options == ()
    assert (selected.boot_server_name, selected.boot_path) == ("boot", "/x")
    assert (selected.hostname, selected.lease_negotiable, selected.echo_class) == (True, True, True)
    nothing = table({}).select("", (), NET, "", b"")
    assert (nothing.boot_server, nothing.lease_s, nothing.hostname, nothing.names) == (None, None, False, ())


def test_take_back() -> None:
    found = table({"a": ":MTU=1:LeaseNeg:BootFile=x:IpTTL=2:", "b": ":Include=a:MTU@:LeaseNeg@:BootFile@:TcpTTL@:"})
    selected = found.select("", (), NET, "b", b"")
    assert (selected.options, selected.lease_negotiable, selected.boot_file) == (((23, b"\2"),), False, "")


def test_include_merges_at_its_place() -> None:
    found = table({"a": ":MTU=1:IpTTL=1:", "b": ":MTU=2:Include=a:IpTTL=3:"})
    assert dict(found.select("", (), NET, "b", b"").options) == {26: b"\0\1", 23: b"\3"}


def test_an_including_macro_keeps_all_vendor_options() -> None:
    found = table({"a": ":SrootIP4=10.0.0.1:", "b": ":SrootNM=x:Include=a:"}, VENDOR_SYMBOLS)
    assert len(found.select("SUNW.i86pc", (), NET, "b", b"").vendor) == 2
    assert len(found.select("SUNW.other", (), NET, "b", b"").vendor) == 1


def test_public_macros() -> None:
    """Rows printed in Sun's and Caiman's papers: a quoted colon, plain text, a client id macro, a site symbol."""
    found = table(
        {
            "hoover": ":Timeserv=192.168.0.1:",
            "fluffy": ":DNSserv=10.0.0.1:",
            "192.168.0.0": ':Include=hoover:BootFile="http://1.1.1.1:80/wanboot-cgi":',
            "macro_foo": ":Include=fluffy:BootFile=install_test_ai_x86:",
            "01000AE429C1EF": ':BootSrvA=172.20.25.12:BootFile="01000AE429C1EF":GrubMenu=menu.lst.01:',
            "10netnis": ":MystatRt=3.0.0.0 10.0.0.30:",
            "Locale": ":UTCoffst=-18000:",
            "a|b": ':Rootpath="/x|y":',
        },
        {"GrubMenu": "Site,150,ASCII,1,0", "MystatRt": "Site,130,IP,2,0", "Locale": "Site,200,ASCII,1,0"},
    )
    assert found.faults == ()
    assert found.select("", (), "192.168.0.0", "", b"").boot_file == "http://1.1.1.1:80/wanboot-cgi"
    assert found.select("", (), "", "macro_foo", b"").boot_file == "install_test_ai_x86"
    assert found.select("", (), "", "", bytes.fromhex("01000AE429C1EF")).options == ((150, b"menu.lst.01"),)
    assert found.select("", (), "", "10netnis", b"").options == ((130, bytes.fromhex("030000000a00001e")),)
    assert found.select("", (), "", "a|b", b"").options == ((17, b"/x|y"),)


def test_a_bad_macro_disables_itself_and_its_includers_only() -> None:
    found = table({"bad": ":UTCOffst=18000:", "user": ":Include=bad:", "top": ":Include=user:", "good": ":MTU=1500:"})
    assert [fault.name for fault in found.faults] == ["bad", "user", "top"]
    assert "UTCoffst" in found.faults[0].reason
    assert "Include=bad" in found.faults[1].reason
    assert [name in found for name in ("bad", "user", "top", "good")] == [False, False, False, True]
    assert found.select("", (), NET, "top", b"").disabled == ("top",)


def test_undefined_include_is_named() -> None:
    ((name, reason, kind),) = table({"a": ":Include=nowhere:", "b": ":MTU=1:"}).faults
    assert (name, kind) == ("a", "m")
    assert "nowhere" in reason


def test_circles_are_named_and_the_rest_serves() -> None:
    found = table({"a": ":Include=b:", "b": ":Include=a:", "c": ":Include=c:", "d": ":Include=a:", "e": ":MTU=1:"})
    assert sorted(fault.name for fault in found.faults) == ["a", "b", "c", "d"]
    assert "e" in found


def test_include_nesting_is_bounded() -> None:
    chain = {f"m{n}": f":Include=m{n + 1}:" for n in range(3000)} | {"m3000": ":MTU=1:"}
    found = table(chain)
    assert "m2980" in found
    assert "m2979" not in found
    assert len(found.faults) == 2980


def test_bad_symbols_are_named_and_do_not_hide_built_in_ones() -> None:
    found = table({NET: ":MTU=1500:", "x": ":Odd=1:"}, {"MTU": "Site,200,ASCII,1,0", "Odd": "Site,1,IP,1,1"})
    assert [(fault.name, fault.kind) for fault in found.faults] == [("MTU", "s"), ("Odd", "s"), ("x", "m")]
    assert codes(found) == [26]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "colons at both ends"),
        ("MTU=1", "colons at both ends"),
        (":Nonsense=1:", "Nonsense"),
        (":MTU:", "MTU=value"),
        (":MTU=:", "no value"),
        (":LeaseNeg=1:", "without a value"),
        (":MTU@5:", "between @"),
        (':Rootpath="/x:', "not closed"),
        (":Rootpath=x\\", "backslash"),
        (":Include:", "Include=name"),
        (":Include=:", "Include=name"),
        (":ServerID=1.2.3.4:", "server itself"),
        (":Giaddr=1.2.3.4:", "server itself"),
        (':Router="10.0.0.1":', "not an address"),
        (f":BootFile={'x' * 128}:", "127 is the most"),
        (":=5:", "symbol"),
    ],
)
def test_bad_text_says_what_to_write(text: str, advice: str) -> None:
    with pytest.raises(SymbolError) as caught:
        check_macro(text)
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("skipped:MTU=1:", [("MTU", "=", "1")]),
        (": MTU = 1 :: LeaseNeg :", [("MTU", "=", "1"), ("LeaseNeg", ":", "")]),
        (":MTU=1", [("MTU", "=", "1")]),
        (":MTU@:LeaseNeg", [("MTU", "@", ""), ("LeaseNeg", ":", "")]),
        (':Rootpath="a:b"c:', [("Rootpath", "=", "a:bc")]),
        (':Rootpath=a\\:b\\"\\\\  :', [("Rootpath", "=", 'a:b"\\')]),
        (':Rootpath=" lead":', [("Rootpath", "=", " lead")]),
        (":Include=PXEClient\\:Arch:", [("Include", "=", "PXEClient:Arch")]),
        (":", []),
    ],
)
def test_read_items(text: str, items: list[tuple[str, str, str]]) -> None:
    assert read_items(text) == [Item(*item) for item in items]


def test_format_macro() -> None:
    pairs = [("DNSserv", "10.0.0.1 10.0.0.2"), ("Hostname", None), ("Rootpath", 'a"b\\c'), ("Mine", "x:y")]
    assert format_macro(pairs) == ':DNSserv=10.0.0.1 10.0.0.2:Hostname:Rootpath="a\\"b\\\\c":Mine="x:y":'
    assert format_macro([("GrubMenu", "menu")], {"GrubMenu": parse_symbol("GrubMenu", "Site,150,ASCII,1,0")}) == (
        ':GrubMenu="menu":'
    )


WORD = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60).filter(
    lambda text: text == text.rstrip()
)
TEXT_NAMES = sorted(name for name, row in BUILT_IN.items() if row.kind is Kind.ASCII)


@given(st.lists(st.tuples(st.sampled_from(TEXT_NAMES), WORD), max_size=5))
def test_what_is_written_is_read_back(pairs: list[tuple[str, str]]) -> None:
    assert [(item.name, item.value) for item in read_items(format_macro(pairs))] == pairs
    for name, value in pairs:
        assert read_items(f":{name}={quote(value)}")[0].value == value


@given(st.text(alphabet=':=@"\\ ab\n\0é', max_size=40), st.text(max_size=40))
def test_any_text_loads(text: str, value: str) -> None:
    entries = [TabEntry("a", "m", 1, text), TabEntry(MAC_ID, "m", 1, f":Rootpath={value}:")]
    found = MacroTable.load([*entries, TabEntry(MAC_ID, "s", 1, text)])
    assert all(fault.reason for fault in found.faults)
    found.select(value, (value,), value, "a", bytes.fromhex(MAC_ID))


def test_strangers_do_not_fill_the_cache() -> None:
    found = table(VECTOR)
    first = found.select("", (), NET, "ip", bytes.fromhex(MAC_ID))
    for number in range(50):
        assert found.select(f"class {number}:x", (f"user {number}",), NET, "ip", bytes.fromhex(MAC_ID)) is first
