"""An install between two servers, and installs that cannot be finished, with the installer's own programs.

The servers are real, each a process on an address of the loopback, on one store; the machine is the installer's
scripts with busybox's wget and tools, and the real zstd and tar. What would touch disks or the machine is a stand-in.
(busybox's shell takes its own tools before any stand-in, so other shells run the scripts; QEMU runs them with its.)
"""

from __future__ import annotations

import random
import select
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pxe.installs import TABLE, arm
from storage.records import Install, open_records
from tests.twinboot.conftest import free_port

pytestmark = pytest.mark.system  # real servers in processes of their own

ODD, EVEN = "127.0.0.1", "127.0.0.2"
ARCHIVE_BYTES = 24 << 20
SILENCE_S = "0.7"  # other pauses are none at all here
HOST = """
name = "hv1"
segment = "odd"
target = "debian"
dom0_mem = "512M"
root_mirror = ["sda", "sdb"]
[links.fe0]
mac = "00:14:4f:00:00:01"
"""
SERVER = """
import asyncio, os, signal, sys, threading
from pathlib import Path
from jumpstart.hosts import HostsCache
from pxe import httpd, httpdoor
from pxe.catalog import Catalog
from pxe.settings import Settings
from pxe.tree import BootTree
from storage.records import open_records

share, server, other, port, fault = Path(sys.argv[1]), *sys.argv[2:]
whole = httpdoor._sendfile

async def half(request, fd, part):
    if part.length > 1 << 20:
        await whole(request, fd, part._replace(length=part.length // 2))
        os.kill(os.getpid(), getattr(signal, fault))
    await whole(request, fd, part)

if fault:
    httpdoor._sendfile = half
others = (other,) if other else ()
emit = lambda kind, **fields: print(kind, *(fields[k] for k in ("file", "state", "detail") if k in fields), flush=True)
catalog = Catalog(
    BootTree(share / "boot"), HostsCache(share / "hosts"), open_records("twinlog", share / "state"),
    Settings(server, "odd", "tftp", int(port), others=others), emit,
)
ready = lambda: print("ready", flush=True)
asyncio.run(httpd.run([httpd.bind(server, int(port))], catalog, emit, ready, asyncio.Event()))
"""
QUIET = ("sfdisk", "udevadm", "modprobe", "mdadm", "mke2fs", "mkfs.fat", "mount", "umount", "truncate", "ip", "udhcpc")
MACHINE = """
wait_for_udev() { :; }
panic() { echo "a shell waits: $*"; exit 9; }
reboot() { echo "reboot $*"; exit 0; }
. jumpstart/live/installer/boot
mountroot
"""


class Place:
    """A share with an armed host, and servers on it that may die."""

    def __init__(self, root: Path) -> None:
        self.root, self.share = root, root / "share"
        self.port = free_port(socket.SOCK_STREAM)
        self.servers: dict[str, subprocess.Popen[str]] = {}
        for folder in ("hosts", "state", "boot/debian"):
            (self.share / folder).mkdir(parents=True)
        (self.share / "hosts/hv1.toml").write_text(HOST)
        self.pack()
        records = open_records("twinlog", self.share / "state")
        records.create(TABLE)
        self.token = arm(records, "hv1", "debian", 1_767_225_600, 0x7F000001).token

    def pack(self) -> None:
        """A root archive with the files that the installer needs, and one that takes a while to arrive."""
        tree = self.root / "tree"
        for folder in ("boot/grub/esp", "boot/efi", "boot/efi2", "dev", "proc", "sys"):
            (tree / folder).mkdir(parents=True)
        for folder in ("boot/grub/i386-pc", "usr/lib/grub/i386-pc"):
            (tree / folder).mkdir(parents=True)
        (tree / "usr/lib/grub/i386-pc/boot.img").touch()
        (tree / "boot/initrd.img-6.1").write_text("packed..")
        (tree / "boot/grub/BOOTX64.EFI").touch()
        (tree / "big").write_bytes(random.Random(1).randbytes(ARCHIVE_BYTES))
        with tarfile.open(self.root / "root.tar", "w") as tar:
            tar.add(tree, ".")
        archive = self.share / "boot/debian/root.tar.zst"
        subprocess.run(["zstd", "-q", "-1", str(self.root / "root.tar"), "-o", str(archive)], check=True)
        self.archive = archive

    def serve(self, server: str, other: str = "", fault: str = "") -> None:
        """Start a server; with `fault` it gets that signal when half of the archive is sent."""
        argv = [sys.executable, "-c", SERVER, str(self.share), server, other, str(self.port), fault]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self.servers[server] = process
        assert process.stdout
        assert select.select([process.stdout], [], [], 20)[0]
        assert process.stdout.readline() == "ready\n"

    def told(self, server: str) -> str:
        """What the server told; it is ended by this."""
        process = self.servers.pop(server)
        process.kill()
        return process.communicate(timeout=10)[0]

    def close(self) -> None:
        for process in self.servers.values():
            process.kill()
            process.communicate(timeout=10)

    def row(self) -> Install:
        (row,) = open_records("twinlog", self.share / "state").read(TABLE).rows
        assert isinstance(row, Install)
        return row


