"""QEMU's command line: what makes a BIOS machine and a UEFI machine boot from the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinboot.lab.machine import Card, Machine, Spec, argv

CARDS = (Card("00:14:4f:00:00:01", "hv1-fe"), Card("00:14:4f:00:01:01", "hv1-be"))


def line(firmware: str, disk: Path | None = None) -> str:
    return " ".join(argv(Spec("hv1", firmware, CARDS, disk=disk), Path("/s"), Path("/n")))


def test_bios_boots_by_the_ipxe_rom_of_its_first_card_only() -> None:
    first, second = [word for word in line("bios").split() if word.startswith("e1000,")]
    assert first.endswith("bootindex=1")
    assert "romfile" not in first
    assert second.endswith("romfile=")


def test_uefi_boots_by_the_firmwares_own_client() -> None:
    text = line("uefi")
    assert "OVMF_CODE" in text
    assert "file=/n" in text
    assert text.count("romfile=") == 2


def test_the_network_comes_before_the_disk() -> None:
    text = line("bios", Path("/d.raw"))
    assert "drive=d0,bootindex=9" in text


def test_a_machine_that_is_off_can_be_switched_off(tmp_path: Path) -> None:
    machine = Machine(Spec("hv1", "bios", CARDS), tmp_path)
    machine.power_off()
    assert not machine.running()


@pytest.mark.parametrize("firmware", ["coreboot", ""])
def test_an_unknown_firmware_is_a_key_error(firmware: str) -> None:
    with pytest.raises(KeyError):
        line(firmware)


def test_a_mirror_is_two_disks_known_by_their_serial_numbers() -> None:
    spec = Spec("hv1", "uefi", CARDS, mirror=(Path("/d/hv1-a.raw"), Path("/d/hv1-b.raw")))
    text = " ".join(argv(spec, Path("/s"), Path("/n")))
    assert "drive=m0,serial=hv1-a,bootindex=2" in text
    assert "drive=m1,serial=hv1-b,bootindex=3" in text
    assert "snapshot" not in text


def test_a_machine_that_forgets_and_does_not_ask_the_network() -> None:
    spec = Spec("hv1", "uefi", CARDS, mirror=(Path("/d/a.raw"),), network_boot=False, keep_writes=False)
    text = " ".join(argv(spec, Path("/s"), Path("/n")))
    assert "snapshot=on" in text
    assert "bootindex=1" not in text
