"""What the nested Xen hosts boot, made of Debian's packages and kept: hypervisor, kernel, dom0, guest.

QEMU loads Xen by the Multiboot protocol (`-kernel xen -initrd "vmlinuz,initrd"`), so no boot medium is needed. The dom0
is a real Debian with xl, xenstored, open-iscsi and sshd; its disk is made from a directory (`mke2fs -d`), so nothing is
mounted. The guest is the cloud kernel and busybox on a disk that pygrub reads.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from jumpstart import debian, initramfs, newc
from jumpstart.media import BUSYBOX_PACKAGE, LINUX_META, LINUX_PACKAGE, XEN_META, XEN_PACKAGE, scratch

HERE = Path(__file__).parent
CLOUD_META, CLOUD_PACKAGE = "linux-image-cloud-amd64", r"linux-image-[0-9]\S*-cloud-amd64"
DOM0_PACKAGES = (
    *("xen-utils-common", "xenstore-utils", "iproute2", "kmod", "procps", "udev", "open-iscsi"),
    *("openssh-server", "iputils-ping"),
)
XEN_UTILS_PACKAGE = r"xen-utils-[0-9.]+"
DISK_DRIVERS = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic")
DOM0_DRIVERS = (
    *("xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd", "xenfs", "xen-netback", "xen-blkback", "xen-blkfront"),
    *("virtio_net", "bridge", "tun", "loop", "iscsi_tcp", "sd_mod", "crc32c_generic"),
)
GUEST_DRIVERS = ("xen-blkfront", "xen-netfront", "virtio_pci", "virtio_blk", "virtio_net", "ext4", "crc32c_generic")
DOM0_DISK, GUEST_DISK_BYTES = "900M", 48 * 2**20
BUILD_TIMEOUT_S = 1800
FILES = ("xen", "vmlinuz", "initrd.gz", "dom0.img", "guest.img", "ssh_key")
STAMP = ".stamp"
Tell = Callable[[str], None]


def build(cache: Path, tell: Tell) -> Path:
    """The directory with `FILES`; made anew when a package or one of our scripts has changed. MediaError, OSError."""
    xen, linux = debian.dependency(XEN_META, XEN_PACKAGE), debian.dependency(LINUX_META, LINUX_PACKAGE)
    cloud = debian.dependency(CLOUD_META, CLOUD_PACKAGE)
    utils = xen.replace("hypervisor", "utils").removesuffix("-amd64")
    packages = debian.current((xen, linux, cloud, BUSYBOX_PACKAGE))
    parts = [path for path in sorted(HERE.iterdir()) if path.is_file() and path.suffix != ".py"]
    own = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (Path(__file__), *parts)]
    stamp = "\n".join([*(f"{one.file} {one.digest}" for one in packages), *DOM0_PACKAGES, *own, ""])
    out = cache / "xen-hosts"
    if (out / STAMP).is_file() and (out / STAMP).read_text() == stamp and all((out / name).is_file() for name in FILES):
        return out
    debian.download(packages, cache / "packages", lambda *_: None)
    root_tar = _dom0_tar(cache, utils, tell)
    with scratch(cache) as work:
        trees = [work / name for name in ("xen", "linux", "cloud", "busybox")]
        for package, tree in zip(packages, trees, strict=True):
            debian.unpack(cache / "packages" / package.file, tree)
        tell("building disks")
        made = work / "made"
        made.mkdir()
        _hypervisor(trees[0], made)
        busybox = (trees[3] / "bin/busybox").read_bytes()
        _dom0_boot(trees[1], busybox, made)
        _dom0_disk(root_tar, trees[1], work / "root", made)
        _guest(trees[2], busybox, work / "guest", made)
        (made / STAMP).write_text(stamp)
        shutil.rmtree(out, ignore_errors=True)
        shutil.move(made, out)
    return out


def _dom0_tar(cache: Path, utils: str, tell: Tell) -> Path:
    """The dom0's Debian as an archive: the slow part, and the same until the list of packages changes."""
    names = [utils, *DOM0_PACKAGES]
    path = cache / f"xen-dom0-{hashlib.sha256(' '.join(names).encode()).hexdigest()[:12]}.tar"
    if not path.is_file():
        tell("fetching a Debian for dom0")
        beside = path.with_suffix(".new.tar")
        argv = ["mmdebstrap", "--quiet", "--variant=minbase", '--aptopt=APT::Sandbox::User "root"']
        argv += [f"--include={','.join(names)}", "bookworm", str(beside)]
        subprocess.run(argv, check=True, timeout=BUILD_TIMEOUT_S)
        beside.rename(path)
    return path


