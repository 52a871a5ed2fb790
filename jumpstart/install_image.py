"""A Solaris install image, as its media or `setup_install_server` lay it out: what must be in it, and taking it in.

An image is a directory with `boot/` (loader, kernel, miniroot: what a machine fetches by TFTP) and `Solaris_NN/` with
`Product/` (the packages, which it mounts by NFS). Taking it in copies or links the few boot files to `boot/I86PC.NAME/`
and `boot/pxegrub.I86PC.NAME`, as `add_install_client` names them; the packages stay where they are. The boot tree
follows no link out of it, so links are hard links, and a symbolic link in the image is followed only while it stays
inside. An image appears whole or not at all.

What a release is called decides nothing, with one exception: the volume name of Solaris 10 media tells its update
(`SOL_10_1008_X86` is 10/08, update 6), and no earlier one can install a ZFS root.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jumpstart.targets.nevada import BOOT_FILES, PXEGRUB, Image, image_of

COPY_BYTES = 1 << 20
PRODUCT = re.compile(r"Solaris_(1[0-9])")
VOLUME = re.compile(r"SOL_10_([01][0-9])([0-9]{2})_X86")
VOLUME_BYTES_MAX = 4096
FIRST_ZFS_ROOT = (8, 10)  # year and month of Solaris 10's update 6
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

Tell = Callable[[str, int, int], None]
"""(step, bytes done, bytes in all)"""


class ImageError(Exception):
    """A directory that is no install image that can be taken; `faults` holds every reason, one line each."""

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


class Tree(NamedTuple):
    """An image that was looked at: where it is, its product directory, and its boot files by their names in `boot/`."""

    root: Path
    product: str
    files: dict[str, Path]


def examine(root: Path) -> Tree:
    """Judge the image at `root`. ImageError with everything that is missing or wrong."""
    if not root.is_dir():
        raise ImageError(f"{root}: no such directory; name the copy of an install medium")
    root = root.resolve()
    faults: list[str] = []
    files = {name: path for name in BOOT_FILES if (path := _inside(root, name, faults)) is not None}
    if PXEGRUB not in files:
        faults.append(f"{root}/boot/{PXEGRUB} is missing: without the network loader no machine can start")
    if not any(name in files for name in ("multiboot", "platform/i86pc/kernel/unix")):
        faults.append(f"{root}/boot has neither multiboot nor platform/i86pc/kernel/unix: there is no kernel to load")
    if not any(name in files for name in ("x86.miniroot", "amd64/x86.miniroot")):
        faults.append(f"{root}/boot/x86.miniroot is missing: there is nothing for the kernel to run from")
    products = sorted(entry.name for entry in root.iterdir() if PRODUCT.fullmatch(entry.name) and entry.is_dir())
    if len(products) != 1:
        faults.append(
            f"{root}: there must be one directory Solaris_10 or Solaris_11; this is no install medium for x86"
        )
    elif not (root / products[0] / "Product").is_dir():
        faults.append(f"{root}/{products[0]}/Product is missing: there are no packages; copy the whole medium")
    faults += _too_old(root)
    if faults:
        raise ImageError(*faults)
    return Tree(root, products[0], files)


def _inside(root: Path, name: str, faults: list[str]) -> Path | None:
    """The boot file of that name when it is a regular file of the image with something in it."""
    path = root / "boot" / name
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):  # absent, or a loop of symbolic links
        return None
    if not real.is_relative_to(root):
        faults.append(f"{path} is a symbolic link out of the image, to {real}; copy the file itself")
    elif not real.is_file() or not real.stat().st_size:
        faults.append(f"{path} is empty or no regular file; copy the medium again")
    elif not os.access(real, os.R_OK, effective_ids=True):
        faults.append(f"{path} cannot be read; chmod a+r it")
    else:
        return real
    return None


def _too_old(root: Path) -> list[str]:
    try:
        with (root / ".volume.inf").open("rb") as file:
            text = file.read(VOLUME_BYTES_MAX).decode("latin-1")
    except OSError:
        return []  # copies of media often lack it
    found = VOLUME.search(text)
    if found is None or (int(found[2]), int(found[1])) >= FIRST_ZFS_ROOT:
        return []
    return [f"{root} is Solaris 10 of {found[1]}/{found[2]}: a mirrored ZFS root needs 10/08 (update 6) or later"]


def take(tree: Tree, boot: Path, name: str, link: bool, tell: Tell) -> Image:
    """Put the boot files into the boot tree as `I86PC.NAME`, in place of an image of that name. ImageError, OSError."""
    if not NAME.fullmatch(name):
        raise ImageError(f"{name!r} cannot name an image; use letters, digits and _.- such as nv105")
    image = image_of(f"I86PC.{name}", tree.files)
    fresh = Path(tempfile.mkdtemp(prefix=".new-image-", dir=boot))
    try:
        total = sum(path.stat().st_size for path in tree.files.values())
        done = 0
        for known, source in tree.files.items():
            target = fresh / known
            target.parent.mkdir(parents=True, exist_ok=True)
            if link:
                _link(source, target)
                done += source.stat().st_size
                tell(f"linking {image.name}", done, total)
            else:
                done = _copy(source, target, done, total, image.name, tell)
        for folder in (fresh, *(path for path in fresh.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        _place(fresh, boot / image.name)
        _place(_loader_copy(boot, image.name), boot / f"pxegrub.{image.name}")
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return image


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        raise ImageError(f"{source} cannot be linked ({error.strerror}); leave --link out to copy it") from None


def _copy(source: Path, target: Path, done: int, total: int, name: str, tell: Tell) -> int:
    with source.open("rb") as reader, target.open("wb") as writer:
        while piece := reader.read(COPY_BYTES):
            writer.write(piece)
            done += len(piece)
            tell(f"copying {name}", done, total)
        os.fchmod(writer.fileno(), 0o644)
        writer.flush()
        os.fsync(writer.fileno())
    return done


def _loader_copy(boot: Path, image: str) -> Path:
    """A second copy of the loader: old machines have its name from DHCP in a field without room for directories."""
    handle, path = tempfile.mkstemp(prefix=".new-pxegrub-", dir=boot)
    with os.fdopen(handle, "wb") as file:
        file.write((boot / image / PXEGRUB).read_bytes())
        os.fchmod(handle, 0o644)
    return Path(path)


def _place(fresh: Path, target: Path) -> None:
    """Rename `fresh` to `target`; a directory that has this name moves aside first, for a rename cannot replace it."""
    if target.is_dir():
        aside = Path(tempfile.mkdtemp(prefix=".old-image-", dir=target.parent))
        target.rename(aside / target.name)
        fresh.rename(target)
        shutil.rmtree(aside)
    else:
        fresh.rename(target)
