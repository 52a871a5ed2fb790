"""Bindings as people ask about them: the state of each, who holds it, and what freeing one means.

Pure: rows and a clock reading in, answers out. The states are those that the DHCP service acts upon: `free` may be
given to anybody, `used` runs, `expired` has ended and is given away when free ones run out, `reserved` belongs to one
client whether it is there or not (MANUAL), `unusable` is given to nobody (somebody else answered there).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from jumpstart import values
from storage.records import BOOTP, FOREVER_S, FREE_ID, MANUAL, PERMANENT, UNUSABLE, Binding, ipv4_int

__all__ = ["STATES", "Lease", "client_text", "flag_words", "freed", "mac_of", "matches", "state"]

STATES = ("free", "used", "reserved", "expired", "unusable")
ETHERNET_ID_BYTES = 7  # hardware type 1 and the MAC, RFC 2132 section 9.14
NODE_ID_TYPE = 255  # RFC 4361: 255, interface (4 bytes), DUID
DUID_MIN_BYTES = 5 + 4 + 6
FLAGS = ((PERMANENT, "PERMANENT"), (MANUAL, "MANUAL"), (UNUSABLE, "UNUSABLE"), (BOOTP, "BOOTP"))


class Lease(NamedTuple):
    """A binding and the network container it is in."""

    network: str
    row: Binding


def state(row: Binding, now_s: float) -> str:
    """One of STATES."""
    if row.flags & UNUSABLE:
        return "unusable"
    if row.flags & MANUAL:
        return "reserved"
    if row.client_id == FREE_ID:
        return "free"
    endless = row.flags & (PERMANENT | BOOTP) or row.lease_s == FOREVER_S
    return "used" if endless or row.lease_s > now_s else "expired"


def flag_words(flags: int) -> list[str]:
    """The names of the flags that are set; none means DYNAMIC."""
    return [word for bit, word in FLAGS if flags & bit]


def mac_of(client_id: bytes) -> str | None:
    """The MAC address that a client id names, or None: hardware type 1 + MAC, or a DUID made from one (RFC 4361)."""
    if len(client_id) == ETHERNET_ID_BYTES and client_id[0] == 1:
        return client_id[1:].hex(":")
    if len(client_id) >= DUID_MIN_BYTES and client_id[0] == NODE_ID_TYPE:
        link_layer_time, link_layer = b"\0\1\0\1", b"\0\3\0\1"  # DUID types 1 and 3 with hardware type 1, RFC 8415
        duid = client_id[5:]
        if (duid.startswith(link_layer_time) and len(duid) == 14) or (duid.startswith(link_layer) and len(duid) == 10):
            return duid[-6:].hex(":")
    return None


def client_text(client_id: bytes) -> str:
    """A client as short as it can be told: its MAC if the id is one, else the id; "-" for nobody."""
    if client_id == FREE_ID:
        return "-"
    return mac_of(client_id) or client_id.hex().upper()


def matches(leases: Iterable[Lease], text: str) -> list[Lease]:
    """The bindings that `text` names: an address, a MAC in any spelling, or a client id. ValueError if it is none."""
    try:
        address = ipv4_int(text)
    except ValueError:
        pass
    else:
        return [lease for lease in leases if lease.row.address == address]
    wanted = _client_id(text)
    try:
        mac = values.mac(text)
    except ValueError:
        mac = None
    if wanted is None and mac is None:
        raise ValueError(
            f"{text!r} is no address, MAC or client id: write 10.0.0.50, 00:14:4f:00:00:01 or 0100144F000001"
        )
    return [
        lease
        for lease in leases
        if lease.row.client_id != FREE_ID
        and (lease.row.client_id == wanted or (mac is not None and mac_of(lease.row.client_id) == mac))
    ]


def _client_id(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) or None
    except ValueError:
        return None


def freed(row: Binding) -> Binding:
    """The binding once nobody holds it: any client may get the address; owner, macro and comment stay."""
    return row._replace(client_id=FREE_ID, lease_s=0, flags=row.flags & ~(MANUAL | UNUSABLE))
