"""What names exist here, and for which addresses: the zone, answered from host files and bindings. Pure.

Rules of this room (RFC 1034 section 4.3.2, RFC 2308, RFC 8020; `docs/names.md` for people):

- Forward names, in this order: this server; hosts; labels of MANUAL bindings; `ip-10-0-0-50` for a running lease. The
  first that has a name owns it: a comment in a container cannot take a host's name away.
- A host `hv1` with links `fe0` and `be0` is `hv1-fe0`, `hv1-be0`, and bare `hv1`: its first link with an address in the
  host file, or, if none has, its first link. A link without an address there has the one its MAC is bound to.
- A MANUAL binding is named by its comment when that is one host label.
- Addresses of the configured networks are ours alone: what is not named there does not exist. The reverse zones are
  those of whole octets, so a /20 is sixteen of them; in the zone of a /26 only its own addresses are ours.
- A name of a host or reservation lives TTL_S; that of a lease no longer than the lease.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from jumpstart.model import Hypervisor, Link
from storage.records import FOREVER_S, FREE_ID, MANUAL, UNUSABLE, Binding, Delta
from twinboot.dnsrecords import ANY, NEGATIVE_TTL_S, NS, PTR, SOA, A, Answer, Labels, Record, Soa, Verdict
from twinboot.values import LABEL

__all__ = ["Zone"]

TTL_S = 300
LEASE_TTL_S = 60
ADDRESSES_MAX = 16  # of one name: more never help, and the answer stays small
SERIAL_MASK = 0xFFFFFFFF
MAC_ID_BYTES = 7
ARPA = (b"in-addr", b"arpa")
LEASE_PREFIX = b"ip-"


class _Known(NamedTuple):
    """What the zone keeps of a binding that belongs to somebody."""

    client_id: bytes
    lease_s: int
    is_manual: bool
    label: bytes


class _Reverse(NamedTuple):
    """A reverse zone's name, and what of it is ours."""

    apex: Labels
    networks: tuple[IPv4Network, ...]


