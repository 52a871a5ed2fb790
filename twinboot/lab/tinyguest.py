"""A tiny guest: Debian's kernel for virtual machines and busybox on a bootable disk of 48 MB. No root, no mount.

The disk is what a master image is: a boot sector, one partition, a boot loader that QEMU's BIOS and Xen's pygrub both
understand, a kernel with drivers for virtio, Xen and an IDE disk, and a user space that asks for addresses by DHCP.
What it says on its console stands at the top of `tiny/init`.
"""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from jumpstart import newc
from jumpstart.initramfs import modules
from twinboot.lab.isolate import LabError

TINY = Path(__file__).parent / "tiny"
DRIVERS = (
    *("virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "xen_blkfront", "xen_netfront", "ext4", "evdev"),
    *("ata_piix", "sd_mod"),  # QEMU's emulated IDE disk; this kernel has no driver for an emulated card
)
DISK_BYTES = 48 << 20
SECTOR_BYTES = 512
PARTITION_SECTOR = 2048
CORE_BYTES_MAX = (PARTITION_SECTOR - 1) * SECTOR_BYTES
BOOT_CODE_BYTES = 440
TOOL_TIMEOUT_S = 60
GRUB_PC = Path("/usr/lib/grub/i386-pc")
GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "linux", "normal", "configfile", "serial", "terminal")
GRUB_EARLY = "set root=(hd0,msdos1)\nset prefix=(hd0,msdos1)/boot/grub\nconfigfile /boot/grub/grub.cfg\n"
GRUB_MENU = """serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=0
menuentry "tiny" {
  set root=(hd0,msdos1)
  linux /boot/vmlinuz root=/dev/ram0 console=hvc0 console=ttyS0,115200 panic=5 quiet
  initrd /boot/initrd.gz
}
"""
# pygrub wants the menu entry in several lines. /dev/console is the last console named that exists.


def build(kernel: Path, busybox: Path, into: Path) -> None:
    """Make the disk of an unpacked kernel package and a static busybox. LabError in one line."""
    with tempfile.TemporaryDirectory(prefix="tiny-", dir=into.parent) as work:
        place = Path(work)
        try:
            _root(kernel, _initramfs(kernel, busybox), place / "root")
            disk = place / "disk.raw"
            _disk(place, disk)
        except OSError as error:
            raise LabError(f"the tiny guest cannot be built: {error.filename or ''} {error.strerror}") from error
        os.replace(disk, into)


def _initramfs(kernel: Path, busybox: Path) -> bytes:
    entries = {f"bin/{name}": newc.link_to("busybox") for name in _run([str(busybox), "--list"]).split()}
    entries["bin/busybox"] = newc.executable(busybox.read_bytes())
    entries |= {"init": newc.executable((TINY / "init").read_bytes())}
    entries["bin/lease"] = newc.executable((TINY / "lease").read_bytes())
    del entries["bin/poweroff"]
    entries["sbin/poweroff"] = newc.executable((TINY / "poweroff").read_bytes())
    entries["etc/acpi/PWRF/00000080"] = newc.executable(b"#!/bin/sh\nexec /sbin/poweroff\n")
    entries |= dict.fromkeys(("dev", "data", "proc", "run", "sys", "tmp"), newc.DIRECTORY)
    entries |= modules(next((kernel / "lib/modules").iterdir()), DRIVERS)
    return gzip.compress(newc.archive(entries), 9, mtime=0)


def _root(kernel: Path, initramfs: bytes, root: Path) -> None:
    boot = root / "boot"
    (boot / "grub").mkdir(parents=True)
    shutil.copyfile(next((kernel / "boot").glob("vmlinuz-*")), boot / "vmlinuz")
    (boot / "initrd.gz").write_bytes(initramfs)
    (boot / "grub" / "grub.cfg").write_text(GRUB_MENU)


def _disk(place: Path, disk: Path) -> None:
    offset = PARTITION_SECTOR * SECTOR_BYTES
    fs_bytes = DISK_BYTES - offset
    early, core = place / "early.cfg", place / "core.img"
    early.write_text(GRUB_EARLY)
    prefix = "(hd0,msdos1)/boot/grub"
    _run(["grub-mkimage", "-O", "i386-pc", "-p", prefix, "-c", str(early), "-o", str(core), *GRUB_MODULES])
    if core.stat().st_size > CORE_BYTES_MAX:
        raise LabError(f"GRUB's core image has {core.stat().st_size} bytes: {CORE_BYTES_MAX} fit before the partition")
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
        file.write((GRUB_PC / "boot.img").read_bytes()[:BOOT_CODE_BYTES])
        file.seek(446)
        file.write(_partition(fs_bytes // SECTOR_BYTES))
        file.seek(510)
        file.write(b"\x55\xaa" + core.read_bytes())
    features = "^has_journal,^metadata_csum,^64bit"  # GRUB 2 and pygrub of 2009 read it
    owner = f"offset={offset},root_owner=0:0"
    made = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", features, "-m", "0", "-L", "tiny", "-E", owner]
    _run([*made, "-d", str(place / "root"), str(disk), f"{fs_bytes // 1024}k"])


def _partition(sectors: int) -> bytes:
    """The first entry of a DOS partition table: active, Linux, addressed by sector number only."""
    return struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", PARTITION_SECTOR, sectors)


def _run(argv: Sequence[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TOOL_TIMEOUT_S)
    except FileNotFoundError:
        raise LabError(f"{argv[0]} is missing: `make demo-guest` installs what the lab needs") from None
    if done.returncode:
        raise LabError(f"{argv[0]} failed: {done.stderr.strip()[-300:]}")
    return done.stdout