def _hypervisor(tree: Path, made: Path) -> None:
    packed = next((tree / "boot").glob("xen-*.gz"))
    (made / "xen").write_bytes(gzip.decompress(packed.read_bytes()))


def _dom0_boot(tree: Path, busybox: bytes, made: Path) -> None:
    shutil.copy(next((tree / "boot").glob("vmlinuz-*")), made / "vmlinuz")
    (made / "initrd.gz").write_bytes(_initramfs(busybox, tree, DISK_DRIVERS, {"init": HERE / "dom0-initramfs"}))


def _initramfs(busybox: bytes, tree: Path, drivers: Iterable[str], scripts: Mapping[str, Path]) -> bytes:
    """An archive of busybox, these drivers and what they need, and scripts."""
    release = next((tree / "lib/modules").iterdir())
    entries = {"bin/busybox": newc.executable(busybox), "bin/sh": newc.link_to("busybox")}
    entries |= dict.fromkeys(("dev", "etc", "proc", "run", "sys", "tmp", "new", "data"), newc.DIRECTORY)
    entries |= {name: newc.executable(path.read_bytes()) for name, path in scripts.items()}
    entries |= _modules(release, drivers)
    return gzip.compress(newc.archive(entries), 6, mtime=0)


def _modules(release: Path, drivers: Iterable[str]) -> dict[str, newc.Entry]:
    return initramfs.modules(release, [name.replace("-", "_") for name in drivers])


def _dom0_disk(root_tar: Path, tree: Path, root: Path, made: Path) -> None:
    root.mkdir()
    subprocess.run(["tar", "-xf", root_tar, "-C", root, "--exclude=./dev/*"], check=True, timeout=BUILD_TIMEOUT_S)
    for place in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man"):
        shutil.rmtree(root / place, ignore_errors=True)
    release = next((tree / "lib/modules").iterdir())
    for name, entry in _modules(release, DOM0_DRIVERS).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(entry.data)
    for index in ("modules.builtin", "modules.order"):
        shutil.copy(release / index, root / "lib/modules" / release.name)
    subprocess.run(["chroot", root, "depmod", release.name], check=True, timeout=BUILD_TIMEOUT_S)
    shutil.copy(HERE / "dom0-init", root / "dom0-init")
    (root / "dom0-init").chmod(0o755)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", made / "ssh_key"], check=True)
    (root / "root/.ssh").mkdir(mode=0o700)
    shutil.copy(made / "ssh_key.pub", root / "root/.ssh/authorized_keys")
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", root, made / "dom0.img", DOM0_DISK],
        check=True,
    )


def _guest(tree: Path, busybox: bytes, root: Path, made: Path) -> None:
    """A disk without partitions: pygrub reads its grub.cfg, kernel and initramfs straight from ext4."""
    (root / "boot/grub").mkdir(parents=True)
    shutil.copy(next((tree / "boot").glob("vmlinuz-*")), root / "boot/vmlinuz")
    scripts = {"init": HERE / "guest-init", "etc/lease": HERE / "guest-lease"}
    (root / "boot/initrd.gz").write_bytes(_initramfs(busybox, tree, GUEST_DRIVERS, scripts))
    shutil.copy(HERE / "guest-grub.cfg", root / "boot/grub/grub.cfg")
    (root / "label").write_text("master\n")
    disk = made / "guest.img"
    options = ["-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum,^64bit", "-m", "0"]
    subprocess.run(["mke2fs", *options, "-d", root, disk, f"{GUEST_DISK_BYTES // 1024}k"], check=True)
