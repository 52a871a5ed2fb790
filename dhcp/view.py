"""What a server knows about one network: its bindings, indexed, and the offers it has out.

Rules of the room:

* The view is a copy of the network's container, kept current by `apply` with what `Records.read(since)` reports. It
  is never the truth: only a commit decides, and a collision there means that this copy was old.
* Each question the engine asks is answered without a walk over the rows: by address, by client id (one client may
  hold several bindings), the next free address (`dhcp.freeset`), the binding whose lease ended first. For the last
  there is a queue (`dhcp.leasequeue`), made when a network first runs out of free addresses: most never do.
* A number or text that several indexes hold is one object in all of them, the row's own: there are hundreds of
  thousands of rows, and each copy is one more place in memory to fetch for a packet.
* The search for a free address starts at a place derived from the client's id, so two servers that do not talk to
  each other tend to offer the same address to one client and different addresses to different clients.
* Offers live in memory only, expire by themselves, and keep their address out of the search while they last.
* Nothing here reads a clock: times are handed in. Leases are absolute Unix seconds; offers use any monotonic
  seconds.
"""

import zlib
from collections import OrderedDict
from collections.abc import Iterable
from operator import is_
from typing import Any, Final

from dhcp.freeset import FreeSet
from dhcp.heard import Heard
from dhcp.leasequeue import LeaseQueue
from dhcp.networks import Network
from storage.records import BOOTP, FOREVER_S, FREE_ID, MANUAL, PERMANENT, UNUSABLE, Binding, Delta, Row

OFFERS_MAX = 65536  # for each network, the oldest goes first; more than the largest network of a site has
NOT_FREE: Final = MANUAL | UNUSABLE
NOT_RECLAIMED: Final = NOT_FREE | BOOTP | PERMANENT


class Offer:
    """An address promised to a client but not committed, until `expires` by the view's clock.

    `mac` is htype + chaddr of who asked.
    """

    __slots__ = ("address", "client_id", "expires", "lease_s", "mac")

    def __init__(self, client_id: bytes, mac: bytes, address: int, lease_s: int) -> None:
        self.client_id = client_id
        self.mac = mac
        self.address = address
        self.lease_s = lease_s
        self.expires = 0.0


