"""Which subnet a container of bindings is of: containers keep a number and no netmask.

The netmask is looked for in this order, and the first place that has one decides:

1. the networks that the operator lists by hand (twinboot.toml), which are not looked into here;
2. the option Subnet of the macro that bears the network's number, as `dhcpconfig -N` writes it; macros that it includes
   count;
3. netmasks(4): lines `192.168.76.0  255.255.255.0`;
4. an interface of this machine that is in the network;
5. the class of the number, made longer by whole octets until the number fits: 10.77.0.0 is taken for a /16.

in.dhcpd has 3 to 5. The dhcptab goes before them because both servers of a site read the same one. A netmask that does
not fit, and a network that shares addresses with one found in an earlier place, is a fault: the network is left out.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from dhcp.macros import MacroTable
from dhcp.networks import Network, network, overlaps
from dhcp.options import SUBNET_MASK
from dhcp.sockets import Interface
from storage.records import ipv4_int, ipv4_text

NETMASKS: Final = Path("/etc/netmasks")
DHCPTAB, NETMASKS_FILE, INTERFACE, CLASS = "dhcptab", "netmasks", "interface", "class"
"""Where a netmask was found, the best place first."""

_PLACES: Final = (DHCPTAB, NETMASKS_FILE, INTERFACE, CLASS)
_OCTET_PREFIXES: Final = (8, 16, 24)


class Found(NamedTuple):
    """A network and the place its netmask is from."""

    network: Network
    place: str


class Learned(NamedTuple):
    """The networks of a datastore, by number, and one sentence for each that was left out."""

    networks: tuple[Network, ...]
    faults: tuple[tuple[str, str], ...]


def read_netmasks(path: Path = NETMASKS) -> dict[str, str]:
    """Return number -> netmask of a netmasks(4) file; of a number that comes twice the first line. No file, nothing."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return {}
    rows = [line.partition("#")[0].split() for line in text.splitlines()]
    return {row[0]: row[1] for row in reversed(rows) if len(row) > 1}


def find(number: str, macro_mask: str, masks: Mapping[str, str], interfaces: Iterable[Interface]) -> Found:
    """Return the network of this number. ValueError if the netmask found first does not fit it, or none does."""
    address = ipv4_int(number)
    if macro_mask:
        return Found(network(f"{number}/{macro_mask}"), DHCPTAB)
    if number in masks:
        return Found(network(f"{number}/{masks[number]}"), NETMASKS_FILE)
    for one in interfaces:
        if one.address & one.mask == address:
            return Found(network(f"{number}/{ipv4_text(one.mask)}"), INTERFACE)
    natural = 8 if address >> 31 == 0 else 16 if address >> 30 == 0b10 else 24
    fitting = [prefix for prefix in _OCTET_PREFIXES if prefix >= natural and not address & (0xFFFFFFFF >> prefix)]
    if not fitting:
        raise ValueError(f"{number} is not the number of a network: give its netmask")
    return Found(network(f"{number}/{fitting[0]}"), CLASS)


def macro_mask(macros: MacroTable, number: str) -> str:
    """Return option Subnet of a network's own macro, dotted; "" if it sets none or is disabled."""
    value = dict(macros.select("", (), number, "", b"").options).get(SUBNET_MASK, b"")
    return ipv4_text(int.from_bytes(value, "big")) if value else ""


def learn(
    known: Iterable[Network],
    containers: Iterable[str],
    macros: MacroTable,
    masks: Mapping[str, str],
    interfaces: Iterable[Interface],
) -> Learned:
    """Return the networks to serve: those `known`, and those of the containers that are not among them."""
    networks = list(known)
    named = {net.name for net in networks}
    present = tuple(interfaces)
    found: list[Found] = []
    faults: list[tuple[str, str]] = []
    for number in sorted(set(containers) - named, key=ipv4_int):
        try:
            found.append(find(number, macro_mask(macros, number), masks, present))
        except ValueError as error:
            faults.append((number, f"not served: {error}: correct Subnet in the macro {number}"))
    for one in sorted(found, key=lambda one: _PLACES.index(one.place)):
        clash = next((net for net in networks if overlaps((net, one.network))), None)
        if clash is None:
            networks.append(one.network)
        else:
            told = f"{_text(one.network)} (netmask by {one.place}) shares addresses with {_text(clash)}"
            faults.append((one.network.name, f"not served: {told}: set Subnet in the macro {one.network.name}"))
    return Learned(tuple(sorted(networks)), tuple(faults))


def _text(net: Network) -> str:
    return f"{net.name}/{net.prefix}"