class Zone:
    """Every name of the site as one server sees it; fed with hosts and deltas, asked with `find`."""

    def __init__(self, domain: str, server: str, address: IPv4Address, networks: Iterable[IPv4Network]) -> None:
        self.domain: Labels = tuple(domain.lower().encode().split(b"."))
        self.serial = 1
        self._server = server.lower().encode()
        self._address = int(address)
        self._networks = {str(net.network_address): net for net in networks}
        self._reverse = _reverse_zones(self._networks.values())
        self._tables: dict[str, dict[int, _Known]] = {}
        self._labels: dict[bytes, set[int]] = {}
        self._clients: dict[bytes, set[int]] = {}
        self._static: dict[bytes, int] = {}
        self._leased: dict[bytes, bytes] = {}
        self._names: dict[int, bytes] = {}
        self._client_names: dict[bytes, bytes] = {}
        self.set_hosts((), 0)

    @property
    def tables(self) -> tuple[str, ...]:
        """The containers whose bindings are named here."""
        return tuple(self._networks)

    def set_hosts(self, hosts: Iterable[Hypervisor], now_s: int) -> None:
        """Take `hosts` as all the hosts there are."""
        self._static = {self._server: self._address}
        self._names = {self._address: self._server}
        self._leased, self._client_names = {}, {}
        ordered = sorted(hosts, key=lambda host: host.name)
        named = [(host.name.encode(), _main_link(host)) for host in ordered]
        named += [(f"{host.name}-{link.name}".encode(), link) for host in ordered for link in host.links]
        for label, link in named:  # bare names first: one host's link name must not hide another host
            self._name_link(label, link)
        self._turn(now_s)

    def _name_link(self, label: bytes, link: Link) -> None:
        if label in self._static or label in self._leased:
            return
        if link.address:
            address = int(IPv4Address(link.address))
            self._static[label] = address
            self._names.setdefault(address, label)
        else:
            client_id = b"\1" + bytes.fromhex(link.mac.replace(":", ""))
            self._leased[label] = client_id
            self._client_names.setdefault(client_id, label)

    def apply(self, table: str, delta: Delta, now_s: int) -> None:
        """Follow a container. `delta` is what `Records.read` gave since the one before."""
        known = self._tables.setdefault(table, {})
        is_news = bool(delta.rows or delta.gone or (delta.whole and known))
        for address in list(known) if delta.whole else [key for key in delta.gone if isinstance(key, int)]:
            self._forget(known, address)
        for row in delta.rows:
            if isinstance(row, Binding):
                self._forget(known, row.address)
                self._learn(known, row)
        if is_news:
            self._turn(now_s)

    def _learn(self, known: dict[int, _Known], row: Binding) -> None:
        if row.client_id == FREE_ID or row.flags & UNUSABLE:
            return
        is_manual = bool(row.flags & MANUAL)
        label = _label(row.comment) if is_manual else b""
        known[row.address] = _Known(row.client_id, row.lease_s, is_manual, label)
        if label:
            self._labels.setdefault(label, set()).add(row.address)
        if len(row.client_id) == MAC_ID_BYTES:
            self._clients.setdefault(row.client_id, set()).add(row.address)

    def _forget(self, known: dict[int, _Known], address: int) -> None:
        old = known.pop(address, None)
        if old is None:
            return
        for index, key in ((self._labels, old.label), (self._clients, old.client_id)):
            if key in index:
                index[key].discard(address)
                if not index[key]:
                    del index[key]

    def _turn(self, now_s: int) -> None:
        self.serial = max(self.serial + 1, now_s) & SERIAL_MASK

    def find(self, name: Labels, kind: int, now_s: int) -> Answer:
        """The answer to a question of class IN, whatever the case of its letters."""
        lowered = tuple(label.lower() for label in name)
        if lowered[-len(self.domain) :] == self.domain:
            return self._forward(name, lowered[: -len(self.domain)], kind, now_s)
        if lowered[-len(ARPA) :] == ARPA:
            return self._backward(name, lowered, kind, now_s)
        return Answer(Verdict.FOREIGN)

    def _forward(self, name: Labels, left: Labels, kind: int, now_s: int) -> Answer:
        if not left:
            return self._at_apex(name, self.domain, kind)
        ttl_s, addresses = self._addresses(left[0], now_s) if len(left) == 1 else (0, ())
        records = tuple(Record(name, A, ttl_s, address) for address in addresses)
        return self._answer(self.domain, records, kind)

    def _answer(self, apex: Labels, records: tuple[Record, ...], kind: int) -> Answer:
        if records and kind in (records[0].kind, ANY):
            return Answer(Verdict.FOUND, records)
        return self._nothing(Verdict.EMPTY if records else Verdict.MISSING, apex)

    def _nothing(self, verdict: Verdict, apex: Labels) -> Answer:
        return Answer(verdict, authority=(self._soa(apex)._replace(ttl_s=NEGATIVE_TTL_S),))

    def _soa(self, apex: Labels) -> Record:
        return Record(apex, SOA, TTL_S, Soa(self._own_name(), (b"hostmaster", *self.domain), self.serial))

    def _own_name(self) -> Labels:
        return (self._server, *self.domain)

    def _at_apex(self, name: Labels, apex: Labels, kind: int) -> Answer:
        if kind in (SOA, ANY):
            return Answer(Verdict.FOUND, (self._soa(apex)._replace(owner=name),))
        if kind == NS:
            extra = (Record(self._own_name(), A, TTL_S, self._address),)
            return Answer(Verdict.FOUND, (Record(name, NS, TTL_S, self._own_name()),), extra=extra)
        return self._nothing(Verdict.EMPTY, apex)

    def _addresses(self, label: bytes, now_s: int) -> tuple[int, tuple[int, ...]]:
        """Time to live and addresses of a label of our domain; no addresses if nobody has it."""
        if label in self._static:
            return TTL_S, (self._static[label],)
        if label in self._leased:
            return self._of_client(self._leased[label], now_s)
        if label in self._labels:
            return TTL_S, tuple(sorted(self._labels[label])[:ADDRESSES_MAX])
        address = _lease_address(label)
        known = self._known(address) if address is not None else None
        ttl_s = _lease_ttl_s(known, now_s) if known else 0
        return (ttl_s, (address,)) if ttl_s and address is not None else (0, ())

    def _of_client(self, client_id: bytes, now_s: int) -> tuple[int, tuple[int, ...]]:
        """A link without an address of its own: where its MAC has a reservation or a running lease."""
        found: dict[int, int] = {}
        for address in self._clients.get(client_id, ()):
            known = self._known(address)
            ttl_s = TTL_S if known and known.is_manual else _lease_ttl_s(known, now_s) if known else 0
            if ttl_s:
                found[address] = ttl_s
        return min(found.values(), default=0), tuple(sorted(found)[:ADDRESSES_MAX])

    def _known(self, address: int) -> _Known | None:
        return next((table[address] for table in self._tables.values() if address in table), None)

    def _backward(self, name: Labels, lowered: Labels, kind: int, now_s: int) -> Answer:
        zone = next((zone for zone in map(self._reverse.get, _suffixes(lowered)) if zone), None)
        if zone is None:
            return Answer(Verdict.FOREIGN)
        if lowered == zone.apex:
            return self._at_apex(name, zone.apex, kind)
        octets = _octets(lowered[: -len(ARPA)])
        if octets is None or len(octets) > 4:
            return self._nothing(Verdict.MISSING, zone.apex)
        if len(octets) < 4:
            return self._nothing(Verdict.EMPTY, zone.apex)  # addresses may be below it
        address = IPv4Address(bytes(octets))
        if not any(address in net for net in zone.networks):
            return Answer(Verdict.FOREIGN)
        ttl_s, label = self._name_of(int(address), now_s)
        records = (Record(name, PTR, ttl_s, (label, *self.domain)),) if label else ()
        return self._answer(zone.apex, records, kind)

    def _name_of(self, address: int, now_s: int) -> tuple[int, bytes]:
        """Time to live and label of an address; the label is empty if it has none."""
        if address in self._names:
            return TTL_S, self._names[address]
        known = self._known(address)
        if known is None:
            return 0, b""
        if known.label and known.label not in self._static and known.label not in self._leased:
            return TTL_S, known.label
        host = self._client_names.get(known.client_id, b"")
        if host and known.is_manual:
            return TTL_S, host
        ttl_s = _lease_ttl_s(known, now_s)
        return (ttl_s, host or _lease_label(address)) if ttl_s else (0, b"")


