"""The firmware table and the macros made of it."""

import re

from jumpstart.hostfile import from_toml
from pxe.firmware import FIRMWARES, class_macros, describe, host_macros, menu_name

HOST = from_toml(
    """
name = "hv1"
segment = "odd"
target = "live-xen"
[links.fe0]
mac = "00:14:4f:00:00:01"
[links.be0]
mac = "00:14:4f:00:0a:ff"
""",
    "hv1.toml",
)


def test_macros_for_firmware_we_have_a_loader_for() -> None:
    assert class_macros() == [
        ("PXEClient:Arch:00000", ':BootFile="grub/i386-pc/core.0":'),
        ("PXEClient:Arch:00007", ':BootFile="grub/x86_64-efi/core.efi":'),
        ("PXEClient:Arch:00009", ':BootFile="grub/x86_64-efi/core.efi":'),
        ("HTTPClient:Arch:00016", ':BootFile="http:///boot/grub/x86_64-efi/core.efi":EchoVC:'),
        ("iPXE", ':BootFile="http:///boot/boot.ipxe":'),
    ]


def test_another_http_port_leaves_what_boots_by_tftp() -> None:
    assert [name for name, _ in class_macros(8080)] == [f"PXEClient:Arch:{arch:05d}" for arch in (0, 7, 9)]


def test_a_macro_name_is_a_prefix_of_the_class_that_real_firmware_sends() -> None:
    names = {name for name, _ in class_macros()}
    for sent in (
        "PXEClient:Arch:00000:UNDI:002001",
        "PXEClient:Arch:00007:UNDI:003016",
        "HTTPClient:Arch:00016:UNDI:003001",
    ):
        assert sent.rsplit(":", 2)[0] in names


def test_macro_text_fits_the_field_that_carries_it() -> None:
    for name, text in class_macros():
        assert text.startswith(":")
        assert text.endswith(":")
        assert len(name) <= 64
        boot_file = re.search(r'BootFile="([^"]*)"', text)
        assert boot_file is not None
        assert len(boot_file[1]) + len("255.255.255.255") < 128  # the `file` field, the server's address put in


def test_every_row_is_described_and_rows_without_a_loader_say_so() -> None:
    for arch, row in FIRMWARES.items():
        assert row.arch == arch
        assert ("no boot loader" in describe(arch)) == (row.boot_file is None)
    assert "unknown here" in describe(999)
    assert "ARM UEFI, 64-bit" in describe(11)


def test_each_link_of_a_host_has_its_macro() -> None:
    assert host_macros(HOST) == [
        ("0100144F000001", ':GrubMenu="grub/grub.cfg-01-00-14-4f-00-00-01":'),
        ("0100144F000AFF", ':GrubMenu="grub/grub.cfg-01-00-14-4f-00-0a-ff":'),
    ]
    assert menu_name("00:14:4f:00:0a:ff") == "grub/grub.cfg-01-00-14-4f-00-0a-ff"
