"""Boot files of the debian target: `<boot>/debian/{vmlinuz,installer.img,root.tar.zst}`, from one mmdebstrap run.

The root archive is the whole hypervisor without anything of one host; the installer is an initramfs made inside that
same root, so that its kernel and drivers are the installed ones. Packages come from where the machine's own apt gets
them. No root is needed where the account has subordinate ids (subuid(5)). The result is a function of the package
versions, of the package list and of our own files: all three are in a stamp beside it, so a second run only compares.
Files that the run itself writes carry one fixed date, and nothing random stays, so that equal stamps mean equal files.

`jumpstart/live/installer` is what the initramfs has beyond an ordinary one, `jumpstart/live/image` finishes the root.
"""

import getpass
import hashlib
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from jumpstart import debian, media
from jumpstart.debian import MediaError, Progress
from jumpstart.media import LINUX_META, LINUX_PACKAGE, XEN_META, XEN_PACKAGE, Media

DIRECTORY = "debian"
FILES = ("vmlinuz", "installer.img", "root.tar.zst")
RECIPE = 1  # raise it when the same packages must give other files
EPOCH_S = 1_767_225_600  # 2026-01-01: the date of files that the build writes
BUILD_TIMEOUT_S = 3600
POLL_S = 0.2
SLOWEST_S = 120  # for apt to work out what would be installed
ZSTD_LEVEL = "-6"
PACKAGE_LINE = re.compile(r"Inst (\S+) \((\S+) .*\)")

PACKAGES = (
    *("xen-utils-common", "xenstore-utils", LINUX_META),
    *("grub-pc-bin", "grub-efi-amd64-bin", "grub2-common", "mdadm", "dosfstools", "e2fsprogs", "fdisk"),
    *("systemd-sysv", "udev", "dbus", "kmod", "initramfs-tools", "busybox", "zstd", "cpio"),
    *("iproute2", "bridge-utils", "openssh-server", "curl", "ca-certificates", "socat", "iputils-ping", "less"),
)
"""What every hypervisor has, beside Xen itself (whose packages carry a version in their names)."""

NO_DRIVERS = (
    *("sound", "drivers/gpu", "drivers/media", "drivers/iio", "drivers/staging", "drivers/isdn", "drivers/comedi"),
    *("drivers/video", "drivers/mmc", "drivers/mtd", "drivers/bluetooth", "drivers/net/wireless", "drivers/nfc"),
    *("net/bluetooth", "net/wireless", "net/mac80211", "net/nfc"),
    *(f"fs/{name}" for name in ("ocfs2", "gfs2", "jfs", "f2fs", "reiserfs", "nilfs2", "ubifs", "jffs2", "afs", "coda")),
)
"""Kernel modules that a headless hypervisor never loads: half of the archive otherwise."""

NO_FILES = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")

LIVE = Path(__file__).parent / "live"
INPUTS = {
    "initramfs.conf": LIVE / "installer/initramfs.conf",
    "hooks/twinboot": LIVE / "installer/hook",
    "scripts/twinboot": LIVE / "installer/boot",
    "customize": LIVE / "image/customize",
    "lease": LIVE / "lease",
}
"""What goes into the root while it is built, below /tmp/twinboot."""


def build_image(
    boot: Path, cache: Path | None = None, progress: Progress = media.no_progress, extra: Sequence[str] = ()
) -> Media:
    """Make sure that the boot files are there and current. MediaError says in one line what is missing.

    `extra` are packages beyond ours; `progress(step, 0, 0)` is called as each step begins.
    """
    cache = cache or media.default_cache()
    target = boot / DIRECTORY
    progress("asking apt for versions", 0, 0)
    names = wanted(extra)
    files = versions(names)
    stamp = _stamp(names, files)
    if media.is_current(target, FILES, stamp):
        return Media(target, files, built=False)
    try:
        with media.scratch(cache) as work:
            _make(names, work, progress)
            progress("publishing", 0, 0)
            media.publish(work / "out", target, FILES, stamp)
    except OSError as error:
        raise MediaError(
            f"cannot write {error.filename or target}: {error.strerror}; check permissions and space"
        ) from error
    return Media(target, files, built=True)


def wanted(extra: Sequence[str]) -> tuple[str, ...]:
    """The packages to ask for, in a fixed order."""
    xen = debian.dependency(XEN_META, XEN_PACKAGE)
    linux = debian.dependency(LINUX_META, LINUX_PACKAGE)
    utils = xen.replace("hypervisor", "utils").removesuffix("-amd64")
    return (xen, utils, linux, *PACKAGES, *sorted(set(extra) - set(PACKAGES)))


def versions(names: Sequence[str]) -> tuple[str, ...]:
    """`name version` of everything that would be installed into an empty root now, sorted."""
    options = ("-o", "Dir::State::status=/dev/null", "-o", "APT::Install-Recommends=false")
    try:
        listing = debian.run(
            "apt-get", "-q", *options, "--simulate", "install", *names, "?essential", "apt", timeout_s=SLOWEST_S
        )
    except MediaError as error:
        raise MediaError(f"{error}; run `apt-get update`, and check the hosts' `packages`") from error
    found = (PACKAGE_LINE.match(line) for line in listing.splitlines())
    return tuple(sorted(f"{match[1]} {match[2]}" for match in found if match))


