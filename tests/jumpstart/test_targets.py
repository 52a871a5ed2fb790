from typing import Any

import pytest

from jumpstart.hostfile import from_table
from jumpstart.model import Hypervisor
from jumpstart.targets import TARGETS, ArgumentError, BootContext, load_target
from jumpstart.targets.port import words

CTX = BootContext("10.0.0.1", "abc", "install/abc", ("http://10.0.0.1:8080/report/abc",), "00:14:4f:00:00:02")


def host() -> Hypervisor:
    links = {"fe0": {"mac": "00:14:4f:00:00:01"}, "be0": {"mac": "00:14:4f:00:00:02"}}
    table = {"name": "hv1", "segment": "odd", "target": "live-xen", "dom0_mem": "512M", "console": "com2=9600"}
    return from_table({**table, "root_mirror": ["sda", "sdb"], "links": links}, "hv1.toml")


def test_live_xen_boots_xen_with_the_hosts_memory_and_console() -> None:
    entry = load_target("live-xen").entry(host(), CTX)
    assert entry.loader == "multiboot2"
    assert entry.kernel.file == "install/abc/xen"
    assert entry.kernel.args[:3] == ("com2=9600,8n1", "console=com2", "dom0_mem=512M,max:512M")


def test_live_xen_tells_dom0_who_it_is_and_where_to_report() -> None:
    kernel, initrd = load_target("live-xen").entry(host(), CTX).modules
    assert {
        "console=hvc0",
        "twinboot.host=hv1",
        "twinboot.mac=00:14:4f:00:00:02",
        "twinboot.report=http://10.0.0.1:8080/report/abc",
        "twinboot.link=fe0,00:14:4f:00:00:01",
    } <= set(kernel.args)
    assert (initrd.file, initrd.args) == ("install/abc/initrd.gz", ())


def test_without_a_known_mac_the_first_link_boots() -> None:
    entry = load_target("live-xen").entry(host(), CTX._replace(mac=""))
    assert "twinboot.mac=00:14:4f:00:00:01" in entry.modules[0].args


@pytest.mark.parametrize("field", ["base", "report_urls", "mac"])
@pytest.mark.parametrize("evil", ["a b", "a\nb", "a'b", 'a"b', "a;b", "a$b", "a\\b", "a*b", "a{b", "a&b", "é", "\x00"])
def test_a_value_that_would_change_the_line_is_refused(field: str, evil: str) -> None:
    value: Any = ("http://10.0.0.1/report/abc", evil) if field == "report_urls" else evil
    with pytest.raises(ArgumentError, match="boot line"):
        load_target("live-xen").entry(host(), CTX._replace(**{field: value}))


def test_an_empty_word_is_refused() -> None:
    with pytest.raises(ArgumentError):
        words("a", "")


def test_every_target_names_each_file_it_boots() -> None:
    for target in (one for one in map(load_target, TARGETS) if one.files):
        entry = target.entry(host(), CTX)
        names = {payload.file.removeprefix("install/abc/") for payload in (entry.kernel, *entry.modules)}
        assert names <= set(target.files)


def test_nevada_has_no_entry_for_the_loaders_of_the_others() -> None:
    with pytest.raises(ArgumentError, match="pxegrub alone; boot it in BIOS mode"):
        load_target("nevada").entry(host(), CTX)
