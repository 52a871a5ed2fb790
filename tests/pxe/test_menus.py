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
from jumpstart.targets import BootContext, BootEntry, Payload, load_target
from pxe.bootplan import Kind, Plan
from pxe.menus import (
    Attempt,
    MenuError,
    Source,
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


def context(server: str) -> BootContext:
    reports = (f"http://{server}/report/feed",)
    return BootContext(server, "feed", "install/feed", reports, "00:14:4f:00:00:01")


ENTRY = load_target("live-xen").entry(HOST, context("10.0.0.1"))
LINUX = BootEntry("hv1: Linux", "linux", Payload("install/feed/vmlinuz", ("quiet",)), (Payload("install/feed/i", ()),))
ARMED = Plan(Kind.INSTALL, "live-xen was armed at 2026-01-01 00:00:00 UTC")
SERVERS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


def sources(count: int) -> list[Source]:
    others = [Source(server, f"http://{server}/boot/") for server in SERVERS[1:count]]
    return [Source(SERVERS[0]), *others]


def tries(entry: BootEntry, count: int = 1) -> list[Attempt]:
    return [Attempt(source, entry) for source in sources(count)]


def live_xen(count: int) -> list[Attempt]:
    return [Attempt(source, load_target("live-xen").entry(HOST, context(source.server))) for source in sources(count)]


MENUS = {
    "install-http.cfg": install_menu(HOST, ARMED, tries(ENTRY), "http"),
    "install-tftp.cfg": install_menu(HOST, ARMED, tries(ENTRY), "tftp"),
    "install-linux.cfg": install_menu(HOST, ARMED, tries(LINUX), "http"),
    "install-two.cfg": install_menu(HOST, ARMED, live_xen(2), "tftp"),
    "install-three.cfg": install_menu(HOST, ARMED, live_xen(3), "http"),
    "local.cfg": local_menu(HOST, Plan(Kind.LOCAL, "no install was ever armed for it")),
    "unknown.cfg": unknown_menu("odd", "live-xen"),
    "boot.ipxe": ipxe_script(),
    "boot-two.ipxe": ipxe_script(sources(2)[1:]),
    "boot-three.ipxe": ipxe_script(sources(3)[1:]),
    "host-install.ipxe": ipxe_host_script(HOST, ARMED, tries(ENTRY)),
    "host-install-two.ipxe": ipxe_host_script(HOST, ARMED, live_xen(2), sources(2)[1:]),
    "host-install-three.ipxe": ipxe_host_script(HOST, ARMED, live_xen(3), sources(3)[1:]),
    "host-local.ipxe": ipxe_host_script(HOST, Plan(Kind.LOCAL, "it was installed"), []),
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


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_server_is_tried_once_in_order_and_gets_the_report_of_what_it_sent(count: int) -> None:
    menu = install_menu(HOST, ARMED, live_xen(count), "tftp").decode()
    words = [shlex.split(line) for line in menu.splitlines() if " 'twinboot.report=" in line or "multiboot2" in line]
    kernels = [line[line.index("multiboot2") + 1] for line in words if "multiboot2" in line]
    assert kernels == [f"(tftp,{server})/install/feed/xen" for server in SERVERS[:count]]
    reports = [word for line in words for word in line if word.startswith("twinboot.report=")]
    assert [word.rstrip(";") for word in reports] == [
        f"twinboot.report=http://{server}/report/feed" for server in SERVERS[:count]
    ]
    assert menu.count("\n  boot\n") == (count if count > 1 else 0)
    said = [line for line in menu.splitlines() if "did not send vmlinuz" in line or "no server sent" in line]
    assert len(said) == (count + 1 if count > 1 else 0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_place_that_an_ipxe_script_jumps_to_is_there_once(count: int) -> None:
    for script in (ipxe_script(sources(count)[1:]), ipxe_host_script(HOST, ARMED, live_xen(count), sources(count)[1:])):
        lines = script.decode().splitlines()
        labels = [line[1:] for line in lines if line.startswith(":")]
        jumps = {line.rpartition("|| goto ")[2] for line in lines if "|| goto " in line}
        assert sorted(labels) == sorted(jumps)
        for label in jumps:  # forward only, so that no script goes round
            assert lines.index(f":{label}") > max(n for n, line in enumerate(lines) if line.endswith(f"goto {label}"))


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
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE, st.integers(1, 3))
def test_hostile_values_never_change_a_line_of_the_menu(
    title: str, file: str, arg: str, reason: str, count: int
) -> None:
    entry = BootEntry(title, "multiboot2", Payload(f"install/feed/{file}", (arg,)), ())
    try:
        menu = install_menu(HOST, Plan(Kind.INSTALL, reason), tries(entry, count), "http")
    except MenuError:
        return
    plain = BootEntry("T", "multiboot2", Payload("install/feed/F", ("A",)), ())
    expected = shape(install_menu(HOST, Plan(Kind.INSTALL, "R"), tries(plain, count), "http"))
    short = f"install/feed/{file}".rpartition("/")[2]
    swaps = {
        "T": title,
        "A": arg,
        "A;": f"{arg};",
        "twinboot: loading F": f"twinboot: loading {short}",
        "twinboot: hv1: install: R": f"twinboot: hv1: install: {reason}",
    }
    for server in SERVERS:
        swaps[f"(http,{server})/boot/install/feed/F"] = f"(http,{server})/boot/install/feed/{file}"
        swaps[f"twinboot: loading F from {server}"] = f"twinboot: loading {short} from {server}"
        swaps[f"twinboot: {server} did not send F"] = f"twinboot: {server} did not send {short}"
    assert shape(menu) == [[swaps.get(word, word) for word in line] for line in expected]


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\x1bb", "a\u2028b", "\ud800", "\x7f", "x" * 3000])
def test_what_no_line_can_hold_is_refused_in_one_line(value: str) -> None:
    with pytest.raises(MenuError) as caught:
        local_menu(HOST, Plan(Kind.LOCAL, value))
    assert str(caught.value).isprintable()


def test_a_loader_that_no_menu_can_start_is_refused() -> None:
    with pytest.raises(MenuError, match="netbsd"):
        install_menu(HOST, ARMED, tries(ENTRY._replace(loader="netbsd")), "http")


@pytest.mark.parametrize("value", ["a b", "a;b", "${x}", "", "a\n"])
def test_ipxe_takes_plain_paths_only(value: str) -> None:
    with pytest.raises(MenuError):
        ipxe_word(value)


@given(arg=st.text(max_size=20), file=st.text(max_size=20))
def test_hostile_values_never_change_a_line_of_an_ipxe_script(arg: str, file: str) -> None:
    plain = BootEntry("T", "multiboot2", Payload("install/feed/F", ("A",)), ())
    hostile = BootEntry("T", "multiboot2", Payload(f"install/feed/{file}", (arg,)), ())
    try:
        script = ipxe_host_script(HOST, ARMED, tries(hostile))
    except MenuError:
        return
    expected = (
        ipxe_host_script(HOST, ARMED, tries(plain)).decode().replace("install/feed/F A", f"install/feed/{file} {arg}")
    )
    assert script.decode() == expected
    assert not set(arg + file) & set(" \t$#;&|\"'\\")


def test_ipxe_leaves_what_it_cannot_start_to_grub() -> None:
    script = ipxe_host_script(HOST, ARMED, tries(ENTRY._replace(loader="linux"), 2), sources(2)[1:])
    assert b"kernel" not in script
    assert b"chain ${core}" in script
