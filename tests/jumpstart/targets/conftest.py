from __future__ import annotations

import pytest

from jumpstart.hostfile import from_toml
from jumpstart.model import Hypervisor
from jumpstart.targets.nevada import Site, image_of

HV1 = """
name = "hv1"
segment = "odd"
target = "live-xen"
dom0_mem = "2G"
console = "com1=9600,8n1"
root_mirror = ["c0t0d0s0", "c0t1d0s0"]
relocation_address = "192.168.78.21"
relocation_peers = ["192.168.78.0/24"]
services_off = ["svc:/application/graphical-login/cde-login:default", "svc:/application/graphical-login/gdm:default"]
packages = ["SUNWgcc"]
root_password_hash = "$5$saltsalt$4G6TQy9bVQn0FzRrCkZ0hZQ1aKx5nYk3u1s2d3f4g56"

[links.be0]
mac = "00:1b:21:a0:b1:c2"
device = "e1000g1"
network = "backend"
address = "192.168.78.21"

[links.fe0]
mac = "00:1b:21:a0:b1:c1"
device = "e1000g0"
network = "public"
address = "192.168.76.21"
"""
DIRECT = ("platform/i86pc/kernel/unix", "x86.miniroot", "grub/pxegrub")


@pytest.fixture
def host() -> Hypervisor:
    return from_toml(HV1, "hv1.toml")


@pytest.fixture
def netmasks() -> dict[str, str]:
    """By the names of links, as the scripts want them."""
    return {"be0": "255.255.255.0", "fe0": "255.255.255.0"}


@pytest.fixture
def site() -> Site:
    return Site(
        server="192.168.78.14",
        media="/export/install/nv105",
        config="/jumpstart",
        image=image_of("I86PC.Solaris_11-1", DIRECT),
        release="snv_105",
        netmasks={"backend": "255.255.255.0", "public": "255.255.255.0"},
        router="192.168.78.1",
        report_urls=("http://192.168.78.14:8080/report/t0ken",),
    )
