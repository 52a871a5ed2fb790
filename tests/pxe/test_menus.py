"""Menus: golden texts, GRUB's own syntax check, and no way in for a hostile value."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpstart.hostfile import from_toml
from jumpstart.targets import TARGETS, BootContext, BootEntry, Payload
from pxe.bootplan import Kind, Plan
from pxe.menus import (
    MenuError,
    grub_word,
    install_menu,
    ipxe_host_script,
    ipxe_script,
    ipxe_word,
    local_menu,
    unknown_menu,
)

GOLDEN = Path(__file__).parent / "golden"
HOST = from_toml(
    'name = "hv1"\nsegment = "odd"\ntarget = "live-xen"\ndom0_mem = "512M"\nconsole = "com2=9600,8n1"\n'
    '[links.fe0]\nmac = "00:14:4f:00:00:01"\n',
    "hv1.toml",
)
CONTEXT = BootContext("10.0.0.1", "feed", "install/feed", "http://10.0.0.1/report/feed", "00:14:4f:00:00:01")
ENTRY = TARGETS["live-xen"].entry(HOST, CONTEXT)
LINUX = BootEntry("hv1: Linux", "linux", Payload("install/feed/vmlinuz", ("quiet",)), (Payload("install/feed/i", ()),))
ARMED = Plan(Kind.INSTALL, "live-xen was armed at 2026-01-01 00:00:00 UTC")
MENUS = {
    "install-http.cfg": install_menu(HOST, ARMED, ENTRY, "10.0.0.1", "http"),
    "install-tftp.cfg": install_menu(HOST, ARMED, ENTRY, "10.0.0.1", "tftp"),
    "install-linux.cfg": install_menu(HOST, ARMED, LINUX, "10.0.0.1", "http"),
    "local.cfg": local_menu(HOST, Plan(Kind.LOCAL, "no install was ever armed for it")),
    "unknown.cfg": unknown_menu("odd", "live-xen"),
    "boot.ipxe": ipxe_script(),
    "host-install.ipxe": ipxe_host_script(HOST, ARMED, ENTRY),
    "host-local.ipxe": ipxe_host_script(HOST, Plan(Kind.LOCAL, "it was installed"), None),
}


@pytest.mark.parametrize("name", MENUS)
def test_golden(name: str) -> None:
    if "REWRITE_GOLDEN" in os.environ:  # then review the difference
        (GOLDEN / name).write_bytes(MENUS[name])
    assert MENUS[name].decode() == (GOLDEN / name).read_text()


@pytest.mark.skipif(shutil.which("grub-script-check") is None, reason="grub-common is not installed")
@pytest.mark.parametrize("name", [name for name in MENUS if name.endswith(".cfg")])
def test_grub_itself_takes_the_syntax(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(MENUS[name])
    subprocess.run(["grub-script-check", path], check=True, timeout=10)


def test_the_menu_loads_what_the_target_says_from_this_server() -> None:
    lines = MENUS["install-http.cfg"].decode().splitlines()
    (kernel,) = [shlex.split(line) for line in lines if "multiboot2" in line]
    assert kernel[:2] == ["multiboot2", "(http,10.0.0.1)/boot/install/feed/xen"]
    assert "dom0_mem=512M,max:512M" in kernel
    assert "--speed='9600'" in MENUS["install-http.cfg"].decode()
    assert "--unit='1'" in MENUS["install-http.cfg"].decode()
    assert b"(tftp,10.0.0.1)/install/feed/xen" in MENUS["install-tftp.cfg"]


@settings(deadline=None)
@given(st.text(max_size=60))
def test_one_value_is_one_word_or_an_error(value: str) -> None:
    try:
        word = grub_word(value)
    except MenuError:
        return
    assert shlex.split(word) == [value]
    assert "\n" not in word


def shape(menu: bytes) -> list[list[str]]:
    return [shlex.split(line) for line in menu.decode().splitlines() if not line.startswith("#")]


HOSTILE = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["$(reboot)", "${x}", "'", "'\\''", '"; reboot; "', "}\nmenuentry x {", "a\nreboot", "\\", "`id`", "\x00"]
    ),
)


@settings(deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_hostile_values_never_change_a_line_of_the_menu(title: str, file: str, arg: str, reason: str) -> None:
    entry = BootEntry(title, "multiboot2", Payload(f"install/feed/{file}", (arg,)), ())
    try:
        menu = install_menu(HOST, Plan(Kind.INSTALL, reason), entry, "10.0.0.1", "http")
    except MenuError:
        return
    plain = BootEntry("T", "multiboot2", Payload("install/feed/F", ("A",)), ())
    expected = shape(install_menu(HOST, Plan(Kind.INSTALL, "R"), plain, "10.0.0.1", "http"))
    short = f"install/feed/{file}".rpartition("/")[2]
    swaps = {
        "T": title,
        "(http,10.0.0.1)/boot/install/feed/F": f"(http,10.0.0.1)/boot/install/feed/{file}",
        "A": arg,
        "twinboot: loading F": f"twinboot: loading {short}",
        "twinboot: hv1: install: R": f"twinboot: hv1: install: {reason}",
    }
    assert shape(menu) == [[swaps.get(word, word) for word in line] for line in expected]


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\x1bb", "a\u2028b", "\ud800", "\x7f", "x" * 3000])
def test_what_no_line_can_hold_is_refused_in_one_line(value: str) -> None:
    with pytest.raises(MenuError) as caught:
        local_menu(HOST, Plan(Kind.LOCAL, value))
    assert str(caught.value).isprintable()


def test_a_loader_that_no_menu_can_start_is_refused() -> None:
    with pytest.raises(MenuError, match="netbsd"):
        install_menu(HOST, ARMED, ENTRY._replace(loader="netbsd"), "10.0.0.1", "http")


@pytest.mark.parametrize("value", ["a b", "a;b", "${x}", "", "a\n"])
def test_ipxe_takes_plain_paths_only(value: str) -> None:
    with pytest.raises(MenuError):
        ipxe_word(value)


@given(arg=st.text(max_size=20), file=st.text(max_size=20))
def test_hostile_values_never_change_a_line_of_an_ipxe_script(arg: str, file: str) -> None:
    plain = BootEntry("T", "multiboot2", Payload("install/feed/F", ("A",)), ())
    hostile = BootEntry("T", "multiboot2", Payload(f"install/feed/{file}", (arg,)), ())
    try:
        script = ipxe_host_script(HOST, ARMED, hostile)
    except MenuError:
        return
    expected = ipxe_host_script(HOST, ARMED, plain).decode().replace("install/feed/F A", f"install/feed/{file} {arg}")
    assert script.decode() == expected
    assert not set(arg + file) & set(" \t$#;&|\"'\\")


def test_ipxe_leaves_what_it_cannot_start_to_grub() -> None:
    script = ipxe_host_script(HOST, ARMED, ENTRY._replace(loader="linux"))
    assert b"kernel" not in script
    assert b"chain ${core}" in script