def _stamp(names: Sequence[str], files: Sequence[str]) -> str:
    lines = [f"recipe {RECIPE} {EPOCH_S} {ZSTD_LEVEL}", " ".join(names), " ".join(NO_DRIVERS), " ".join(NO_FILES)]
    lines += [f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in INPUTS.items()]
    return "\n".join((*lines, *files)) + "\n"


def sources() -> tuple[str, ...]:
    """The files in which the machine's apt finds its package sources (sources.list(5))."""
    apt = Path("/etc/apt")
    parts = sorted(path for path in (apt / "sources.list.d").glob("*") if path.suffix in (".list", ".sources"))
    found = tuple(str(path) for path in (apt / "sources.list", *parts) if path.is_file() and path.stat().st_size)
    if not found:
        raise MediaError("/etc/apt names no package sources; build the boot files on a Debian machine")
    return found


def _proxies() -> tuple[str, ...]:
    """The proxies of the machine's apt, which the new root's apt needs as well."""
    listing = debian.run("apt-config", "dump", "Acquire")
    lines = (line.rstrip(";") for line in listing.splitlines())
    return tuple(f"--aptopt={line}" for line in lines if re.match(r'Acquire::https?::Proxy "[^"]', line))


def _suite() -> str:
    release = platform.freedesktop_os_release()
    if release.get("ID") != "debian" or not release.get("VERSION_CODENAME"):
        raise MediaError("this machine does not run Debian; build the boot files on one that does")
    return release["VERSION_CODENAME"]


def _mode() -> str:
    """How mmdebstrap gets to be root inside: as we are, or by subordinate ids."""
    if os.geteuid() == 0:
        return "root"
    user = getpass.getuser()
    ids = Path("/etc/subuid")
    if not ids.is_file() or not re.search(rf"^({re.escape(user)}|{os.geteuid()}):", ids.read_text(), re.MULTILINE):
        way_out = f"`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}` (as root)"
        raise MediaError(f"{user} has no subordinate ids to build an image with: {way_out}")
    return "unshare"


def command(names: Sequence[str], work: Path) -> list[str]:
    """The whole mmdebstrap run; the archive comes out of its stdout."""
    out, inputs = work / "out", work / "twinboot"
    excluded = (*NO_FILES, *(f"/{lib}lib/modules/*/kernel/{name}/*" for name in NO_DRIVERS for lib in ("", "usr/")))
    return [
        *("mmdebstrap", f"--mode={_mode()}", "--variant=minbase", "--format=tar"),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in excluded),
        *_proxies(),
        f"--include={','.join(names)}",
        f"--customize-hook=copy-in {inputs} /tmp",
        '--customize-hook=chroot "$1" sh /tmp/twinboot/customize',
        f"--customize-hook=download /tmp/installer.img {out}/installer.img",
        f"--customize-hook=download /tmp/vmlinuz {out}/vmlinuz",
        '--customize-hook=rm -f "$1/tmp/installer.img" "$1/tmp/vmlinuz"',
        *(_suite(), "-", *sources()),
    ]


def _make(names: Sequence[str], work: Path, progress: Progress) -> None:
    for program in ("mmdebstrap", "zstd"):
        if not shutil.which(program):
            raise MediaError(f"{program} is not installed: apt-get install {program}")
    for name, source in INPUTS.items():
        copy = work / "twinboot" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
    (work / "twinboot/modules").touch()
    (work / "twinboot/conf.d").mkdir()
    (work / "out").mkdir()
    archive = work / "root.tar"
    _run(command(names, work), archive, work / "log", progress)
    progress("packing the root archive", 0, 0)
    packed = work / "out/root.tar.zst"
    debian.run("zstd", "-q", "-T0", ZSTD_LEVEL, str(archive), "-o", str(packed), timeout_s=BUILD_TIMEOUT_S)


def _run(argv: Sequence[str], archive: Path, log: Path, progress: Progress) -> None:
    """Run mmdebstrap, telling each of its steps; MediaError with its last words when it fails."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH_S), "LC_ALL": "C.UTF-8"}
    deadline = time.monotonic() + BUILD_TIMEOUT_S
    with archive.open("wb") as output, log.open("wb") as words, log.open(encoding="utf-8", errors="replace") as said:
        build = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=words, env=environment)
        try:
            while build.poll() is None:
                if time.monotonic() > deadline:
                    raise MediaError(f"the image was not built within {BUILD_TIMEOUT_S} s; check network and disk")
                for line in said.read().splitlines():
                    if line.startswith("I: "):
                        progress(line.removeprefix("I: ").rstrip("."), 0, 0)
                time.sleep(POLL_S)
        finally:
            if build.poll() is None:
                build.terminate()
                build.wait()
    if build.returncode:
        raise MediaError(f"mmdebstrap failed: {debian.last_words(log.read_text(errors='replace'))}")
