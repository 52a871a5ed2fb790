"""What guests need to know of the site they are in: networks, hosts, names. Frozen values, made once for a command."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from guests.faults import Refused
from guests.guest import one_of
from guests.hypervisor import Place


class Net(NamedTuple):
    """A network: its name in the configuration, its links' prefix (`fe`), its subnet."""

    name: str
    link: str
    subnet: IPv4Network

    @property
    def container(self) -> str:
        """The table of its bindings."""
        return str(self.subnet.network_address)


class Host(NamedTuple):
    """A hypervisor of the site as its host file tells it. `links` are its links' names."""

    name: str
    segment: str
    links: frozenset[str]
    place: Place


class Site(NamedTuple):
    """The site as a command finds it.

    `names`: label -> whose it is, for names that guests cannot have (hosts, servers). `holders`: client
    id -> the host whose MAC it is. `server`: the address that a
    binding without an owner gets. `few` and `most`: how many guests a host gets (see `placement`). `by`: who asks.
    """

    nets: tuple[Net, ...]
    hosts: Mapping[str, Host]
    names: Mapping[str, str]
    holders: Mapping[bytes, str]
    server: int
    few: int
    most: int
    by: str

    @property
    def prefixes(self) -> list[str]:
        """Prefixes that links may have."""
        return sorted({net.link for net in self.nets})

    def host(self, name: str) -> Host:
        """A host by its name; Refused."""
        one_of(name, self.hosts, "host")
        return self.hosts[name]

    def of_segment(self, segment: str) -> list[Host]:
        """The hosts of a segment, by name; Refused if it has none."""
        segments = sorted({host.segment for host in self.hosts.values()})
        if not segments:
            raise Refused("there is no host to put a guest on: `twinboot host add` adds one")
        one_of(segment, segments, "segment with a host")
        return [host for _, host in sorted(self.hosts.items()) if host.segment == segment]

    def initiators(self, segment: str) -> tuple[str, ...]:
        """Names of all initiators between which a guest of the segment may move."""
        return tuple(sorted({host.place.initiator for host in self.of_segment(segment)}))

    def net_of(self, link: str, address: IPv4Address) -> Net:
        """The network that `address` is a host's address in, and that `link` is on; Refused."""
        prefix = link.rstrip("0123456789")
        nets = [net for net in self.nets if net.link == prefix]
        found = next((net for net in nets if address in net.subnet), None)
        if found is None:
            where = " or ".join(f"{net.subnet} ({net.name})" for net in nets) or "no network at all"
            elsewhere = next((net for net in self.nets if address in net.subnet), None)
            hint = f"; it is in {elsewhere.name}, the network of {elsewhere.link}0" if elsewhere else ""
            raise Refused(f"{address} is not in the network of {link}, which is {where}{hint}: choose another address")
        if address in (found.subnet.network_address, found.subnet.broadcast_address):
            raise Refused(f"{address} is no host's address in {found.subnet}: choose another")
        return found