class Machine:
    """The installer's initramfs, as far as its scripts see it. Its kernel came from `ODD`."""

    def __init__(self, place: Place, shell: str = "dash") -> None:
        self.place, self.shell, self.bin = place, shell.split(), place.root / "bin"
        self.root = place.root / "target"
        self.calls = place.root / "calls"
        self.calls.touch()
        for folder in ("bin", "dev", "sys/block/md0/md", "sys/class/net/eth0"):
            (place.root / folder).mkdir(parents=True)
        (place.root / "sys/class/net/eth0/address").write_text("00:14:4f:00:00:01\n")
        for disk in ("sda", "sdb"):
            (place.root / "dev" / disk).touch()
        subprocess.run(["busybox", "--install", "-s", str(self.bin)], check=True)
        for tool in ("zstd", "tar"):
            (self.bin / tool).unlink(missing_ok=True)
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        for tool in (*QUIET, "chroot", "sync"):
            self.stand_in(tool)
        self.stand_in("sleep", f'[ "$1" != {SILENCE_S} ] || exec busybox sleep {SILENCE_S}')
        self.stand_in("sh", f'exec {shell} "$@"')

    def stand_in(self, tool: str, does: str = "") -> None:
        path = self.bin / tool
        path.unlink(missing_ok=True)
        path.write_text(f'#!/bin/sh\necho "{tool} $*" >>"{self.calls}"\n{does}\n')
        path.chmod(0o755)

    def environment(self, servers: tuple[str, ...]) -> dict[str, str]:
        place = self.place
        words = ["twinboot.host=hv1", "twinboot.mac=00:14:4f:00:00:01"]
        words += [f"twinboot.install=http://{one}:{place.port}/boot/install/{place.token}/install" for one in servers]
        words += [f"twinboot.report=http://{one}:{place.port}/report/{place.token}" for one in servers]
        (place.root / "cmdline").write_text(" ".join(words) + "\n")
        return {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "CMDLINE": str(place.root / "cmdline"),
            "RUN": str(place.root / "run"),
            "ROOT": str(self.root),
            "DEV": str(place.root / "dev"),
            "SYS": str(place.root / "sys"),
            "SILENCE_S": SILENCE_S,
        }

    def first_boot(self) -> subprocess.CompletedProcess[str]:
        """Run the report of the system that was installed."""
        self.stand_in("cat", '[ "$1" = /sys/hypervisor/type ] && echo xen || exec busybox cat "$@"')
        for tool in ("xl", "systemctl"):
            self.stand_in(tool)
        (self.bin / "curl").symlink_to(shutil.which("curl") or "curl")
        env = {**self.environment(()), "REPORT": f"{self.root}/run-report", "CONSOLE": "/dev/null"}
        argv = [*self.shell, str(self.root / "var/lib/twinboot/report")]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)

    def install(self, servers: tuple[str, ...], *before: str) -> subprocess.CompletedProcess[str]:
        argv = [*before, *self.shell, "-c", MACHINE]
        env = self.environment(servers)
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path)
    yield found
    found.close()


@pytest.fixture
def machine(place: Place) -> Machine:
    return Machine(place)


