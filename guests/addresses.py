"""Whose an address may become: bindings of guests, decided. Pure.

An address is reserved for a guest before the guest has a MAC (`reserved_id`), so that two people cannot take the same;
then it is bound to the MAC (MANUAL). What was in the way a moment ago does not matter, only what is in the container
now: an address that is free, or whose lease has ended, is taken at once, whoever had it; one whose lease still runs, or
that is reserved for another, is refused with the holder's name and what to type. So no client's address is pulled
away from under it, and once `twinboot lease release` or `domu-destroy` has ended the old binding, nothing of it is
left: the new MAC gets the address with its next packet, and the old one's renewals are answered by no server any more.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import NamedTuple

from guests.faults import Refused
from guests.guest import Nic
from guests.site import Net, Site
from storage.records import BOOTP, FOREVER_S, FREE_ID, MANUAL, PERMANENT, UNUSABLE, Binding

HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")
"""A label of the DNS (RFC 1123 section 2.1) that fits a binding's comment."""

LEASE_NAME = re.compile(r"ip(?:-[0-9]{1,3}){4}")
"""What the DNS calls running leases."""

NAME_BYTES_MAX = 63
"""Of a guest in a client id of 64."""


class Place(NamedTuple):
    """An address in its container."""

    table: str
    address: int


def client_id(mac: str) -> bytes:
    """What a guest's DHCP client is known by: hardware type 1 and its MAC (RFC 2132 section 9.14)."""
    return b"\1" + bytes.fromhex(mac.replace(":", ""))


def reserved_id(guest: str) -> bytes:
    """Client id of an address that waits for a guest's MAC: type 0 and a name, which no client sends."""
    return b"\0" + guest.encode()[:NAME_BYTES_MAX]


def guest_of(client: bytes) -> str:
    """The guest that a reserved id names; empty if it is none."""
    return client[1:].decode("utf-8", "replace") if len(client) > 1 and client[0] == 0 else ""


def read_host_name(text: str) -> str:
    """A host name in lower case; Refused."""
    name = text.lower()
    if not HOST_NAME.fullmatch(name):
        raise Refused(
            f"{text!r} is no host name: write letters, digits and inner hyphens, 48 at most, such as vm-host1"
        )
    if LEASE_NAME.fullmatch(name):
        raise Refused(f"{text!r}: names of this form are for running leases: choose another")
    return name


def read_address(text: str) -> IPv4Address:
    """An address; Refused."""
    try:
        return IPv4Address(text)
    except ValueError:
        raise Refused(f"{text!r} is no address: write one such as 192.168.76.71") from None


def judge(
    net: Net,
    nic: Nic,
    old: Binding | None,
    mine: frozenset[bytes],
    now_s: float,
    holders: Mapping[bytes, str],
) -> Binding:
    """The binding as it stands, if a guest with the client ids `mine` may have it; Refused.

    `holders`: client id -> who that is, as people know it.
    """
    if old is None:
        command = f"pntadm -A {nic.address} {net.container}"
        raise Refused(f"{nic.address} is not among the addresses of {net.container}: add it with `{command}`")
    if old.flags & UNUSABLE:
        release = f"twinboot lease release {nic.address}"
        raise Refused(f"{nic.address} is marked unusable (a machine answered there): `{release}` once that is settled")
    if old.client_id in mine or old.client_id == FREE_ID:
        return old
    who = holders.get(old.client_id) or guest_of(old.client_id) or f"client {old.client_id.hex().upper()}"
    if old.flags & MANUAL:
        way = f"domu-destroy {who}" if ":" in who else f"twinboot lease release {nic.address} --force"
        raise Refused(f"{nic.address} is reserved for {_named(who, old)}: choose another, or end that with `{way}`")
    endless = old.flags & (PERMANENT | BOOTP) or old.lease_s == FOREVER_S
    if endless or old.lease_s > now_s:
        left = "for ever" if endless else f"for another {_age(old.lease_s - now_s)}"
        release = f"twinboot lease release {nic.address}"
        raise Refused(
            f"{nic.address} is leased to {_named(who, old)} {left}: choose another; or `{release}` ends the lease "
            "(shut that machine down first), and then repeat this command"
        )
    return old


def bound(site: Site, old: Binding, client: bytes, host: str) -> Binding:
    """The binding once it is a guest's: MANUAL, named by its comment; owner and macro stay."""
    return old._replace(client_id=client, flags=MANUAL, lease_s=0, owner=old.owner or site.server, comment=host)


def freed(old: Binding, host: str) -> Binding:
    """The binding once the guest is gone: anybody may get the address."""
    comment = "" if old.comment in ("", host) else old.comment
    return old._replace(client_id=FREE_ID, flags=old.flags & ~MANUAL, lease_s=0, comment=comment)


def refuse_taken_name(site: Site, host: str, others: Mapping[str, str]) -> None:
    """Refused if somebody else has the name. `others`: host names of bindings that are not the guest's -> address."""
    if host in site.names:
        raise Refused(f"{host} is the name of {site.names[host]}: choose another")
    if host in others:
        raise Refused(f"{host} is the name of {others[host]} already: choose another")


def _named(who: str, row: Binding) -> str:
    return f"{who} ({row.comment})" if row.comment and row.comment != who else who


def _age(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{int(seconds)} s" if seconds < 100 else f"{minutes} min" if minutes < 100 else f"{round(minutes / 60)} h"
