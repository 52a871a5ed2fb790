from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jumpstart.language.check import check
from jumpstart.language.faults import NOWHERE
from jumpstart.language.matching import find_rule, read_facts
from jumpstart.model import Hypervisor
from jumpstart.quoting import ArgumentError
from jumpstart.targets import nevada
from jumpstart.targets.nevada import Site, image_of

GOLDEN = Path(__file__).parent / "golden"


def test_the_host_of_the_reference_site(host: Hypervisor, site: Site) -> None:
    made = dict(nevada.render(host, site)) | {
        f"jumpstart/{name}": text for name, text in nevada.rules_files([host.name]).items()
    }
    made["macros"] = "".join(f"{name} {text}\n" for name, text in nevada.macros(host, site.server).items())
    found = {str(path.relative_to(GOLDEN)): path.read_text() for path in GOLDEN.rglob("*") if path.is_file()}
    assert sorted(made) == sorted(found)
    for name, text in made.items():
        assert text == found[name], f"{name} is not as in {GOLDEN}"


def test_what_is_rendered_passes_our_own_check(host: Hypervisor, site: Site, tmp_path: Path) -> None:
    hosts = [host, replace(host, name="hv2")]
    for name, text in nevada.rules_files([one.name for one in hosts]).items():
        (tmp_path / name).write_text(text)
    for one in hosts:
        for name, text in nevada.render(one, site).items():
            if name.startswith("jumpstart/"):
                path = tmp_path / name.removeprefix("jumpstart/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    checked = check(tmp_path, dry_run=True)
    assert not checked.faults
    outcome = find_rule(checked.judged.rules, read_facts(["hostname=hv2"]))
    assert outcome.chosen is not None
    assert outcome.chosen.profile.text == "hosts/hv2/profile"
    assert find_rule(checked.judged.rules, read_facts(["hostname=other"])).chosen is None


@pytest.mark.parametrize(
    ("files", "kernel", "module"),
    [
        (("multiboot", "x86.miniroot"), "kernel /I/multiboot kernel/unix -", "module /I/x86.miniroot"),
        (
            ("multiboot", "x86.miniroot", "amd64/x86.miniroot"),
            "kernel$ /I/multiboot kernel/$ISADIR/unix -",
            "module$ /I/$ISADIR/x86.miniroot",
        ),
        (
            ("platform/i86pc/kernel/unix", "x86.miniroot"),
            "kernel /I/platform/i86pc/kernel/unix -",
            "module /I/x86.miniroot",
        ),
        (
            ("platform/i86pc/kernel/unix", "multiboot", "amd64/x86.miniroot"),
            "kernel$ /I/platform/i86pc/kernel/$ISADIR/unix -",
            "module$ /I/$ISADIR/x86.miniroot",
        ),
    ],
)
def test_the_menu_follows_from_what_the_image_holds(
    host: Hypervisor, site: Site, files: tuple[str, ...], kernel: str, module: str
) -> None:
    text = nevada.menu(host, site._replace(image=image_of("I", files)))
    assert f"\n\t{kernel} install nowin -B install_media=192.168.78.14:/export/install/nv105," in text
    assert text.endswith(f"\n\t{module}\n")


def test_an_image_that_cannot_boot_is_refused() -> None:
    for files in ((), ("multiboot",), ("x86.miniroot",)):
        with pytest.raises(ArgumentError, match="name an install image"):
            image_of("I", files)


def test_each_segment_gets_the_address_of_its_own_server(host: Hypervisor, site: Site) -> None:
    even = site._replace(server="192.168.78.16")
    texts = [*nevada.render(host, even).values(), *nevada.macros(host, even.server).values()]
    assert sum("192.168.78.16" in text for text in texts) == 3


def test_a_second_console_and_no_router(host: Hypervisor, site: Site) -> None:
    other = replace(host, console=replace(host.console, port=2))
    assert ",console=ttyb\n" in nevada.menu(other, site)
    assert "default_route=NONE" in nevada.sysidcfg(host, site._replace(router=""))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"root_mirror": ("c0t0d0s0",)}, "root_mirror needs two slices"),
        ({"root_mirror": ("c0t0d0", "c0t1d0")}, "is a whole disk"),
        ({"root_mirror": ("sda1", "sdb1")}, "is not a disk"),
        ({"root_password_hash": ""}, "root_password_hash is missing"),
        ({"packages": ("SUNWgcc/x",)}, "is not a name"),
    ],
)
def test_a_host_that_nevada_cannot_have_is_refused(
    host: Hypervisor, site: Site, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        nevada.render(replace(host, **changes), site)


def test_links_must_say_what_solaris_calls_them(host: Hypervisor, site: Site) -> None:
    for change, said in (({"device": ""}, "has no device"), ({"address": ""}, "has no address")):
        with pytest.raises(ArgumentError, match=said):
            nevada.render(replace(host, links=(replace(host.links[0], **change),)), site)


@pytest.mark.parametrize("value", ["a b", "a,b", "a'b", 'a"b', "a\nb", "a$(reboot)", "a=b", ""])
@pytest.mark.parametrize("field", ["server", "media", "config", "release"])
def test_no_value_of_the_site_changes_a_line(host: Hypervisor, site: Site, field: str, value: str) -> None:
    given: Any = {"server": value, "media": f"/{value}", "config": f"/{value}", "release": value}[field]
    if given == "/":
        return
    with pytest.raises(ValueError, match="; "):
        nevada.render(host, site._replace(**{field: given}))


def test_a_link_of_an_unknown_network_is_refused(host: Hypervisor, site: Site) -> None:
    with pytest.raises(ArgumentError, match="name a network of the site"):
        nevada.render(host, site._replace(netmasks={"backend": "255.255.255.0"}))


def test_nothing_is_left_to_ask(host: Hypervisor, site: Site, tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("any - - p -\n")
    (tmp_path / "p").write_text(nevada.profile(host, site))
    (tmp_path / "sysidcfg").write_text(nevada.sysidcfg(host, site))
    assert not [fault for fault in check(tmp_path).faults if fault.at == NOWHERE]
