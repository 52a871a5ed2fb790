"""Boot files of the live-xen target: `<boot>/live-xen/{xen,vmlinuz,initrd.gz}`, made of Debian's own packages.

Nothing is installed and no root is needed. The result is a function of the package versions and of our own recipe;
both are in a stamp beside the files, so a second run only compares. Files are published by rename, the stamp
last: a machine that boots meanwhile gets a whole file, old or new.
"""

import contextlib
import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jumpstart import debian, initramfs
from jumpstart.debian import MediaError, Package, Progress

DIRECTORY = "live-xen"
FILES = ("xen", "vmlinuz", "initrd.gz")
STAMP = ".stamp"
RECIPE = 2  # raise it when the same packages must give other files
XEN_META, XEN_PACKAGE = "xen-system-amd64", r"xen-hypervisor-[0-9.]+-amd64"
LINUX_META, LINUX_PACKAGE = "linux-image-amd64", r"linux-image-[0-9]\S*-amd64"
BUSYBOX_PACKAGE = "busybox-static"


class Media(NamedTuple):
    """What is there now: the directory, the package files it was made of, and whether this run made it."""

    directory: Path
    packages: tuple[str, ...]
    built: bool


def default_cache() -> Path:
    """Where packages are kept between runs: /var/cache/twinboot for root, else ~/.cache/twinboot (XDG)."""
    if os.geteuid() == 0:
        return Path("/var/cache/twinboot")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "twinboot"


def no_progress(_step: str, _done: int, _total: int) -> None:
    """For callers who do not watch."""


def build_media(boot: Path, cache: Path | None = None, progress: Progress = no_progress) -> Media:
    """Make sure that the boot files are there and current. MediaError says in one line what is missing.

    `progress(step, done, total)` is called with bytes while packages arrive and with (0, 0) as each other step begins.
    """
    cache = cache or default_cache()
    packages = wanted_packages()
    stamp = _stamp(packages)
    target = boot / DIRECTORY
    files = tuple(package.file for package in packages)
    if is_current(target, FILES, stamp):
        return Media(target, files, built=False)
    try:
        debs = cache / "packages"
        debian.download(packages, debs, progress)
        with scratch(cache) as work:
            _make(packages, debs, work, progress)
            publish(work / "out", target, FILES, stamp)
    except OSError as error:
        raise MediaError(
            f"cannot write {error.filename or target}: {error.strerror}; check permissions and space"
        ) from error
    return Media(target, files, built=True)


def wanted_packages() -> tuple[Package, ...]:
    """The hypervisor, kernel and busybox packages that apt would fetch now."""
    xen = debian.dependency(XEN_META, XEN_PACKAGE)
    linux = debian.dependency(LINUX_META, LINUX_PACKAGE)
    return debian.current((xen, linux, BUSYBOX_PACKAGE))


def _stamp(packages: Sequence[Package]) -> str:
    lines = [
        f"recipe {RECIPE}",
        *(f"{package.file} {package.digest}" for package in packages),
        " ".join(initramfs.DRIVERS),
    ]
    lines += [f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in initramfs.LIVE_FILES.items()]
    return "\n".join(lines) + "\n"


def is_current(target: Path, files: Sequence[str], stamp: str) -> bool:
    """Whether these files are there, made of what the stamp says."""
    stamp_file = target / STAMP
    there = all((target / name).is_file() for name in files)
    return there and stamp_file.is_file() and stamp_file.read_text(encoding="utf-8") == stamp


@contextlib.contextmanager
def scratch(cache: Path) -> Iterator[Path]:
    """A directory to build in, gone afterwards."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-", dir=cache) as work:
        yield Path(work)


def _make(packages: Sequence[Package], debs: Path, work: Path, progress: Progress) -> None:
    for package in packages:
        progress(f"unpacking {package.name}", 0, 0)
        debian.unpack(debs / package.file, work / "root" / package.name)
    xen, linux, busybox = (work / "root" / package.name for package in packages)
    progress("building the dom0 initramfs", 0, 0)
    out = work / "out"
    out.mkdir()
    # iPXE cannot unpack a kernel, and GRUB fetches a packed one three times: the length is at its end.
    (out / "xen").write_bytes(_unpacked(_only(xen, "boot/xen-*.gz")))
    shutil.copyfile(_only(linux, "boot/vmlinuz-*"), out / "vmlinuz")
    tree = _only(linux, "lib/modules/*", "usr/lib/modules/*")
    program = _only(busybox, "bin/busybox", "usr/bin/busybox")
    try:
        (out / "initrd.gz").write_bytes(initramfs.build(program.read_bytes(), tree))
    except ValueError as error:
        raise MediaError(str(error)) from error


def _unpacked(packed: Path) -> bytes:
    try:
        return gzip.decompress(packed.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise MediaError(f"{packed.name} is not packed by gzip ({error}); please report this") from error


def _only(root: Path, *patterns: str) -> Path:
    found = [path for pattern in patterns for path in sorted(root.glob(pattern))]
    if not found:
        raise MediaError(f"package {root.name} holds no {patterns[0]}; Debian changed it, please report this")
    return found[0]


def publish(out: Path, target: Path, files: Sequence[str], stamp: str) -> None:
    """Put files into place by rename, the stamp last; there is none while old and new files are mixed."""
    target.mkdir(parents=True, exist_ok=True)
    (target / STAMP).unlink(missing_ok=True)
    (out / STAMP).write_text(stamp, encoding="utf-8")
    for name in (*files, STAMP):
        temporary = target / f".{name.lstrip('.')}.{os.getpid()}.new"
        try:
            shutil.copyfile(out / name, temporary)
            temporary.chmod(0o644)
            temporary.rename(target / name)
        finally:
            temporary.unlink(missing_ok=True)
