"""GRUB network images: one file for each firmware, with everything inside, so that the next thing fetched is the menu.

`grub/i386-pc/core.0` is what a BIOS PXE ROM runs, `grub/x86_64-efi/core.efi` what UEFI runs (by PXE or HTTP boot).
Debian's own grub-mkimage makes them from its own modules. A stock network image fetches some fifteen modules and
lists before it asks for a menu, and then tries nine names; ours holds its modules and a small memory disk whose
`grub.cfg` (`MENU_SEARCH` below) asks for exactly two: this machine's menu, then the one for unknown machines.

Sources: grub-mkimage(1); GRUB manual, "Network" (net_default_mac, net_default_server) and "configfile".
Not for Secure Boot: firmware that insists on it accepts signed images only.
"""

import hashlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

TOOL = "grub-mkimage"
TOOL_TIMEOUT_S = 60
DETAIL_MAX = 300
MEMDISK_PREFIX = "(memdisk)/grub"
MODULES_ROOT = Path("/usr/lib/grub")

MENU_SEARCH = """\
# The address of the NIC this machine booted from, as the name of its menu. UEFI HTTP boot leaves the net to us.
if [ -z "$net_default_mac" ]; then net_bootp; fi
regexp --set=1:a --set=2:b --set=3:c --set=4:d --set=5:e --set=6:f \\
    '(..):(..):(..):(..):(..):(..)' "$net_default_mac"
set menu="grub.cfg-01-$a-$b-$c-$d-$e-$f"
set root="tftp,$net_default_server"
export root
if ! configfile "/grub/$menu"; then
    if ! configfile /grub/grub.cfg; then
        echo "twinboot: $net_default_server has no menu for this machine, /grub/$menu; the local disk is next."
        sleep 5
    fi
fi
# UEFI firmware takes a loader that ends for a loader that succeeded and opens its setup, so the disk is started here.
if [ "$grub_platform" = efi ]; then
    for file in /EFI/debian/shimx64.efi /EFI/debian/grubx64.efi /EFI/BOOT/BOOTX64.EFI; do
        if search --no-floppy --set=root --file "$file"; then
            chainloader "$file"
            boot
        fi
    done
fi
exit
"""

# What menus use, and no more: file systems of installed disks are their own loader's business, the EFI one excepted.
COMMON_MODULES = (
    *(
        "memdisk",
        "tar",
        "normal",
        "configfile",
        "regexp",
        "test",
        "true",
        "minicmd",
        "echo",
        "sleep",
        "serial",
        "terminal",
    ),
    *(
        "net",
        "tftp",
        "http",
        "multiboot2",
        "linux",
        "gzio",
        "chain",
        "part_gpt",
        "part_msdos",
        "fat",
        "search",
        "search_fs_file",
        "reboot",
        "halt",
    ),
)


class Image(NamedTuple):
    """One firmware's image: its place below the boot directory, grub-mkimage's format, where its modules come from."""

    path: str
    format: str
    platform: str
    package: str
    modules: tuple[str, ...]


IMAGES: Mapping[str, Image] = MappingProxyType(
    {
        "bios": Image("grub/i386-pc/core.0", "i386-pc-pxe", "i386-pc", "grub-pc-bin", ("pxe", "biosdisk", "drivemap")),
        "uefi": Image(
            "grub/x86_64-efi/core.efi", "x86_64-efi", "x86_64-efi", "grub-efi-amd64-bin", ("efinet", "efifwsetup")
        ),
    }
)


class LoaderError(Exception):
    """An image cannot be built; the text says why and what to do."""


def build_loaders(boot: Path) -> tuple[Path, ...]:
    """Make sure that both images are below `boot` and current; returns those written now, empty when nothing was to do.

    LoaderError says in one line which Debian package is missing or what grub-mkimage refused.
    """
    return tuple(boot / image.path for image in IMAGES.values() if _refresh(boot, image))


def _refresh(boot: Path, image: Image) -> bool:
    modules = MODULES_ROOT / image.platform
    if not (modules / "modinfo.sh").is_file():
        raise LoaderError(f"GRUB's modules are not in {modules}; run `apt-get install {image.package} grub-common`")
    target = boot / image.path
    stamp_file = target.with_name(f".{target.name}.stamp")
    stamp = _stamp(image, modules)
    try:
        if target.is_file() and stamp_file.is_file() and stamp_file.read_text(encoding="utf-8") == stamp:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent) as work:
            _make(image, Path(work))
            (Path(work) / "image").chmod(0o644)
            (Path(work) / "image").rename(target)
        stamp_file.write_text(stamp, encoding="utf-8")
    except OSError as error:
        raise LoaderError(
            f"cannot write {error.filename or target}: {error.strerror}; check permissions and space"
        ) from error
    return True


def _stamp(image: Image, modules: Path) -> str:
    """What the image is a function of: our recipe and the modules installed (one of their files stands for all)."""
    kernel = (modules / "kernel.img").stat()
    recipe = hashlib.sha256("\n".join((MENU_SEARCH, *command(image, Path()))).encode()).hexdigest()
    return f"{recipe} {kernel.st_size} {kernel.st_mtime_ns}\n"


def _make(image: Image, work: Path) -> None:
    (work / "memdisk").write_bytes(memdisk())
    try:
        done = subprocess.run(command(image, work), capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False)
    except FileNotFoundError:
        raise LoaderError(f"{TOOL} is not installed; run `apt-get install grub-common {image.package}`") from None
    except subprocess.TimeoutExpired:
        raise LoaderError(f"{TOOL} did not end within {TOOL_TIMEOUT_S} s; run it by hand to see why") from None
    if done.returncode:
        words = " ".join(done.stderr.split())[:DETAIL_MAX] or "no reason given"
        raise LoaderError(f"{TOOL} could not make {image.path}: {words}; reinstall {image.package}")


def command(image: Image, work: Path) -> tuple[str, ...]:
    """The tool's arguments. `-m` sets a prefix of its own, so ours must stand behind it."""
    paths = ("-d", str(MODULES_ROOT / image.platform), "-o", str(work / "image"), "-m", str(work / "memdisk"))
    return (TOOL, "-O", image.format, *paths, "-p", MEMDISK_PREFIX, *COMMON_MODULES, *image.modules)


def memdisk() -> bytes:
    """A tar archive that holds the menu search as `grub/grub.cfg`; the same bytes every time."""
    data = MENU_SEARCH.encode("ascii")
    member = tarfile.TarInfo("grub/grub.cfg")
    member.size = len(data)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()
