"""The debian target: what is rendered for a host, and what of a host file it refuses."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from typing import Any

import pytest

from jumpstart.hostfile import from_toml
from jumpstart.model import Hypervisor
from jumpstart.targets import ArgumentError, BootContext, Net
from jumpstart.targets.debian import Debian, identity

HV1 = """
name = "hv1"
segment = "odd"
target = "debian"
dom0_mem = "1G,max:2G"
console = "com2=57600"
root_mirror = ["sda", "disk/by-id/ata-X"]
relocation_address = "10.78.0.11"
relocation_peers = ["10.78.0.0/28", "10.78.0.99"]
services_off = ["apt-daily.timer", "cron"]
packages = ["lldpd"]
root_password_hash = "$6$saltsalt$4G6TQy9bVQn0FzRrCkZ0hZQ1aKx5nYk3u1s2d3f4g56"
ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII3y/jDgk6ZriPVJsP/QxF+RsM7pcuGQFZJ/e9NBFYgT it's me"]

[links.fe0]
mac = "00:14:4f:00:00:01"
address = "10.77.0.11"

[links.be0]
mac = "00:14:4f:00:01:01"
address = "10.78.0.11"
"""
CTX = BootContext(
    "10.77.0.1",
    "t0ken",
    "install/t0ken",
    ("http://10.77.0.1/report/t0ken", "http://10.77.0.2/report/t0ken"),
    "00:14:4f:00:00:01",
    ("http://10.77.0.1/boot", "http://10.77.0.2/boot"),
    (Net("10.77.0.0/24", "10.77.0.254", ("10.77.0.1",), "example.org"), Net("10.78.0.0/16")),
)


@pytest.fixture
def host() -> Hypervisor:
    return from_toml(HV1, "hv1.toml")


def overlay(host: Hypervisor, ctx: BootContext = CTX) -> dict[str, tuple[tarfile.TarInfo, str]]:
    return unpacked(Debian().texts(host, ctx)["overlay.tar"])


def unpacked(packed: bytes) -> dict[str, tuple[tarfile.TarInfo, str]]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        found = {}
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            found[member.name] = (member, file.read().decode() if file else "")
    return found


def test_the_installer_boots_as_linux_and_knows_where_its_script_is(host: Hypervisor) -> None:
    entry = Debian().entry(host, CTX)
    assert (entry.loader, entry.kernel.file) == ("linux", "install/t0ken/vmlinuz")
    assert "console=ttyS1,57600" in entry.kernel.args
    assert "twinboot.install=http://10.77.0.1/boot/install/t0ken/install" in entry.kernel.args
    assert [module.file for module in entry.modules] == ["install/t0ken/installer.img"]


def test_links_are_named_by_mac_and_stand_in_bridges(host: Hypervisor) -> None:
    files = {name: text for name, (_, text) in overlay(host).items()}
    network = "etc/systemd/network"
    assert "MACAddress=00:14:4f:00:01:01\nType=ether\n" in files[f"{network}/10-be0.link"]
    assert "Name=be0\n" in files[f"{network}/10-be0.link"]
    assert "Bridge=br-be0\n" in files[f"{network}/20-be0.network"]
    assert "MACAddress=00:14:4f:00:01:01\n" in files[f"{network}/20-br-be0.netdev"]
    assert "Address=10.78.0.11/16\n" in files[f"{network}/20-br-be0.network"]
    assert "Gateway" not in files[f"{network}/20-br-be0.network"]
    assert "Gateway=10.77.0.254\n" in files[f"{network}/20-br-fe0.network"]
    assert files["etc/resolv.conf"] == "search example.org\nnameserver 10.77.0.1\n"


def test_an_address_whose_prefix_nobody_knows_comes_by_dhcp(host: Hypervisor) -> None:
    files = overlay(host, CTX._replace(networks=()))
    text = files["etc/systemd/network/20-br-fe0.network"][1]
    assert "DHCP=ipv4\n" in text
    assert "ClientIdentifier=mac\n" in text


def test_xen_gets_the_models_memory_and_console_in_both_menus(host: Hypervisor) -> None:
    files = overlay(host)
    words = "com2=57600,8n1 console=com2 dom0_mem=1G,max:2G"
    assert f"multiboot2 /boot/xen.gz placeholder {words}\n" in files["boot/grub/grub.cfg"][1]
    assert f"GRUB_CMDLINE_XEN='{words}'\n" in files["etc/default/grub"][1]


def test_no_two_things_of_an_install_have_one_name(host: Hypervisor) -> None:
    own, other = identity("t0ken"), identity("another")
    root = own.root.replace("-", "")
    assert own.array.replace(":", "") != root  # a degraded start would take the array's half for the root
    assert len({own.array, root, *own.esps, other.array, other.root, *other.esps}) == 8
    assert own == identity("t0ken")
    fstab = overlay(host)["etc/fstab"][1]
    assert f"UUID={own.root} / ext4" in fstab
    assert fstab.count("vfat noauto,") == 2


def test_the_initramfs_learns_array_and_link_names(host: Hypervisor) -> None:
    early = Debian().texts(host, CTX)["early.cpio"]
    assert early.startswith(b"070701")
    assert identity("t0ken").array.encode() in early
    assert b"etc/systemd/network/10-fe0.link" in early


def test_keys_and_the_report_are_roots_alone(host: Hypervisor) -> None:
    files = overlay(host)
    modes = {
        name: files[name][0].mode for name in ("root/.ssh", "root/.ssh/authorized_keys", "var/lib/twinboot/report")
    }
    assert modes == {"root/.ssh": 0o700, "root/.ssh/authorized_keys": 0o600, "var/lib/twinboot/report": 0o700}
    assert files["root/.ssh/authorized_keys"][1].endswith("it's me\n")
    assert {member.uid for member, _ in files.values()} == {0}


def test_migrations_come_from_peers_only_and_not_at_all_without_an_address(host: Hypervisor) -> None:
    socket = "etc/systemd/system/twinboot-relocation.socket"
    text = overlay(host)[socket][1]
    assert "ListenStream=10.78.0.11:8002\n" in text
    assert "IPAddressDeny=any\nIPAddressAllow=10.78.0.0/28 10.78.0.99/32\n" in text
    nobody = overlay(replace(host, relocation_peers=()))[socket][1]
    assert "IPAddressDeny=any\n" in nobody
    assert "IPAddressAllow" not in nobody
    assert socket not in overlay(replace(host, relocation_address=""))


def test_services_off_are_masked(host: Hypervisor) -> None:
    files = overlay(host)
    for unit in ("apt-daily.timer", "cron.service"):
        assert files[f"etc/systemd/system/{unit}"][0].linkname == "/dev/null"


def test_the_same_host_and_token_give_the_same_bytes(host: Hypervisor) -> None:
    assert Debian().texts(host, CTX) == Debian().texts(host, CTX)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"root_mirror": ()}, "root_mirror must name two disks"),
        ({"root_mirror": ("sda",)}, "root_mirror must name two disks"),
        ({"root_mirror": ("sda", "sda")}, "root_mirror must name two disks"),
        ({"services_off": ("svc:/application/gdm",)}, "no systemd unit"),
        ({"relocation_peers": ("hv2",)}, "takes addresses and networks"),
    ],
)
def test_what_debian_cannot_do_is_refused_in_one_line(host: Hypervisor, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words) as caught:
        Debian().texts(replace(host, **change), CTX)
    assert "\n" not in str(caught.value)


def test_a_link_name_too_long_for_its_bridge_is_refused(host: Hypervisor) -> None:
    links = (replace(host.links[0], name="averylongname0"),)
    with pytest.raises(ArgumentError, match="shorten the name"):
        Debian().texts(replace(host, links=links), CTX)
