from __future__ import annotations

from pathlib import Path

import pytest

from jumpstart.hostfile import HostError
from jumpstart.targets.nevada_site import FILE, FILE_BYTES_MAX, Server, Settings, load, parse, to_text

ODD = Server("192.168.78.14", "192.168.78.14:8080", "/export/install/nv105", "/jumpstart")
EVEN = Server("192.168.78.16", "192.168.78.16", "/export/install/nv105", "/jumpstart", "192.168.78.30")
SETTINGS = Settings(
    "I86PC.nv105",
    "snv_105",
    ("grub/pxegrub", "platform/i86pc/kernel/unix", "x86.miniroot"),
    {"odd": ODD, "even": EVEN},
    timezone="Europe/London",
)


def faults(text: str) -> list[str]:
    with pytest.raises(HostError) as caught:
        parse(text, "n.toml")
    return [str(fault) for fault in caught.value.faults]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(to_text(SETTINGS))
    assert load(tmp_path) == SETTINGS


def test_a_host_gets_its_own_segments_server_and_reports_to_both() -> None:
    assert SETTINGS.server_of("even", "odd") == EVEN
    assert SETTINGS._replace(servers={"odd": ODD}).server_of("even") == ODD
    site = SETTINGS.site(EVEN, "even", "t0", {"backend": "255.255.255.0"}, "")
    assert site.report_urls == ("http://192.168.78.16/report/t0", "http://192.168.78.14:8080/report/t0")
    assert (site.server, site.nfs, site.timezone) == ("192.168.78.16", "192.168.78.30", "Europe/London")
    assert site.image.direct
    assert not site.image.multiboot


def test_every_fault_is_told_at_once() -> None:
    text = to_text(SETTINGS).replace("I86PC.nv105", "../etc").replace('"snv_105"', "105").replace("zone", "zon")
    said = faults(
        text.replace('media = "/export/install/nv105"', 'media = "/a,b"').replace("[servers.even]", "[servers.up]")
    )
    assert [line.split(": ")[1] for line in said] == [
        "'timezon'",
        "image",
        "release",
        "servers.odd.media",
        "servers.up",
    ]


@pytest.mark.parametrize("value", ["a b", "/a b", "/a,b", "/a'b", "/a$(reboot)", "/a=b", "", "/", "/a\\\\n"])
@pytest.mark.parametrize("key", ["media", "config", "address", "http", "nfs"])
def test_no_value_can_change_a_boot_line(key: str, value: str) -> None:
    text = to_text(SETTINGS._replace(servers={"even": EVEN}))
    (said,) = faults(text.replace(f'{key} = "{getattr(EVEN, key)}"', f'{key} = "{value}"'))
    assert said.startswith(f"n.toml: servers.even.{key}: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image = ", "not TOML"),
        ("", "servers: no server keeps the image"),
        (to_text(SETTINGS).replace("x86.miniroot", "x86.microroot"), "boot_files: must be a list of some of"),
        (to_text(SETTINGS).replace(', "x86.miniroot"', ""), "boot_files: I86PC.nv105: neither kernel nor miniroot"),
    ],
)
def test_a_file_that_cannot_be_used(text: str, said: str) -> None:
    assert any(said in line for line in faults(text))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for data, said in ((None, "takes an install image"), (b"#" * (FILE_BYTES_MAX + 1), "larger"), (b"\xff", "UTF-8")):
        if data is not None:
            (tmp_path / FILE).write_bytes(data)
        with pytest.raises(HostError, match=said):
            load(tmp_path)
