"""A local disk that proves it was booted: GRUB in the master boot record, saying so on the serial console.

The image is GRUB's boot.img (sector 0) followed by a core image made by grub-mkimage (sectors 1 and on), which is
where boot.img looks for it by default; no partition table and no root are needed.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

BOOT_IMG = Path("/usr/lib/grub/i386-pc/boot.img")
MODULES = ("biosdisk", "serial", "terminal", "echo", "sleep", "halt", "minicmd")
SIZE_BYTES = 8 << 20


def banner(name: str) -> str:
    """Return the line that the disk of machine `name` prints on the serial console when it is booted."""
    return f"LOCAL DISK of {name}: booted"


def make_local_disk(path: Path, name: str) -> None:
    """Write a bootable raw disk to `path` (BIOS). Raises CalledProcessError when grub-mkimage fails."""
    script = f"serial --unit=0 --speed=115200\nterminal_output serial\necho '{banner(name)}'\nsleep 3600\n"
    with tempfile.TemporaryDirectory(prefix="twinboot-disk-") as scratch:
        early, core = Path(scratch) / "early.cfg", Path(scratch) / "core.img"
        early.write_text(script)
        subprocess.run(
            ["grub-mkimage", "-O", "i386-pc", "-p", "(hd0)", "-c", str(early), "-o", str(core), *MODULES],
            check=True,
        )
        image = BOOT_IMG.read_bytes() + core.read_bytes()
    with path.open("wb") as disk:
        disk.write(image)
        disk.truncate(SIZE_BYTES)
