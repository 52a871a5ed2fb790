"""What a new server is to be: the answers to `twinboot init` as typed, and the plan that they make.

All faults of the answers are told at once, before anything is written. Where a site has two links, devices, networks
and ranges are lists with commas: the first device is on the public network, from which machines boot, the second one
on the backend network.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
from pathlib import Path
from typing import NamedTuple, TypeVar

from dhcp.sockets import Interface, list_interfaces
from storage.records.remote import remote_kind
from storage.records.twinlog_names import FOLDER
from twinboot import sitefiles, values
from twinboot.config import Network
from twinboot.faults import Stop

__all__ = ["Answers", "Plan", "Wire", "check", "default_range", "default_subnet", "usable_interfaces", "words"]

SIOCGIFADDR, SIOCGIFNETMASK = 0x8915, 0x891B  # netdevice(7)
RANGE_MAX = 16_384  # addresses; text containers are made for hundreds to some thousands
DEFAULT_RANGE_MAX = 150
LINKS = (("public", "fe"), ("backend", "be"))
"""Name and link of the networks, in the order of the devices."""

SITE_NAME = "site"
RESOURCES = ("SUNWfiles", "twinlog")
DEFAULT_LEASE_S = 3600
T = TypeVar("T")
Bounds = tuple[IPv4Address, IPv4Address]


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


class Wire(NamedTuple):
    """A device, our address on it, the network there, and the addresses to give out (None: none yet)."""

    device: str
    address: IPv4Address
    network: Network
    bounds: Bounds | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The answers, checked."""

    names: sitefiles.Names
    wires: tuple[Wire, ...]
    resource: str


def words(text: str) -> list[str]:
    """The items of an answer that may be several."""
    return [word.strip() for word in text.split(",") if word.strip()]


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

    def each(self, option: str, reader: Callable[[object], T], text: str) -> list[T | None]:
        """Every item; an answer of none is a fault as well."""
        return [self.read(option, reader, word) for word in words(text) or [""]]


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
    devices = [checked.read("interface", _interface, name) for name in words(answers.interface) or [""]]
    # Both default to what the devices have: without one, a second line about them would say nothing new.
    ready = all(devices)
    subnets = checked.each("subnet", values.subnet, answers.subnet) if answers.subnet or ready else []
    bounds = checked.each("range", _range, answers.range) if answers.range or subnets else []
    share = checked.read("share", values.path, answers.share)
    name = checked.read("name", values.label, answers.name)
    segment = checked.read("segment", values.label, answers.segment)
    router = checked.read("router", values.address, answers.router) if answers.router else None
    domain = checked.read("domain", values.domain, answers.domain) if answers.domain else None
    first = checked.read("address", values.address, answers.address) if answers.address else None
    own = [IPv4Address(device.address) if device else None for device in devices]
    own[0] = first or own[0]
    checked.faults += _miscounted(words(answers.interface), words(answers.subnet) if ready else ())
    places = list(zip(words(answers.interface), own, subnets, strict=False))
    checked.faults += _misfits(places, bounds, router)
    checked.faults += _in_the_way(answers)
    resource = checked.read("resource", _resource(share), answers.resource) if share else None
    if checked.faults or not (share and name and segment and own[0] and resource):
        raise Stop(*checked.faults)
    paths = (Path(os.path.abspath(answers.state)), Path(os.path.abspath(answers.dhcpsvc)))
    names = sitefiles.Names(SITE_NAME, share, name, segment, own[0], *paths, answers.user, domain or "")
    return Plan(names, tuple(_wires(places, bounds, router)), resource)


Place = tuple[str, IPv4Address | None, IPv4Network | None]
"""A device, our address there, its network; None: could not be read."""


def _wires(places: Sequence[Place], ranges: Sequence[Bounds | None], router: IPv4Address | None) -> Iterator[Wire]:
    for (device, address, subnet), (name, link) in zip(places, LINKS, strict=False):
        assert address is not None
        assert subnet is not None
        bounds = next((found for found in ranges if found and _is_inside(found, subnet)), None)
        through = router if router and router in subnet else None
        yield Wire(device, address, Network(name, subnet, through, link, (), None, DEFAULT_LEASE_S), bounds)


def _is_inside(bounds: Bounds, subnet: IPv4Network) -> bool:
    """Whether a range is among the host addresses of a network."""
    return subnet.network_address < bounds[0] and bounds[1] < subnet.broadcast_address


def _miscounted(devices: Sequence[str], subnets: Sequence[str]) -> Iterator[str]:
    if len(devices) > len(LINKS):
        yield f"--interface: {len(LINKS)} devices at most: `dhcpconfig -P INTERFACES` and `dhcpconfig -N` add more"
    if len(set(devices)) < len(devices):
        yield "--interface: a device stands there twice: name each once"
    if subnets and len(subnets) != len(devices):
        yield f"--subnet: {len(subnets)} given for {len(devices)} devices: name one for each, in the devices' order"


def _misfits(places: Sequence[Place], ranges: Sequence[Bounds | None], router: IPv4Address | None) -> Iterator[str]:
    """What does not fit together, of the answers that could be read."""
    subnets = [subnet for _, _, subnet in places if subnet]
    if not subnets:
        return
    shown = " or ".join(map(str, subnets))
    for device, address, subnet in places:
        if address and subnet and address not in subnet:
            yield f"--subnet: {device} has {address}, which is not in {subnet}: correct one of them"
    for one, other in combinations(subnets, 2):
        if one.overlaps(other):
            yield f"--subnet: {one} and {other} overlap: each device has a network of its own"
    for bounds in filter(None, ranges):
        if not any(_is_inside(bounds, subnet) for subnet in subnets):
            yield f"--range: {bounds[0]}-{bounds[1]} is not among the host addresses of {shown}"
    if router and not any(router in subnet for subnet in subnets):
        yield f"--router: {router} is not in {shown}: machines could not reach it"


def _in_the_way(answers: Answers) -> list[str]:
    if answers.force:
        return []
    there = [path for path in (answers.config, answers.dhcpsvc) if path.exists()]
    return [f"{path}: exists already: --force replaces it, or name another file" for path in there]
