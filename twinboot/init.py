"""Setting a server up: from a few answers, checked all at once, to a share and two configuration files.

Rules of this room:

- All faults of the answers are told at once, before anything is written.
- The share first, the configuration last: a server whose twinboot.toml exists is a server that was set up.
- Nothing that exists is overwritten without --force, and on the share nothing ever: there a second server joins.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TypeVar

from dhcp import svcconf
from dhcp.sockets import Interface, list_interfaces
from storage.records import open_records
from storage.records.remote import remote_kind
from storage.records.twinlog_text import FOLDER
from twinboot import sitefiles, stores, values
from twinboot.config import Network
from twinboot.faults import Stop
from twinboot.machine import SHARE_DIRECTORIES
from twinboot.privileges import account, acting_as

__all__ = ["Answers", "Done", "check", "default_range", "default_subnet", "perform", "usable_interfaces"]

SIOCGIFADDR, SIOCGIFNETMASK = 0x8915, 0x891B  # netdevice(7)
RANGE_MAX = 16_384  # addresses; text containers are made for hundreds to some thousands
DEFAULT_RANGE_MAX = 150
NETWORK_NAME = "public"
LINK = "fe"
SITE_NAME = "site"
RESOURCES = ("SUNWfiles", "twinlog")
DEFAULT_LEASE_S = 3600
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answers:
    """What was asked or given, as typed."""

    interface: str
    subnet: str
    range: str
    share: str
    name: str
    segment: str
    address: str
    router: str
    domain: str
    resource: str
    config: Path
    dhcpsvc: Path
    state: Path
    user: str
    force: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The answers, checked."""

    names: sitefiles.Names
    network: Network
    first: IPv4Address
    last: IPv4Address
    interface: str
    resource: str


@dataclass(frozen=True, slots=True)
class Done:
    """What was made or found, for the last words."""

    joined: bool
    added: int
    networks: tuple[str, ...]
    owners: tuple[IPv4Address, ...]


def usable_interfaces() -> list[Interface]:
    """Interfaces that are up with an address, loopback left out."""
    return [one for one in list_interfaces() if not one.is_loopback]


