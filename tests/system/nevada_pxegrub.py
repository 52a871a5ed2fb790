"""Scenario of test_nevada: a BIOS machine boots by Sun's names, through a stand-in for pxegrub and for the kernel.

The stand-in for pxegrub is GRUB 2 with its reader of GRUB legacy's menus; the kernel is twenty instructions that print
their command line. Both stand under the names of an install image, so DHCP, TFTP and the menu are the real ones.

Run by hand: `python tests/system/nevada_pxegrub.py RESULT.json` (root, or who may have namespaces and taps).
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.twinboot.nevada.image import complete, make_image
from twinboot import journal
from twinboot.lab import isolate
from twinboot.lab.machine import Machine
from twinboot.lab.rack import Plan, Rack

MAC = "02:14:40:00:00:01"  # no letters: GRUB 2 cannot write them in capitals
CLIENT = "01" + MAC.replace(":", "")
STAND_IN = f"""\
serial --unit=0 --speed=115200
terminal_output serial
set root="tftp,$net_default_server"
export root
legacy_configfile /menu.lst.{CLIENT}
"""
MODULES = (
    *("memdisk", "tar", "normal", "configfile", "test", "minicmd", "echo", "serial", "terminal", "net", "tftp", "pxe"),
    *("legacycfg", "multiboot", "chain", "biosdisk", "part_msdos", "drivemap", "boot", "linux16"),
)
LOAD_AT = 0x100000
PRINT_COMMAND_LINE = bytes.fromhex("8b7310 66baf803 ac 84c0 7403 ee eb f8 b00a ee fa f4 ebfd".replace(" ", ""))
WAIT_S = 120.0


def kernel() -> bytes:
    """A multiboot kernel (version 1, addresses in the header) that prints its command line on the first serial port."""
    header = (0x1BADB002, 0x00010000, -(0x1BADB002 + 0x00010000) & 0xFFFFFFFF, LOAD_AT, LOAD_AT, 0, 0, LOAD_AT + 32)
    return struct.pack("<8I", *header) + PRINT_COMMAND_LINE


def stand_in(work: Path) -> bytes:
    """A BIOS network image of GRUB 2 that reads the machine's `menu.lst`."""
    (work / "grub").mkdir()
    (work / "grub/grub.cfg").write_text(STAND_IN)
    subprocess.run(["tar", "-C", str(work), "-cf", str(work / "disk.tar"), "grub"], check=True)
    words = ["-O", "i386-pc-pxe", "-o", str(work / "core"), "-m", str(work / "disk.tar"), "-p", "(memdisk)/grub"]
    subprocess.run(["grub-mkimage", *words, *MODULES], check=True)
    return (work / "core").read_bytes()


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not what() and time.monotonic() < end:
        time.sleep(0.25)


def has_said(machine: Machine, word: str) -> bool:
    return word in machine.serial.read_text(errors="replace")


def play(result: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="twinboot-lab-") as name:
        place = Path(name)
        place.chmod(0o755)
        image = make_image(place / "nv105")
        work = place / "work"
        work.mkdir()
        (image / "boot/grub/pxegrub").write_bytes(stand_in(work))
        (image / "boot/platform/i86pc/kernel/unix").write_bytes(kernel())
        (image / "boot/x86.miniroot").write_bytes(b"made up" * 50_000)
        with Rack(place, (Plan("hv1", "bios", MAC, local_disk=True, memory_mib=256),)) as rack:
            rack.init()
            rack.twinboot("media", "add", "nevada", str(image), "--release", "snv_105")
            link = ["--mac", f"fe0={MAC}", "--address", "fe0=10.77.0.21"]
            rack.twinboot("host", "add", "hv1", *link, "--segment", "odd", "--target", "nevada")
            complete(rack.share / "hosts/hv1.toml")
            rack.serve()
            rack.twinboot("install", "hv1")
            machine = rack.machines["hv1"]
            said = []
            for word in ("sysid_config=", "LOCAL DISK of hv1"):
                machine.power_on()
                wait_for(partial(has_said, machine, word))
                time.sleep(0.5)
                said.append(machine.serial.read_text(errors="replace"))
                machine.power_off()
            events = journal.read(journal.open_reader(rack.state / "journal.db"), journal.Query())
        result.write_text(json.dumps({"said": said, "events": events}))


if __name__ == "__main__":
    if isolate.inside():
        play(Path(sys.argv[1]))
    else:
        sys.exit(isolate.run([sys.executable, *sys.argv]))
