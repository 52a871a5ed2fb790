"""The daemon's sockets, for each interface: UDP, a packet socket for clients that have no address yet, and ICMP.

Rules of the room:

* Sockets are opened while the process may still be root, and used afterwards: nothing here is called per packet but
  `Port.send`.
* A UDP socket is bound to its device, so what it receives came in there, and a broadcast leaves there. On loopback
  it is bound to the address as well: there are no broadcasts, and a relay agent under test needs the port beside
  it.
* Without a packet socket (no privilege, or a device without Ethernet frames) a client without an address is
  answered by broadcast, as in.dhcpd does when it cannot enter the client into the ARP table.
* The receive buffer holds some 10,000 packets: what arrives while a batch is being stored waits instead of being
  lost.
"""

import fcntl
import socket
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from dhcp.echo import Echo, open_echo
from dhcp.svcconf import ServiceConf
from storage.records import ipv4_text

SERVER_PORT: Final = 67
CLIENT_PORT: Final = 68
RECEIVE_BUFFER_BYTES: Final = 8 * 1024 * 1024
SO_RCVBUFFORCE: Final = 33  # as SO_RCVBUF, but root is not held to net.core.rmem_max (socket(7))
SO_TIMESTAMPNS: Final = 35  # the kernel says when each packet came in

_SIOCGIFFLAGS, _SIOCGIFADDR, _SIOCGIFNETMASK, _SIOCGIFHWADDR = 0x8913, 0x8915, 0x891B, 0x8927  # netdevice(7)
_IFF_UP, _IFF_LOOPBACK = 0x1, 0x8
_ARPHRD_ETHER = 1


class SocketError(Exception):
    """An interface that cannot be served; the text is one line with the way out."""


class Interface(NamedTuple):
    """An interface that is up: its name, IPv4 address and netmask, and Ethernet address (b"" if it has none)."""

    name: str
    address: int
    mask: int
    hardware: bytes
    is_loopback: bool


class Port(NamedTuple):
    """The open sockets of one interface. `raw` is None where frames cannot be sent, `echo` where nothing is asked."""

    interface: Interface
    udp: socket.socket
    raw: socket.socket | None
    echo: Echo | None = None

    def close(self) -> None:
        """Close all of them."""
        for one in (self.udp, self.raw, self.echo):
            if one is not None:
                one.close()


def list_interfaces() -> list[Interface]:
    """Return the interfaces that are up and have an IPv4 address, loopback too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        found = [_inspect(probe.fileno(), name) for _, name in socket.if_nameindex()]
    return [interface for interface in found if interface is not None]


def _inspect(handle: int, name: str) -> Interface | None:
    request = struct.pack("16s240x", name.encode())
    try:
        (flags,) = struct.unpack_from("H", fcntl.ioctl(handle, _SIOCGIFFLAGS, request), 16)
        address = fcntl.ioctl(handle, _SIOCGIFADDR, request)[20:24]
        mask = fcntl.ioctl(handle, _SIOCGIFNETMASK, request)[20:24]
        kind, hardware = struct.unpack_from("H6s", fcntl.ioctl(handle, _SIOCGIFHWADDR, request), 16)
    except OSError:
        return None  # it has no address, or went away in between
    if not flags & _IFF_UP:
        return None
    return Interface(
        name,
        int.from_bytes(address, "big"),
        int.from_bytes(mask, "big"),
        hardware if kind == _ARPHRD_ETHER else b"",
        bool(flags & _IFF_LOOPBACK),
    )


def choose(names: Iterable[str], found: Iterable[Interface]) -> list[Interface]:
    """Return the interfaces to serve: those named, or all but loopback. SocketError names every one that is missing."""
    present = {interface.name: interface for interface in found}
    wanted = list(names) or [name for name, interface in present.items() if not interface.is_loopback]
    missing = [name for name in wanted if name not in present]
    if missing:
        have = ", ".join(sorted(present)) or "none"
        raise SocketError(f"INTERFACES: {', '.join(missing)}: not up or without an IPv4 address; ready are: {have}")
    if not wanted:
        raise SocketError("no interface is up with an IPv4 address; configure one, or name it in INTERFACES")
    return [present[name] for name in wanted]


def open_sockets(conf: ServiceConf, interfaces: Iterable[str] = ()) -> list[Port]:
    """Open the sockets of all interfaces to serve: `interfaces`, else those of INTERFACES, else all that are ready.

    SocketError if one of them cannot be had; those opened before it are closed again.
    """
    ports: list[Port] = []
    try:
        wanted = choose(tuple(interfaces) or conf.interfaces, list_interfaces())
        for interface in wanted:
            ports.append(_open(interface, SERVER_PORT + conf.debug_port_offset))
            if conf.icmp_verify and not interface.is_loopback:  # there the kernel itself answers for every address
                ports[-1] = ports[-1]._replace(echo=open_echo(interface.name))
    except BaseException:
        for port in ports:
            port.close()
        raise
    return ports


def _open(interface: Interface, number: int) -> Port:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.name.encode() + b"\0")
        udp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        _widen(udp)
        udp.bind((ipv4_text(interface.address) if interface.is_loopback else "", number))
        udp.setblocking(False)
        return Port(interface, udp, _open_raw(interface))
    except OSError as error:
        udp.close()
        raise SocketError(f"{interface.name}: UDP port {number}: {_remedy(error, number)}") from error


def _remedy(error: OSError, number: int) -> str:
    if isinstance(error, PermissionError):
        return "not permitted; start as root (privileges are dropped after binding) or set DEBUG_PORT_OFFSET"
    if error.errno == 98:  # EADDRINUSE
        return f"in use by another DHCP server or relay; see which with `ss -ulnp sport = :{number}` and stop it"
    return str(error.strerror)


def _widen(udp: socket.socket) -> None:
    try:
        udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
    except PermissionError:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


def _open_raw(interface: Interface) -> socket.socket | None:
    """Open the packet socket. It is for sending only: protocol 0 receives nothing."""
    if not interface.hardware:
        return None
    try:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError:
        return None
    try:
        raw.bind((interface.name, 0))
        raw.setblocking(False)
    except BaseException:
        raw.close()
        raise
    return raw
