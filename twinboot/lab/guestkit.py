"""What the guests' lab needs beside installed programs: tgt (installing it would start a service) and a tiny guest.

Debian's packages are fetched by apt and unpacked below a cache directory, and the guest's disk is made of them; nothing
of the machine changes. All of it is made again when a package, or what we put into the guest, changes.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from jumpstart import debian
from jumpstart.debian import MediaError
from twinboot.lab import tinyguest
from twinboot.lab.isolate import LabError

__all__ = ["GuestKit", "build"]

KERNEL = ("linux-image-cloud-amd64", r"linux-image-[0-9.-]+-cloud-amd64")
STAMP = ".stamp"


class GuestKit(NamedTuple):
    """`programs`: the directory of tgtd and tgtadm. `disk`: the tiny guest's."""

    programs: Path
    disk: Path


def build(cache: Path) -> GuestKit:
    """The kit below `cache`, made unless it is there. LabError says in one line what is missing."""
    home = cache / "guest-kit"
    try:
        packages = debian.current(("tgt", "busybox-static", debian.dependency(*KERNEL)))
        recipe = b"".join(path.read_bytes() for path in [Path(tinyguest.__file__), *sorted(tinyguest.TINY.iterdir())])
        stamp = "".join(f"{package.file} {package.digest}\n" for package in packages)
        stamp += hashlib.sha256(recipe).hexdigest()
        if not (home / STAMP).is_file() or (home / STAMP).read_text() != stamp:
            debian.download(packages, cache / "packages", lambda _step, _done, _total: None)
            debs = [cache / "packages" / package.file for package in packages]
            _make(debs, home, stamp)
    except MediaError as error:
        raise LabError(f"the lab's guest is not to be had: {error}") from error
    except OSError as error:
        raise LabError(f"cannot write {error.filename or cache}: {error.strerror}; check permissions") from error
    return GuestKit(home / "tgt" / "usr" / "sbin", home / "tiny.raw")


def _make(debs: list[Path], home: Path, stamp: str) -> None:
    """Make it beside `home`, and put it there by rename, so that a run cut short leaves no half of a kit."""
    with tempfile.TemporaryDirectory(prefix="guest-", dir=home.parent) as work:
        made = Path(work) / "kit"
        trees = [made / deb.name.partition("_")[0] for deb in debs]
        for deb, tree in zip(debs, trees, strict=True):
            debian.unpack(deb, tree)
        _, busybox, kernel = trees
        tinyguest.build(kernel, next(busybox.glob("*bin/busybox")), made / "tiny.raw")
        for tree in (busybox, kernel):
            shutil.rmtree(tree)
        (made / STAMP).write_text(stamp)
        made.chmod(0o755)
        shutil.rmtree(home, ignore_errors=True)
        made.rename(home)