class NetworkView:
    """One network's bindings and offers. The daemon changes it; the engine only asks."""

    def __init__(self, network: Network, owners: frozenset[int]) -> None:
        self.network = network
        self.name = network.name
        self.owners = owners
        self.version = 0  # what Records.read last returned
        self.is_stale, self.unseen_s = False, 0.0  # it could not be read when last tried; since when, if it matters
        self.rows: dict[int, Binding] = {}
        # in order of expiry, for every offer lives equally long; a plain dict that loses its first entries gets slow
        self.offers: OrderedDict[bytes, Offer] = OrderedDict()
        self.heard = Heard()
        self._clients: dict[bytes, int | tuple[int, ...]] = {}  # client id -> its address, or several
        self._named: dict[str, set[int]] = {}  # comment in small letters -> addresses
        self._free = FreeSet(network)
        self._free_bootp = FreeSet(network)
        self._leases: LeaseQueue | None = None  # of ours that can end, once it is asked for
        self._offered: dict[int, bytes] = {}  # address -> client id of the offer that holds it
        self._settled: list[Row] = []  # rows taken over since the last `apply`

    # -- keeping current

    def apply(self, delta: Delta) -> None:
        """Take over what changed. Rows outside the network are left out: they can be no lease of it."""
        self.version = delta.version
        settled, self._settled = self._settled, []
        if len(settled) == len(delta.rows) and all(map(is_, settled, delta.rows)) and not (delta.whole or delta.gone):
            return  # as nearly always: nobody but us wrote
        if delta.whole:
            self.rows.clear()
            self._clients.clear()
            self._leases = None
            self._named.clear()
            self._free = FreeSet(self.network)
            self._free_bootp = FreeSet(self.network)
        for key in delta.gone:
            if isinstance(key, int):
                self._remove(key)
        rows = self.rows
        for row in delta.rows:
            if not isinstance(row, Binding) or rows.get(row.address) is row:
                continue  # it is known already
            self.put(row)
            if self._offered.get(row.address) == row.client_id:
                self.forget(row.client_id)  # the other server gave it

    def put(self, row: Row) -> None:
        """Take over one row as it is stored now."""
        if not isinstance(row, Binding):
            return
        address: Any  # these two stay the objects that they are
        lease_s: Any
        address, client_id, flags, owner, lease_s, _, _, comment = row
        old = self.rows.get(address)
        if old is row:
            return
        if old is None:
            if not self.network.has_host(address):
                return
            was_id, was_flags, was_comment = FREE_ID, flags, ""
        else:
            _, was_id, was_flags, was_owner, _, _, _, was_comment = old
            if was_id == client_id != FREE_ID and was_flags == flags and was_owner == owner and was_comment == comment:
                self.rows[address] = row  # renewed, as nearly always: it is where it is to be found already
                if self._leases is not None and address not in self._offered and self._can_end(row):
                    self._leases.put(address, lease_s)
                return
        self.rows[address] = row
        if (was_flags ^ flags) & BOOTP and old is not None:
            self._pool(old).discard(address)
        if was_id != client_id:
            if was_id != FREE_ID and old is not None:
                self._unlink(old)
            if client_id != FREE_ID:
                held = self._addresses(client_id)
                self._clients[client_id] = (*held, address) if held else address
        if comment != was_comment:
            self._rename(address, was_comment, comment)
        self._index(address, client_id, flags, owner, lease_s)

    def _rename(self, address: int, old: str, new: str) -> None:
        self._named.get(old.lower(), set()).discard(address)
        if new:
            self._named.setdefault(new.lower(), set()).add(address)

    def _remove(self, address: int) -> None:
        old = self.rows.pop(address, None)
        if old is not None:
            self._unlink(old)
            self._rename(address, old.comment, "")
            self._pool(old).discard(address)

    def _addresses(self, client_id: bytes) -> tuple[int, ...]:
        held = self._clients.get(client_id)
        if held is None:
            return ()
        return held if isinstance(held, tuple) else (held,)

    def _unlink(self, old: Binding) -> None:
        left = tuple(a for a in self._addresses(old.client_id) if a != old.address)
        if left:
            self._clients[old.client_id] = left if len(left) > 1 else left[0]
        else:
            self._clients.pop(old.client_id, None)

    def _index(self, address: Any, client_id: bytes, flags: int, owner: int, lease_s: Any) -> None:
        """Enter a row where the searches look, unless an offer holds its address."""
        pool = self._free_bootp if flags & BOOTP else self._free
        pool.discard(address)
        if owner not in self.owners:
            return
        pool.cover(address)
        if address in self._offered:
            return
        if client_id == FREE_ID:
            if not flags & NOT_FREE:
                pool.add(address)
        elif self._leases is not None and not flags & NOT_RECLAIMED and lease_s != FOREVER_S:
            self._leases.put(address, lease_s)

    def _pool(self, row: Binding) -> FreeSet:
        return self._free_bootp if row.flags & BOOTP else self._free

    # -- asking

    def is_ours(self, row: Binding) -> bool:
        """Tell whether this server answers for the binding."""
        return row.owner in self.owners

    def bindings_of(self, client_id: bytes) -> Iterable[Binding]:
        """Return the bindings that bear this client id, BOOTP ones too."""
        return [self.rows[address] for address in self._addresses(client_id)]

    def bindings_named(self, name: str) -> list[Binding]:
        """Return the bindings whose comment is this name, the lowest address first."""
        return [self.rows[address] for address in sorted(self._named.get(name.lower(), ()))]

    def knows(self, client_id: bytes) -> bool:
        """Tell whether any binding bears this client id."""
        return client_id in self._clients

    def reservation_of(self, client_id: bytes) -> Binding | None:
        """Return the client's MANUAL binding: of several an UNUSABLE one, because it blocks the client, else ours.

        Of equals it is the one with the lowest address: the same on every server, however often rows are written.
        """
        held = self._clients.get(client_id)
        if held is None or (not isinstance(held, tuple) and not self.rows[held].flags & MANUAL):
            return None
        rows = self.reservations_of(client_id)
        if len(rows) < 2:
            return rows[0] if rows else None
        return min(rows, key=lambda row: (not row.flags & UNUSABLE, row.owner not in self.owners, row.address))

    def reservations_of(self, client_id: bytes) -> list[Binding]:
        """Return the client's MANUAL bindings that are not BOOTP's."""
        return [row for row in self.bindings_of(client_id) if row.flags & (MANUAL | BOOTP) == MANUAL]

    def offered_to(self, address: int) -> bytes | None:
        """Return the client id that an offer of this address is out to."""
        return self._offered.get(address)

    def free_for(self, client_id: bytes) -> Binding | None:
        """Return a free binding of ours that nobody was offered, or None."""
        address = self._free.pick(zlib.crc32(client_id))
        return None if address is None else self.rows[address]

    def free_bootp_for(self, client_id: bytes) -> Binding | None:
        """Return a free binding of ours with the flag BOOTP that nobody is about to get, or None."""
        address = self._free_bootp.pick(zlib.crc32(client_id))
        return None if address is None else self.rows[address]

    def ended_before(self, limit_s: int) -> Binding | None:
        """Return the binding of ours whose lease ended first, if that was by `limit_s` and nobody was offered it."""
        leases = self._leases
        if leases is None:
            leases = LeaseQueue({row.address: row.lease_s for row in self.rows.values() if self._can_end(row)})
            self._leases = leases
        while (first := leases.first(limit_s)) is not None:
            entry_s, address = first
            row = self.rows.get(address)
            if row is None or not self._can_end(row):
                leases.drop()
            elif row.lease_s > entry_s:  # renewed since
                leases.put_off(row.lease_s)
            else:
                return row
        return None

    def _can_end(self, row: Binding) -> bool:
        return (
            row.client_id != FREE_ID
            and not row.flags & NOT_RECLAIMED
            and row.lease_s != FOREVER_S
            and row.owner in self.owners
            and row.address not in self._offered
        )

    # -- offers

    def remember(self, offer: Offer, expires: float) -> None:
        """Keep an offer until `expires`; an earlier one to the same client, or of the same address, ends."""
        client_id, address = offer.client_id, offer.address
        if client_id in self.offers:
            self.forget(client_id)
        if address in self._offered:
            self.forget(self._offered[address])
        if len(self.offers) >= OFFERS_MAX:
            self.forget(next(iter(self.offers)))
        offer.expires = expires
        self.offers[client_id] = offer
        self._offered[address] = client_id
        row = self.rows.get(address)
        if row is not None:
            self._pool(row).discard(address)

    def forget(self, client_id: bytes) -> None:
        """End the client's offer, if there is one; its address can be found again."""
        offer = self.offers.pop(client_id, None)
        if offer is None:
            return
        del self._offered[offer.address]
        row = self.rows.get(offer.address)
        if row is not None:
            self._index(row.address, row.client_id, row.flags, row.owner, row.lease_s)

    def settle(self, client_id: bytes | None, row: Row) -> None:
        """Take over a row as stored and end the client's offer: nobody may find the address in between."""
        if client_id is not None:
            offer = self.offers.get(client_id)
            if offer is not None and offer.address == row.key:
                del self.offers[client_id], self._offered[offer.address]
            elif offer is not None:
                self.forget(client_id)
        self.put(row)
        self._settled.append(row)

    def expire(self, now: float) -> None:
        """End the offers whose time is over."""
        while self.offers:
            client_id, offer = next(iter(self.offers.items()))
            if offer.expires > now:
                return
            self.forget(client_id)

    def forget_offers(self) -> None:
        """End all offers (a rescan)."""
        self.expire(float("inf"))
