"""Names of hosts and networks on the command line: resolved here, and nowhere else in `dhcp`.

Loopback is the trap: many systems give the own host name the address 127.0.1.1. As the owner of a binding that would
be nobody, so such an answer is refused, and the default owner comes from OWNER_IP or from the routing table instead.
"""

import socket
import time
from pathlib import Path

from storage.records import ipv4_int, ipv4_text

NETWORKS_FILE = Path("/etc/networks")
RESOLVE_BUDGET_S = 5.0
"""A listing of names gives up on names after so long: a dead name server must not hold up hundreds of lines."""
_LOOPBACK = 127


def address_of(text: str) -> int:
    """The address that a dotted address or a host name stands for. ValueError says what to give instead."""
    try:
        return ipv4_int(text)
    except ValueError:
        if text.replace(".", "").isdigit():
            raise
    try:
        return ipv4_int(socket.gethostbyname(text or "."))  # "" would be 0.0.0.0
    except (OSError, UnicodeError):
        raise ValueError(f'"{text}" is no address, and no host of that name is known: give its address') from None


def server_address(text: str) -> int:
    """The owner that a server's address or name stands for. ValueError."""
    address = address_of(text)
    if address >> 24 == _LOOPBACK and text != ipv4_text(address):
        raise ValueError(
            f'"{text}" is {ipv4_text(address)} on this host, which no other host reaches: give its address'
        )
    return address


def network_number(text: str) -> str:
    """Name of the container for a network number, or for a name in networks(5). ValueError."""
    number = text if text.replace(".", "").isdigit() else _networks().get(text, "")
    if not number:
        raise ValueError(f'"{text}" is no network: give its number, such as 192.168.76.0 (`pntadm -L` lists them)')
    value = ipv4_int(number)
    if value == 0 or value & 3:
        raise ValueError(f'"{number}" is an address, not the number of a network: give one such as 192.168.76.0')
    return number


def _networks() -> dict[str, str]:
    try:
        lines = NETWORKS_FILE.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    rows = [line.partition("#")[0].split() for line in lines]
    return {
        name: row[1] + ".0" * (3 - row[1].count(".")) for row in rows if len(row) > 1 for name in (row[0], *row[2:])
    }


def default_server(owners: tuple[int, ...], network: str) -> int:
    """The owner of a new binding where nobody says it. ValueError if it cannot be told.

    The first of `owners` (OWNER_IP) that is an address of this host; else the first of them, for every server of the
    list answers for it; without a list, the address that this host would send from to that network.
    """
    if owners:
        return next(filter(_is_local, owners), owners[0])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((ipv4_text(ipv4_int(network) + 1), 67))  # UDP: asks the routing table, sends nothing
            return ipv4_int(probe.getsockname()[0])
    except OSError:
        raise ValueError(f"this host has no address that reaches {network}: name the server with -s") from None


def _is_local(address: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ipv4_text(address), 0))
        except OSError:
            return False
    return True


class Namer:
    """Names of addresses for one listing, each asked for once; the address itself where there is no name in time."""

    def __init__(self) -> None:
        self._deadline_s = time.monotonic() + RESOLVE_BUDGET_S
        self._names: dict[int, str] = {}

    def __call__(self, address: int) -> str:
        """The host's name, or its dotted address."""
        if address not in self._names:
            text = ipv4_text(address)
            if time.monotonic() > self._deadline_s:
                return text
            try:
                self._names[address] = socket.gethostbyaddr(text)[0]
            except OSError:
                self._names[address] = text
        return self._names[address]