def default_subnet(interface: str) -> str:
    """The subnet that an interface is in, or "" if there is no such interface."""
    if interface not in {one.name for one in list_interfaces()}:
        return ""
    request = struct.pack("16s240x", interface.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        address, mask = (
            IPv4Address(fcntl.ioctl(probe, number, request)[20:24]) for number in (SIOCGIFADDR, SIOCGIFNETMASK)
        )
    return str(IPv4Network(f"{address}/{mask}", strict=False))


def default_range(subnet: str) -> str:
    """A range in the middle of a subnet, or "" for what is no subnet."""
    try:
        net = values.subnet(subnet)
    except ValueError:
        return ""
    quarter = net.num_addresses // 4
    first = net.network_address + max(quarter, 2)
    return f"{first}-{first + min(DEFAULT_RANGE_MAX, max(quarter * 2 - 2, 0))}"


class _Checked:
    """Reads answers; each faulty one becomes a line in `faults` and reads as None."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def read(self, option: str, reader: Callable[[object], T], text: str) -> T | None:
        try:
            return reader(text)
        except ValueError as error:
            self.faults.append(f"--{option}: {error}")
            return None


def _range(text: object) -> tuple[IPv4Address, IPv4Address]:
    low, dash, high = str(text).partition("-")
    if not dash:
        raise ValueError(f"{text!r} is not a range such as 10.0.0.50-10.0.0.99")
    first, last = values.address(low.strip()), values.address(high.strip())
    if first > last:
        raise ValueError(f"{first} is above {last}: write the lower address first")
    if int(last) - int(first) >= RANGE_MAX:
        raise ValueError(f"more than {RANGE_MAX} addresses: give a smaller range, `pntadm` adds more later")
    return first, last


def _resource(share: Path) -> Callable[[object], str]:
    """A reader of the datastore's name for this share: what lies there decides, else what suits its file system."""

    def read(text: object) -> str:
        there = _datastore(share / "dhcp")
        if text and text not in RESOURCES:
            raise ValueError(f"{text!r} is not a datastore for a directory: use one of {', '.join(RESOURCES)}")
        if text and there and text != there:
            raise ValueError(f"{share} has its records in {there}: leave this out, or convert with `dhcpconfig -C`")
        return there or str(text) or ("twinlog" if _is_remote(share) else "SUNWfiles")

    return read


def _datastore(place: Path) -> str:
    """Name of the datastore that lies in a directory; empty if there is none."""
    names = os.listdir(place) if place.is_dir() else []
    if FOLDER in names:
        return "twinlog"
    return "SUNWfiles" if any(name.startswith("SUNWfiles") for name in names) else ""


def _is_remote(share: Path) -> bool:
    nearest = next((one for one in (share, *share.parents) if one.is_dir()), Path("/"))
    return remote_kind(nearest) != ""


def _interface(name: object) -> Interface:
    found = {one.name: one for one in list_interfaces()}
    if name not in found:
        have = ", ".join(found) or "none"
        raise ValueError(f"{name} is not there, not up, or has no IPv4 address; ready are: {have}")
    return found[str(name)]


def check(answers: Answers) -> Plan:
    """The answers as a plan. Stop names all that is wrong with them."""
    checked = _Checked()
    device = checked.read("interface", _interface, answers.interface)
    # Both default to what the device has: without one, a second line about them would say nothing new.
    subnet = checked.read("subnet", values.subnet, answers.subnet) if answers.subnet or device else None
    bounds = checked.read("range", _range, answers.range) if answers.range or subnet else None
    share = checked.read("share", values.path, answers.share)
    name = checked.read("name", values.label, answers.name)
    segment = checked.read("segment", values.label, answers.segment)
    router = checked.read("router", values.address, answers.router) if answers.router else None
    domain = checked.read("domain", values.domain, answers.domain) if answers.domain else None
    own = IPv4Address(device.address) if device else None
    address = checked.read("address", values.address, answers.address) if answers.address else own
    checked.faults += _misfits(answers.interface, subnet, bounds, address, router)
    checked.faults += _in_the_way(answers)
    resource = checked.read("resource", _resource(share), answers.resource) if share else None
    if checked.faults or not (subnet and bounds and share and name and segment and address and resource):
        raise Stop(*checked.faults)
    paths = (Path(os.path.abspath(answers.state)), Path(os.path.abspath(answers.dhcpsvc)))
    names = sitefiles.Names(SITE_NAME, share, name, segment, address, *paths, answers.user, domain or "")
    network = Network(NETWORK_NAME, subnet, router, LINK, (), None, DEFAULT_LEASE_S)
    return Plan(names, network, *bounds, answers.interface, resource)


def _misfits(
    interface: str,
    subnet: IPv4Network | None,
    bounds: tuple[IPv4Address, IPv4Address] | None,
    address: IPv4Address | None,
    router: IPv4Address | None,
) -> list[str]:
    """What does not fit together, of the answers that could be read."""
    if subnet is None:
        return []
    faults = []
    if address and address not in subnet:
        faults.append(f"--subnet: {interface} has {address}, which is not in {subnet}: correct one of them")
    if bounds and not (subnet.network_address < bounds[0] and bounds[1] < subnet.broadcast_address):
        faults.append(f"--range: {bounds[0]}-{bounds[1]} is not among the host addresses of {subnet}")
    if router and router not in subnet:
        faults.append(f"--router: {router} is not in {subnet}: machines could not reach it")
    return faults


def _in_the_way(answers: Answers) -> list[str]:
    if answers.force:
        return []
    there = [path for path in (answers.config, answers.dhcpsvc) if path.exists()]
    return [f"{path}: exists already: --force replaces it, or name another file" for path in there]


def perform(answers: Answers) -> Done:
    """Check the answers and set everything up. Stop, before anything is written, if they cannot be used."""
    plan = check(answers)
    _make_tree(plan.names.share, answers.user)
    with acting_as(answers.user):
        done = _lay_share(plan)
    owned = list(dict.fromkeys([*done.owners, plan.names.address]))
    text = sitefiles.toml_text(plan.names, plan.network)
    for path, content in (
        (answers.dhcpsvc, sitefiles.dhcpsvc_text(plan.names.share, owned, plan.interface, plan.resource)),
        (answers.config, text),
    ):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            svcconf.write(path, content)
        except OSError as error:
            raise Stop(f"{path}: {error.strerror}: run this as root, or name another place") from error
    return done


def _make_tree(share: Path, user: str) -> None:
    ids = account(user)
    for path in (share, *(share / name for name in SHARE_DIRECTORIES)):
        try:
            is_ours = path != share or not path.exists()  # a share's own top directory stays as it was mounted
            path.mkdir(parents=True, exist_ok=True)
            if ids and is_ours and path.stat().st_uid == 0:
                os.chown(path, *ids)
        except OSError as error:
            raise Stop(f"--share: {path}: {error.strerror}: make it writable for {user!r}, or mount it") from error
    with acting_as(user):
        closed = [name for name in SHARE_DIRECTORIES if not _writable(share / name)]
    if closed:
        names = ", ".join(closed)
        raise Stop(f"--share: {share}: {user!r} may not write in {names}: chown them, and let it enter {share}")


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK | os.X_OK, effective_ids=True)


def _lay_share(plan: Plan) -> Done:
    names, network = plan.names, plan.network
    dhcp = open_records(plan.resource, names.share / "dhcp")
    apart = names.share / "state"
    state = open_records(stores.STATE_RESOURCE, apart) if plan.resource == stores.STATE_RESOURCE else dhcp
    sitefiles.lay_tables(dhcp, state, apart)
    before = tuple(name for name in dhcp.tables() if name != stores.DHCPTAB)
    owners = tuple(sitefiles.owners(dhcp, before))
    entries = [*sitefiles.firmware_entries(), sitefiles.server_macro(names.server)]
    stores.commit(dhcp, stores.missing_entries(dhcp, entries))
    taken = {int(names.address), int(network.router or 0)}
    free = sitefiles.free_rows(plan.first, plan.last, names.address, names.server)
    rows = [row for row in free if row.address not in taken]
    is_new = sitefiles.lay_network(dhcp, network, names.domain, names.address if names.domain else None, rows)
    return Done(bool(owners), len(rows) if is_new else 0, before, owners)
