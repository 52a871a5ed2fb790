"""The programs of the cluster lab: an NFS server, an NFS client and a kernel for guests, unpacked and never installed.

Installing Debian's nfs-ganesha, nfs-common or rpcbind starts services that listen on every interface. So apt only
fetches these packages, and they are unpacked below a cache directory: nothing of the machine changes, and no root is
needed. They find one another by `Kit.environment`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jumpstart import debian
from jumpstart.debian import MediaError
from twinboot.lab.isolate import LabError

__all__ = ["KEY_PACKAGES", "Kit", "build"]

KEY_PACKAGES = ("nfs-ganesha", "nfs-ganesha-vfs", "nfs-common", "rpcbind", "user-mode-linux")
"""What is wanted; what they need to run is looked up, because library packages carry a version in their name."""

LIBRARIES = re.compile(r"lib(ntirpc|urcu|wbclient|nfsidmap|wrap|tirpc|event-core|keyutils|devmapper)[-\d.]*")
"""Libraries that the machine may lack. Everything else that they need is in every Debian system."""

STAMP = ".stamp"


@dataclass(frozen=True, slots=True)
class Kit:
    """The unpacked programs below `root`."""

    root: Path

    @property
    def linux(self) -> Path:
        """The User Mode Linux kernel, a program."""
        return self.root / "usr/bin/linux.uml"

    @property
    def modules(self) -> Path:
        """The kernel's modules: the directory that holds `fs`, `net`, ..."""
        return next((self.root / "usr/lib/uml/modules").iterdir()) / "kernel"

    @property
    def ganesha(self) -> Path:
        """The NFS server."""
        return self.root / "usr/bin/ganesha.nfsd"

    @property
    def ganesha_plugins(self) -> Path:
        """Directory of the server's file system layers."""
        return self._libraries / "ganesha"

    @property
    def rpcbind(self) -> Path:
        """The port mapper: NFS version 3 does not start without."""
        return self.root / "sbin/rpcbind"

    @property
    def mount_nfs(self) -> Path:
        """What mount(8) would call for `-t nfs`."""
        return self.root / "sbin/mount.nfs"

    @property
    def environment(self) -> dict[str, str]:
        """What to add to the environment of these programs."""
        places = [self._libraries, self.root / "lib" / self._libraries.name, self.root / "usr/lib/ganesha"]
        return {"LD_LIBRARY_PATH": ":".join(map(str, places))}

    @property
    def _libraries(self) -> Path:
        return next((self.root / "usr/lib").glob("*-linux-gnu"))


def build(cache: Path) -> Kit:
    """The kit below `cache`, fetched and unpacked unless it is there. LabError says in one line what is missing."""
    try:
        packages = debian.current((*KEY_PACKAGES, *_libraries()))
        stamp = "".join(f"{package.file} {package.digest}\n" for package in packages)
        root = cache / "cluster-kit"
        if not _is_current(root, stamp):
            debian.download(packages, cache / "packages", lambda _step, _done, _total: None)
            _unpack([cache / "packages" / package.file for package in packages], root, stamp)
    except MediaError as error:
        raise LabError(f"the cluster lab's programs are not to be had: {error}") from error
    except OSError as error:
        raise LabError(f"cannot write {error.filename or cache}: {error.strerror}; check permissions") from error
    return Kit(root)


def _libraries() -> list[str]:
    options = ("--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces")
    listing = debian.run("apt-cache", "depends", *options, "--no-enhances", *KEY_PACKAGES)
    names = {line.strip() for line in listing.splitlines() if not line.startswith((" ", "<"))}
    return sorted(name for name in names if LIBRARIES.fullmatch(name))


def _is_current(root: Path, stamp: str) -> bool:
    there = root / STAMP
    return there.is_file() and there.read_text(encoding="utf-8") == stamp


def _unpack(debs: Sequence[Path], root: Path, stamp: str) -> None:
    """Unpack beside `root` and put it there by rename, so that a run cut short leaves no half of a kit."""
    with tempfile.TemporaryDirectory(prefix="kit-", dir=root.parent) as work:
        made = Path(work) / "root"
        for deb in debs:
            subprocess.run(["dpkg-deb", "-x", str(deb), str(made)], check=True, timeout=debian.TOOL_TIMEOUT_S)
        (made / STAMP).write_text(stamp, encoding="utf-8")
        made.chmod(0o755)
        shutil.rmtree(root, ignore_errors=True)
        made.rename(root)