@pytest.mark.parametrize("shell", ["dash", "bash --posix"])
@pytest.mark.parametrize("fault", ["SIGKILL", "SIGSTOP"])
def test_what_one_server_began_the_other_one_ends(place: Place, shell: str, fault: str) -> None:
    """Killed, its connections break; stopped, it only says nothing any more, like a machine without power."""
    machine = Machine(place, shell)
    place.serve(ODD, EVEN, fault)
    place.serve(EVEN, ODD)
    done = machine.install((ODD, EVEN))
    assert "the server stopped sending\ntrying the next server\n" in done.stdout, done.stdout + done.stderr
    assert done.stdout.endswith("reboot -f\n"), done.stdout
    assert (machine.root / "big").stat().st_size == ARCHIVE_BYTES
    told = [line.split()[:2] for line in place.told(EVEN).splitlines()]
    assert [words[1] for words in told if words[0] == "http.done"] == [
        f"install/hv1/{name}" for name in ("root.tar.zst", "overlay.tar", "early.cpio")
    ]
    assert told[-1] == ["install.state", "installing"]  # the news of the reboot
    assert place.row().state == "installing"  # the installed system ends it


def test_the_installed_system_reports_to_whichever_server_is_up(place: Place, machine: Machine) -> None:
    place.serve(ODD, EVEN)
    place.serve(EVEN, ODD)
    assert machine.install((ODD, EVEN)).stdout.endswith("reboot -f\n")
    place.told(ODD)
    done = machine.first_boot()
    assert done.returncode == 0, done.stdout + done.stderr
    row = place.row()
    assert (row.state, row.server) == ("installed", 0x7F000002)
    assert not (machine.root / "var/lib/twinboot/report").exists()  # it held the token


def damaged(place: Place, _machine: Machine) -> None:
    place.archive.write_bytes(place.archive.read_bytes()[: ARCHIVE_BYTES // 2])


def without_a_disk(place: Place, _machine: Machine) -> None:
    (place.root / "dev/sdb").unlink()


def without_an_overlay(place: Place, _machine: Machine) -> None:
    hosts = place.share / "hosts/hv1.toml"
    hosts.write_text(hosts.read_text().replace(', "sdb"', ""))


def with_a_broken_loader(_place: Place, machine: Machine) -> None:
    machine.stand_in("chroot", 'case $2 in *setup) echo "grub-bios-setup: error: caf\303\251."; exit 1 ;; esac')


FAILURES: dict[str, tuple[Callable[[Place, Machine], None], str]] = {
    "no second disk": (without_a_disk, "find the disks: no disk sdb; root_mirror can name: md0"),
    "truncated archive": (damaged, "unpack the root archive: the archive is damaged"),
    "no script": (without_an_overlay, "fetch the install script: no server gave install in 10 rounds"),
    "no boot record": (with_a_broken_loader, "make {root}/dev/sda bootable: cannot write the boot record"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_reported_with_its_step_and_leaves_a_shell(place: Place, machine: Machine, name: str) -> None:
    spoil, reason = FAILURES[name]
    spoil(place, machine)
    place.serve(ODD)
    failed_once(place, machine.install((ODD,)), reason.format(root=place.root))


def failed_once(place: Place, done: subprocess.CompletedProcess[str], reason: str) -> None:
    assert done.returncode == 9, done.stdout + done.stderr
    assert done.stdout.count("a shell waits") == done.stdout.count("the failure was reported") == 1
    assert "reboot -f\n" not in done.stdout
    row = place.row()
    assert (row.state, row.detail[: len(reason)]) == ("failed", reason)
    (told,) = [line for line in place.told(ODD).splitlines() if line.startswith("report.received")]
    assert "log=" in told


@pytest.mark.root
def test_a_disk_that_is_full_fails_the_install(place: Place, machine: Machine) -> None:
    place.serve(ODD)
    machine.root.mkdir()
    small = f'/bin/mount -t tmpfs -o size={ARCHIVE_BYTES // 2} none "$ROOT" && exec "$@"'
    done = machine.install((ODD,), "/usr/bin/unshare", "-m", "/bin/sh", "-c", small, "sh")
    failed_once(place, done, "unpack the root archive: cannot unpack it: tar: ./")


def test_no_server_at_all_ends_at_the_shell_as_well(place: Place, machine: Machine) -> None:
    place.serve(ODD, fault="SIGKILL")
    done = machine.install((ODD,))
    assert (done.returncode, done.stdout.count("a shell waits")) == (9, 1)
    assert "TWINBOOT: the failure could not be reported\n" in done.stdout
    assert "TWINBOOT: FAILED: unpack the root archive: no server sends the whole root archive; " in done.stdout
    assert place.row().state == "installing"  # nobody could be told; the next boot goes to the disk
