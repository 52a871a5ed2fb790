import os
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from pxe import loader
from pxe.firmware import BIOS_CORE, EFI_CORE

FAKE_TOOL = """#!/bin/sh
[ -e "$STATE/broken" ] && { echo 'error: cannot open' >&2; exit 1; }
echo "$*" >>"$STATE/calls"
while [ "$1" != -o ]; do shift; done
echo image >"$2"
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / loader.TOOL).write_text(FAKE_TOOL)
    (tools / loader.TOOL).chmod(0o755)
    for platform in ("i386-pc", "x86_64-efi"):
        (tmp_path / "modules" / platform).mkdir(parents=True)
        for name in ("modinfo.sh", "kernel.img"):
            (tmp_path / "modules" / platform / name).write_text("1")
    monkeypatch.setattr(loader, "MODULES_ROOT", tmp_path / "modules")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("STATE", str(tmp_path))
    return tmp_path


def test_both_images_are_where_the_firmware_table_says(state: Path) -> None:
    assert loader.build_loaders(state / "boot") == (state / "boot" / BIOS_CORE, state / "boot" / EFI_CORE)
    assert (state / "boot" / BIOS_CORE).read_text() == "image\n"
    assert not list((state / "boot").rglob(".build-*"))


def test_the_prefix_stands_behind_the_memory_disk_that_would_override_it(state: Path) -> None:
    loader.build_loaders(state / "boot")
    for call in (state / "calls").read_text().splitlines():
        words = call.split()
        assert words.index("-m") < words.index("-p")
        assert {"memdisk", "tar", "normal", "regexp", "configfile", "tftp", "http", "multiboot2", "minicmd"} <= set(
            words
        )


def test_a_second_run_does_nothing_until_grub_changes(state: Path) -> None:
    loader.build_loaders(state / "boot")
    assert loader.build_loaders(state / "boot") == ()
    (state / "modules" / "i386-pc" / "kernel.img").write_text("22")
    assert loader.build_loaders(state / "boot") == (state / "boot" / BIOS_CORE,)


def test_missing_modules_name_the_package(state: Path) -> None:
    (state / "modules" / "x86_64-efi" / "modinfo.sh").unlink()
    with pytest.raises(loader.LoaderError, match="apt-get install grub-efi-amd64-bin"):
        loader.build_loaders(state / "boot")


def test_a_missing_tool_names_the_package(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(state))
    with pytest.raises(loader.LoaderError, match="apt-get install grub-common"):
        loader.build_loaders(state / "boot")


def test_a_refusing_tool_leaves_no_image(state: Path) -> None:
    (state / "broken").touch()
    with pytest.raises(loader.LoaderError, match="cannot open") as caught:
        loader.build_loaders(state / "boot")
    assert "\n" not in str(caught.value)
    assert not (state / "boot" / BIOS_CORE).exists()


def test_the_memory_disk_holds_the_menu_search() -> None:
    with tarfile.open(fileobj=BytesIO(loader.memdisk())) as tar:
        member = tar.extractfile("grub/grub.cfg")
        assert member is not None
        text = member.read().decode()
    assert 'menu="grub.cfg-01-$a-$b-$c-$d-$e-$f"' in text
    assert loader.memdisk() == loader.memdisk()


def test_without_a_menu_uefi_machines_start_their_disk_themselves() -> None:
    search = loader.MENU_SEARCH
    assert search.index("configfile /grub/grub.cfg") < search.index("chainloader") < search.rindex("exit")
    assert "/EFI/BOOT/BOOTX64.EFI" in search
