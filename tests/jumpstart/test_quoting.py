from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpstart import quoting
from jumpstart.quoting import ArgumentError

HARMFUL = (
    "a b",
    "a'b",
    'a"b',
    "a\nb",
    "a$(reboot)",
    "a`id`",
    "a\\",
    "a;b",
    "a&b",
    "a|b",
    "a>b",
    "a#b",
    "",
    "a\0",
    "a$b",
)


@pytest.mark.parametrize("shell", [["dash"], ["bash", "--posix"]], ids=str)
def test_a_shell_gets_every_value_as_it_is(shell: list[str]) -> None:
    values = [value for value in HARMFUL if "\0" not in value] + ["a,b", "-n", "*", "~", "a\n\n", "é'\"'"]
    script = "".join(f"printf '%s\\0' {quoting.sh_word(value)}\n" for value in values)
    done = subprocess.run([*shell, "-c", script], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == values
    assert not done.stderr


def test_assignments_are_read_back_by_a_shell() -> None:
    head = quoting.sh_assignments({"ENTRY": "title a\nkernel$ b $(id)", "LINKS": "fe0=e1000g0"})
    done = subprocess.run(["sh", "-c", head + 'printf %s "$ENTRY|$LINKS"'], capture_output=True, check=True, text=True)
    assert done.stdout == "title a\nkernel$ b $(id)|fe0=e1000g0"
    with pytest.raises(ArgumentError, match="use capitals"):
        quoting.sh_assignments({"PATH;id": "x"})


@pytest.mark.parametrize("value", HARMFUL)
@pytest.mark.parametrize(
    "write",
    [
        lambda value: quoting.menu_line("kernel", value),
        quoting.menu_line,
        lambda value: quoting.boot_properties({"install_media": value}),
        lambda value: quoting.boot_properties({value: "x"}),
        lambda value: quoting.macro({"BootFile": value}) if value != "a b" else quoting.macro({value: "x"}),
        lambda value: quoting.macro({value: "x"}),
    ],
    ids=["menu word", "menu command", "property value", "property name", "macro value", "macro symbol"],
)
def test_what_cannot_be_quoted_is_refused(write: Callable[[str], object], value: str) -> None:
    with pytest.raises(ArgumentError, match="; "):
        write(value)


def test_a_menu_line_keeps_the_variables_of_the_loader_only() -> None:
    line = quoting.menu_line("kernel$", "/boot/$ISADIR/xen.gz", "com1=9600,8n1", "dom0_mem=2G")
    assert line == "kernel$ /boot/$ISADIR/xen.gz com1=9600,8n1 dom0_mem=2G"
    assert quoting.menu_line("module$", "-B", "$ZFS-BOOTFS") == "module$ -B $ZFS-BOOTFS"
    for word in ("$ISADIRX", "$HOME", "a$"):
        with pytest.raises(ArgumentError, match="could expand"):
            quoting.menu_line("kernel$", word)
    assert quoting.menu_title("hv1: install (nv105)") == "title hv1: install (nv105)"
    for title in ("a  b", "a\nkernel x", " a", "a#b", "$a"):
        with pytest.raises(ArgumentError, match="plain words"):
            quoting.menu_title(title)


def test_boot_properties_are_one_word() -> None:
    assert quoting.boot_properties({"install_media": "10.0.0.1:/export/nv", "console": "ttya"}) == (
        "-B",
        "install_media=10.0.0.1:/export/nv,console=ttya",
    )
    for value in ("a,b=c", "a=b", "a,b"):
        with pytest.raises(ArgumentError, match="would change the -B list"):
            quoting.boot_properties({"console": value})
    with pytest.raises(ArgumentError, match="needs a property"):
        quoting.boot_properties({})


def test_a_macro_quotes_blanks_and_nothing_else() -> None:
    text = quoting.macro({"BootSrvA": "10.0.0.1", "GrubMenu": "menu.lst.01001B21A0B1C2", "Message": "two words"})
    assert text == ':BootSrvA=10.0.0.1:GrubMenu=menu.lst.01001B21A0B1C2:Message="two words":'
    for value in ("a:b", "a=b", "a:Include=x"):
        with pytest.raises(ArgumentError, match="cannot stand in a macro"):
            quoting.macro({"BootFile": value})


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb", "a`b", "a;b", "a'b"])
def test_an_smf_string_cannot_end_early(value: str) -> None:
    with pytest.raises(ArgumentError, match="cannot be an SMF string"):
        quoting.svccfg_astring(value)
    assert quoting.svccfg_astring("^localhost$ ^a[.]b$") == '"^localhost$ ^a[.]b$"'


@pytest.mark.parametrize(
    ("peer", "taken", "refused"),
    [
        ("192.168.78.0/24", ["192.168.78.21", "192.168.78."], ["192.168.780.1", "10.192.168.78.1", "192x168.78.1"]),
        ("192.168.78.21", ["192.168.78.21"], ["192.168.78.210", "192.168.78.2"]),
        ("10.0.0.0/8", ["10.9.8.7"], ["110.9.8.7"]),
        ("10.0.0.16/30", ["10.0.0.16", "10.0.0.19"], ["10.0.0.20", "10.0.0.1", "10.0.0.160"]),
        ("172.16.0.0/12", ["172.31.1.2"], ["172.32.1.2"]),
        ("hv2", ["hv2", "hv2.example.com"], ["hv22", "xhv2", "hv2x.example.com"]),
        ("192.168.78.0/24", ["localhost"], ["localhost.example"]),
    ],
)
def test_xend_matches_the_peers_and_nobody_else(peer: str, taken: list[str], refused: list[str]) -> None:
    patterns = [re.compile(part) for part in quoting.xend_hosts_allow([peer]).split(" ")]
    assert len(patterns) == 2
    assert all(any(pattern.match(host) for pattern in patterns) for host in taken)
    assert not any(pattern.match(host) for pattern in patterns for host in refused)


def test_the_pattern_of_the_reference_site() -> None:
    assert quoting.xend_hosts_allow(["192.168.78.0/24"]) == "^localhost$ ^192[.]168[.]78[.][0-9]*$"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=12), st.text(max_size=12))
def test_no_text_makes_a_second_property_or_line(name: str, value: str) -> None:
    try:
        _, text = quoting.boot_properties({"console": "ttya", name: value})
    except ArgumentError:
        return
    assert dict(part.split("=") for part in text.split(",")) == {"console": "ttya", name: value}
    assert text.split() == [text]
