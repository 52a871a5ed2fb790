"""The debian target's scripts: two shells run the installer with a recording stand-in for every tool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from jumpstart.hostfile import from_toml
from jumpstart.targets.debian import Debian, identity
from tests.jumpstart.targets.test_debian import CTX, HV1

TOOLS = (
    *("sfdisk", "udevadm", "modprobe", "mdadm", "mke2fs", "mkfs.fat", "mount", "umount", "wget", "zstd", "tar"),
    *("chroot", "truncate", "sleep"),
)
SCRIPT = Debian().texts(from_toml(HV1, "hv1.toml"), CTX)["install"].decode()
FAILURES = {
    "sfdisk": ("partition", "cannot partition"),
    "mdadm": ("make the mirror", "cannot make the mirror"),
    "mke2fs": ("make the file systems", "cannot make the root file system"),
    "mkfs.fat": ("make the file systems", "cannot make the EFI partition"),
    "wget": ("unpack the root archive", "no server sends the whole root archive"),
    "zstd": ("unpack the root archive", "the archive is damaged"),
    "tar": ("unpack the root archive", "cannot unpack it"),
    "chroot": ("configure hv1", "package lldpd is not in the image"),
}


class Installer:
    """A place that looks like the installer's initramfs to the script."""

    def __init__(self, place: Path, shell: str) -> None:
        self.place, self.shell = place, shutil.which(shell) or shell
        self.log, self.bin = place / "calls", place / "bin"
        self.log.touch()
        for folder in ("bin", "run", "dev/disk/by-id", "sys/block/md0/md", "target/boot/grub/esp", "target/boot/efi"):
            (place / folder).mkdir(parents=True)
        (place / "target/boot/efi2").mkdir()
        for folder in ("boot/grub/i386-pc", "usr/lib/grub/i386-pc"):
            (place / "target" / folder).mkdir(parents=True)
        (place / "target/usr/lib/grub/i386-pc/boot.img").touch()
        for name in ("sda", "nvme0n1"):
            (place / "dev" / name).touch()
        (place / "dev/disk/by-id/ata-X").symlink_to("../../nvme0n1")
        (place / "target/boot/initrd.img-6.1").write_text("packed")
        (place / "target/boot/grub/BOOTX64.EFI").touch()
        (place / "target/boot/grub/esp/grub.cfg").touch()
        for tool in TOOLS:
            self.stand_in(tool)
        self.stand_in("wget", 'while [ "$1" != -O ]; do shift; done; [ "$2" = - ] || echo "${3##*/}" >"$2"')
        self.stand_in("chroot", 'case $2 in dpkg-query) echo "install ok installed" ;; esac')

    def stand_in(self, tool: str, does: str = "") -> None:
        path = self.bin / tool
        path.write_text(f'#!/bin/sh\necho "{tool} $*" >>"{self.log}"\n{does}\n')
        path.chmod(0o755)

    def run(self) -> subprocess.CompletedProcess[str]:
        environment = {name.upper(): str(self.place / name) for name in ("run", "dev", "sys")}
        environment |= {"ROOT": str(self.place / "target"), "PATH": f"{self.bin}:/usr/bin:/bin"}
        command = [self.shell, *(["--posix"] if "bash" in self.shell else []), "-c", SCRIPT]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=20)

    @property
    def step(self) -> str:
        return (self.place / "run/step").read_text().strip()

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().replace(str(self.place), "").splitlines()


@pytest.fixture(params=["dash", "bash"])
def installer(request: pytest.FixtureRequest, tmp_path: Path) -> Installer:
    return Installer(tmp_path, request.param)


def test_an_install_does_everything_to_both_disks_in_order(installer: Installer) -> None:
    done = installer.run()
    assert (done.returncode, installer.step) == (0, "reboot"), done.stdout + done.stderr
    own, calls = identity(CTX.token), installer.calls
    assert [call for call in calls if call.startswith("sfdisk")] == [
        f"sfdisk -q --wipe always --wipe-partitions always /dev/{disk}" for disk in ("sda", "nvme0n1")
    ]
    made = next(call for call in calls if "--create" in call)
    assert made.endswith(f"--uuid={own.array} --homehost=any /dev/sda3 /dev/nvme0n1p3")
    assert f"mke2fs -q -t ext4 -m 1 -U {own.root} /dev/md0" in calls
    grub = "/boot/grub/i386-pc"
    image = (
        f"chroot /target grub-mkimage -O i386-pc -p (mduuid/{own.array.replace(':', '')})/boot/grub -o {grub}/core.img"
    )
    setup = f"chroot /target /usr/lib/grub/i386-pc/grub-bios-setup --directory={grub} /dev/"
    loaders = [call for call in calls if "chroot" in call and "grub" in call]
    assert loaders == [f"{image} biosdisk part_gpt mdraid1x ext2", f"{setup}sda", f"{setup}nvme0n1"]
    assert [(installer.place / f"target/boot/{esp}/EFI/BOOT/grub.cfg").exists() for esp in ("efi", "efi2")] == [
        True
    ] * 2
    assert calls[-2] == "mdadm --quiet --stop /dev/md0"
    assert calls[-1].endswith(f"--post-file /run/news {CTX.report_urls[0]}")
    assert (installer.place / "sys/block/md0/md/sync_action").read_text() == "frozen\n"


def test_the_password_hash_reaches_usermod_unchanged(installer: Installer) -> None:
    installer.run()
    assert "usermod -p $6$saltsalt$4G6TQy9bVQn0FzRrCkZ0hZQ1aKx5nYk3u1s2d3f4g56 root" in installer.log.read_text()


def test_the_initramfs_grows_by_the_hosts_own_part(installer: Installer) -> None:
    installer.stand_in("truncate", 'case $2 in 8) printf "packed\\0\\0" >"$3" ;; esac')
    installer.run()
    assert (installer.place / "target/boot/initrd.img-6.1").read_bytes() == b"packed\0\0early.cpio\n"


@pytest.mark.parametrize("tool", FAILURES)
def test_each_failure_ends_the_install_and_names_its_step(installer: Installer, tool: str) -> None:
    installer.stand_in(tool, "exit 1")
    done = installer.run()
    step, words = FAILURES[tool]
    assert (done.returncode, installer.step) == (1, step)
    assert words in done.stdout.splitlines()[-1]


def test_a_disk_that_is_not_there_is_named_with_those_that_are(installer: Installer) -> None:
    (installer.place / "dev/sda").unlink()
    done = installer.run()
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("no disk sda; root_mirror can name: ata-X")


def test_two_names_of_one_disk_are_no_mirror(installer: Installer) -> None:
    (installer.place / "dev/sda").unlink()
    (installer.place / "dev/sda").symlink_to("nvme0n1")
    done = installer.run()
    assert (done.returncode, installer.step) == (1, "find the disks")
    assert "twice" in done.stdout


@pytest.mark.parametrize("name", ["install", "report"])
def test_scripts_are_clean_to_shellcheck(tmp_path: Path, name: str) -> None:
    body = Path("jumpstart/targets/debian_scripts") / f"{name}.sh"
    script = tmp_path / name
    script.write_text(SCRIPT if name == "install" else f"#!/bin/sh\nHOST=a\nLINKS=b\nURLS=c\n{body.read_text()}")
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
