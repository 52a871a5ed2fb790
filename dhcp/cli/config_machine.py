"""What dhcpconfig takes from the machine it runs on: its name and address, time zone, name servers, netmasks.

The address is never one of loopback, although the host's own name often leads there (Debian writes 127.0.1.1 into
/etc/hosts): clients would be sent to themselves for the time. The same goes for name servers such as 127.0.0.53.
"""

import os
import pwd
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from dhcp import netmasks
from dhcp.networks import Network
from dhcp.sockets import list_interfaces
from storage.records import ipv4_int

RESOLV_CONF = Path("/etc/resolv.conf")
NETMASKS = netmasks.NETMASKS
ACCOUNTS = ("twinboot", "nobody")
"""Whom a new datastore belongs to, the first that exists: whom services run as unless `server.user` names another."""


class Machine(NamedTuple):
    """Facts about this host. `address` is None when it has none; `dns` are the usable name servers."""

    name: str
    address: int | None
    utc_offset_s: int
    domain: str
    dns: tuple[int, ...]


def look() -> Machine:
    """Look at this host."""
    name = socket.gethostname()
    domain, dns = _resolver()
    own = [one.address for one in list_interfaces() if not one.is_loopback]
    address = next((one for one in _resolved(name) if one in own or not own), own[0] if own else None)
    return Machine(name.partition(".")[0], address, -time.timezone, domain, dns)


def _resolved(name: str) -> list[int]:
    try:
        found = socket.gethostbyname_ex(name)[2]
    except OSError:
        return []
    return [address for text in found if not is_loopback(address := ipv4_int(text))]


def is_loopback(address: int) -> bool:
    """Tell whether an address means the machine that uses it."""
    return address >> 24 == 127


def _resolver() -> tuple[str, tuple[int, ...]]:
    domain, servers = "", []
    for words in _lines(RESOLV_CONF):
        if words[0] in ("domain", "search") and len(words) > 1:
            domain = words[1]
        elif words[0] == "nameserver" and len(words) > 1 and (address := _address(words[1])) is not None:
            servers.append(address)
    return domain, tuple(address for address in servers if not is_loopback(address))


def _lines(path: Path) -> Iterable[list[str]]:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return []
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith(("#", ";"))]


def _address(text: str) -> int | None:
    try:
        return ipv4_int(text)
    except ValueError:
        return None


def find_netmask(number: str) -> tuple[Network, bool]:
    """The network of this number, by netmasks(4), an interface, or its class: a guess. ValueError if no mask fits."""
    net, place = netmasks.find(number, "", netmasks.read_netmasks(NETMASKS), list_interfaces())
    return net, place == netmasks.CLASS


def own_by_services(path: Path) -> None:
    """As root, give a new directory to the account of the services, which are to write in it."""
    if os.geteuid() != 0:
        return
    for name in ACCOUNTS:
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(path, account.pw_uid, account.pw_gid)
        return


def is_left_to_root(path: Path) -> bool:
    """Tell whether root is about to make tables in a directory of its own, where services could not change them."""
    return os.geteuid() == 0 and path.stat().st_uid == 0
