from __future__ import annotations

import pytest

from twinboot.peerfacts import Mount
from twinboot.peermounts import RECOMMENDED, advice, find_mount, is_network, objections

MOUNTINFO = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:40 / /net/store rw,relatime shared:9 - nfs4 store:/twinboot rw,vers=4.1,hard,proto=tcp,local_lock=none
31 22 0:41 / /net/store/dhcp ro,relatime - nfs store:/dhcp rw,vers=3,soft,nolock,local_lock=all
32 22 0:42 / /with\040space rw - tmpfs none rw
broken line
"""


def nfs(*options: str, kind: str = "nfs4") -> Mount:
    return Mount(kind, ("rw", "vers=4.1", "hard", "proto=tcp", "local_lock=none", *options))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/share", "ext4"),
        ("/net/store", "nfs4"),
        ("/net/store/boot", "nfs4"),
        ("/net/store/dhcp", "nfs"),
        ("/net/storehouse", "ext4"),
        ("/with space/x", "tmpfs"),
    ],
)
def test_the_innermost_mount_counts(path: str, kind: str) -> None:
    assert find_mount(MOUNTINFO, path).kind == kind


def test_options_are_those_of_mount_and_server() -> None:
    found = find_mount(MOUNTINFO, "/net/store/dhcp")
    assert "ro" in found.options
    assert "rw" not in found.options
    assert "soft" in found.options


def test_no_mount_is_an_empty_one() -> None:
    assert find_mount("", "/x") == Mount("", ())
    assert not is_network(Mount("", ()))
    assert list(objections(Mount("", ()), "SUNWfiles")) == []


@pytest.mark.parametrize(
    ("option", "resource", "word"),
    [
        ("soft", "twinlog", "hard"),
        ("softerr", "twinlog", "hard"),
        ("softreval", "twinlog", "without"),
        ("nocto", "twinlog", "without nocto"),
        ("nolock", "SUNWfiles", "dhcpconfig -C"),
        ("local_lock=all", "SUNWfiles", "dhcpconfig -C"),
        ("local_lock=posix", "SUNWfiles", "dhcpconfig -C"),
        ("acdirmax=600", "twinlog", RECOMMENDED),
        ("acregmax=61", "twinlog", RECOMMENDED),
        ("proto=udp", "twinlog", "proto=tcp"),
        ("vers=2", "twinlog", "vers=4.1"),
    ],
)
def test_what_cannot_work_says_what_to_mount(option: str, resource: str, word: str) -> None:
    ((named, why),) = objections(Mount("nfs", ("rw", option)), resource)
    assert named == option
    assert word in why


@pytest.mark.parametrize(
    "mount",
    [
        nfs(),
        nfs("acregmin=1", "acregmax=1", "acdirmin=1", "acdirmax=1", "lookupcache=none"),
        nfs("acdirmax=60"),
        nfs("nolock", kind="nfs"),  # twinlog uses no locks
        nfs("noac"),  # needless, not wrong
        Mount("ext4", ("rw", "soft")),  # an option of NFS only
        Mount("ceph", ("rw",)),
    ],
    ids=str,
)
def test_what_works_is_left_alone(mount: Mount) -> None:
    assert list(objections(mount, "twinlog")) == []


@pytest.mark.parametrize("kind", ["cifs", "9p", "fuse.sshfs", "fuse"])
def test_other_network_file_systems_are_no_share(kind: str) -> None:
    ((named, why),) = objections(Mount(kind, ("rw",)), "twinlog")
    assert named == kind
    assert RECOMMENDED in why


def test_noac_is_needless() -> None:
    ((option, why),) = advice(nfs("noac"))
    assert option == "noac"
    assert "actimeo=1" in why
    assert list(advice(nfs())) == []


SEEN = "25 21 0:22 / /share rw,relatime - {} 10.77.1.10:/share rw,{}addr=10.77.1.10"
"""What Linux 6.1 says of an NFS mount; the options of each are below."""


RECOMMENDED_ONES = "vers=4.1,namlen=255,acregmin=1,acregmax=1,acdirmin=1,acdirmax=1,hard,proto=tcp,lookupcache=none,"
BAD_ONES = "vers=3,namlen=255,acdirmax=600,soft,nolock,proto=tcp,timeo=600,mountvers=3,mountproto=tcp,local_lock=all,"
NEEDLESS_ONES = "sync,vers=4.1,acregmin=0,acregmax=0,acdirmin=0,acdirmax=0,hard,softreval,nocto,noac,local_lock=none,"


@pytest.mark.parametrize(
    ("kind", "options", "found"),
    [
        ("nfs4", RECOMMENDED_ONES, []),
        ("nfs", BAD_ONES, ["soft", "nolock", "acdirmax=600"]),
        ("nfs4", NEEDLESS_ONES, ["softreval", "nocto"]),
    ],
)
def test_mounts_as_a_real_client_shows_them(kind: str, options: str, found: list[str]) -> None:
    mount = find_mount(SEEN.format(kind, options), "/share/dhcp")
    assert [option for option, _ in objections(mount, "SUNWfiles")] == found
    assert bool(list(advice(mount))) == ("noac" in mount.options)