def _main_link(host: Hypervisor) -> Link:
    return next((link for link in host.links if link.address), host.links[0])


def _label(comment: str) -> bytes:
    """The label that a comment is, in lower case; empty if it is none, or one that leases are named by."""
    found = LABEL.fullmatch(comment)
    label = comment.lower().encode() if found else b""
    return b"" if _lease_address(label) is not None else label


def _lease_label(address: int) -> bytes:
    return LEASE_PREFIX + str(IPv4Address(address)).replace(".", "-").encode()


def _lease_address(label: bytes) -> int | None:
    octets = _octets(tuple(label.removeprefix(LEASE_PREFIX).split(b"-"))[::-1])
    if not label.startswith(LEASE_PREFIX) or octets is None or len(octets) != 4:
        return None
    return int.from_bytes(octets, "big")


def _lease_ttl_s(known: _Known, now_s: int) -> int:
    """How long a lease's name may be kept; 0 if the lease does not run."""
    return LEASE_TTL_S if known.lease_s == FOREVER_S else max(0, min(LEASE_TTL_S, known.lease_s - now_s))


def _octets(labels: Labels) -> list[int] | None:
    """The numbers of reversed decimal labels, in their right order; None unless each is 0 to 255 as one writes it."""
    numbers = [int(label) for label in reversed(labels) if len(label) <= 3 and label.isdigit()]
    is_plain = len(numbers) == len(labels) and all(
        number <= 255 and str(number).encode() == label for number, label in zip(numbers, reversed(labels), strict=True)
    )
    return numbers if is_plain else None


def _suffixes(name: Labels) -> Iterator[Labels]:
    """The names of one to three octets under in-addr.arpa that `name` is in."""
    for count in range(len(ARPA) + 1, len(ARPA) + 4):
        if len(name) >= count:
            yield name[-count:]


def _reverse_zones(networks: Iterable[IPv4Network]) -> dict[Labels, _Reverse]:
    zones: dict[Labels, list[IPv4Network]] = {}
    for net in networks:
        prefix = min(24, -(-net.prefixlen // 8) * 8)
        parts = [net.supernet(new_prefix=prefix)] if net.prefixlen > prefix else net.subnets(new_prefix=prefix)
        for part in parts:
            octets = str(part.network_address).split(".")[: prefix // 8]
            zones.setdefault((*(octet.encode() for octet in reversed(octets)), *ARPA), []).append(net)
    return {apex: _Reverse(apex, tuple(nets)) for apex, nets in zones.items()}
