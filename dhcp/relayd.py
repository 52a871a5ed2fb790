"""The relay agent: one loop over the sockets of every interface; `dhcp.relay` decides.

Rules of the room:

* Interfaces are those of INTERFACES, where clients are heard, and those that lead to a destination, where only
  replies are taken. Without INTERFACES clients are heard on all of them.
* A request leaves from the server port of the interface that the kernel's route to its destination leads to, as
  servers and firewalls expect; where that interface is not ours to use, from any port.
* No packet can stop the loop, and none is kept: what cannot be sent is counted, and its client asks again.
"""

import contextlib
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from dhcp import frame, relay, wire
from dhcp.relay import DROPPED, Dropped, Homeward, Link, Onward, Plan
from dhcp.route import LIMITED_BROADCAST, SERVER_PORT, Destination, Via
from dhcp.sockets import Interface, Port, SocketError, choose, list_interfaces, open_sockets
from dhcp.svcconf import ServiceConf
from dhcp.tally import Emit, Tally
from storage.records import ipv4_int, ipv4_text

BATCH_MAX = 256  # packets of one interface before the others have their turn
POLL_MS = 500  # how often an idle loop tells its sums
HEX_MAX_BYTES = 300  # of a poison packet, in its event
LOOPBACK, MULTICAST = 127 << 24, 224 << 24


def resolve(names: Iterable[str]) -> tuple[int, ...]:
    """Return the servers' addresses. SocketError names every one that is unknown or can be no server's."""
    found: list[int] = []
    wrong: list[str] = []
    for name in names:
        try:
            address = ipv4_int(socket.gethostbyname(name))
        except OSError:
            wrong.append(f"{name}: no such host; write its address, or correct the name")
            continue
        if not address or LOOPBACK <= address < LOOPBACK + (1 << 24) or address >= MULTICAST:
            wrong.append(f"{name}: {ipv4_text(address)} is no server's address; write one that leads to a server")
        found.append(address)
    if wrong:
        raise SocketError("\n".join(f"RELAY_DESTINATIONS: {line}" for line in wrong))
    return tuple(dict.fromkeys(found))


def way_to(address: int) -> int | None:
    """Return our own address on the way to another, None where the kernel knows no way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            probe.connect((ipv4_text(address), SERVER_PORT))  # of UDP: nothing is sent
        except OSError:
            return None
        return ipv4_int(probe.getsockname()[0])


def open_relay(conf: ServiceConf, destinations: tuple[int, ...], names: Iterable[str] = ()) -> tuple[list[Port], Plan]:
    """Open the relay's sockets; clients are heard on `names`, else on INTERFACES, else on all. SocketError."""
    present = list_interfaces()
    own = [one.address for one in present]
    circular = [ipv4_text(address) for address in destinations if address in own]
    if circular:
        raise SocketError(f"RELAY_DESTINATIONS: {', '.join(circular)} is this machine's own: name the servers")
    heard = choose(tuple(names) or conf.interfaces, present)
    ways = [way_to(address) for address in destinations]
    upward = [one for one in present if one.address in ways and one not in heard and not one.is_loopback]
    ports = open_sockets(replace(conf, icmp_verify=False), [one.name for one in (*heard, *upward)])
    return ports, plan_for(conf, destinations, ports, {one.name for one in heard})


def plan_for(conf: ServiceConf, destinations: tuple[int, ...], ports: Iterable[Port], heard: Iterable[str]) -> Plan:
    """Return what `dhcp.relay` must know of open ports; `heard` names the interfaces of clients."""
    links = [_link(port.interface, port.interface.name in set(heard)) for port in ports]
    return Plan(destinations, conf.relay_hops, {link.address: link for link in links}, conf.debug_port_offset)


def _link(interface: Interface, has_clients: bool) -> Link:
    return Link(interface.name, interface.address, interface.mask, has_clients)


class RelayAgent:
    """The relay on open sockets. `stop` may be called from any thread or signal handler."""

    def __init__(self, plan: Plan, ports: Sequence[Port], emit: Emit) -> None:
        self.tally = Tally(emit)
        self._emit = emit
        self._plan = plan
        self._ports = {port.udp.fileno(): port for port in ports}
        self._by_address = {port.interface.address: port for port in ports}
        self._anywhere = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._anywhere.setblocking(False)
        self._wake, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._stopping = False

    def stop(self) -> None:
        """End the loop after the packets it is at."""
        self._stopping = True
        with contextlib.suppress(BlockingIOError):  # it is full: the loop will wake up anyhow
            self._waker.send(b"!")

    def close(self) -> None:
        """Close what the relay itself opened; the ports belong to the caller."""
        for one in (self._wake, self._waker, self._anywhere):
            one.close()

    def serve_forever(self, ready: Callable[[], None] = lambda: None) -> None:
        """Relay until `stop`."""
        poll = select.poll()
        for number in (*self._ports, self._wake.fileno()):
            poll.register(number, select.POLLIN)
        ready()
        while not self._stopping:
            woken = poll.poll(POLL_MS)
            self.tally.turn(int(time.monotonic()))
            for number, _ in woken:
                if number in self._ports:
                    self._drain(self._ports[number])
                else:
                    self._wake.recv(64)

    def _drain(self, port: Port) -> None:
        for _ in range(BATCH_MAX):
            try:
                data = port.udp.recv(wire.MAX_PACKET_BYTES + 1)
            except BlockingIOError:
                return
            except OSError as error:  # the interface went down; it may come back
                self._note("receive-failed", f"{port.interface.name}: {error.strerror}")
                return
            self._take(port, data)

    def _take(self, port: Port, data: bytes) -> None:
        """Pass one packet on. Nothing that a packet holds gets an exception past here."""
        try:
            decision = relay.decide(data, self._plan.links[port.interface.address], self._plan)
            if isinstance(decision, Onward):
                self._send_onward(decision)
            elif isinstance(decision, Homeward):
                self._send_homeward(decision)
            else:
                self._drop(port, decision)
        except Exception as error:  # noqa: BLE001 - the packet boundary: one poison packet must not stop the relay
            shown = data[:HEX_MAX_BYTES].hex()
            self._note("poison", f"{type(error).__name__}: {error}; please report this packet: {shown}")

    def _send_onward(self, onward: Onward) -> None:
        for server in onward.servers:
            port = self._by_address.get(way_to(server) or 0)
            sender = self._anywhere if port is None else port.udp
            to = ipv4_text(server)
            if self._sent(to, sender.sendto, onward.data, (to, onward.port)):
                head = onward.head
                self._tell("dhcp.relayed", mac=head.mac, xid=f"{head.xid:08x}", server=to)

    def _send_homeward(self, homeward: Homeward) -> None:
        port, head = self._by_address[homeward.link], homeward.head
        if self._sent(head.mac, self._deliver, port, homeward.data, homeward.to):
            address = ipv4_text(head.yiaddr or head.ciaddr)
            self._tell("dhcp.returned", mac=head.mac, xid=f"{head.xid:08x}", address=address)

    def _tell(self, kind: str, **fields: object) -> None:
        if self.tally.tells(kind):
            self._emit(kind, **fields)

    def _deliver(self, port: Port, data: bytes, to: Destination) -> None:
        if to.via is Via.FRAME and port.raw is not None and len(data) <= frame.MAX_PAYLOAD_BYTES:
            interface = port.interface
            source = (interface.hardware, interface.address, SERVER_PORT + self._plan.port_offset)
            port.raw.send(frame.udp_frame(data, source, (to.mac, to.address, to.port)))
        else:
            address = LIMITED_BROADCAST if to.via is Via.FRAME else to.address
            port.udp.sendto(data, (ipv4_text(address), to.port))

    def _sent(self, whom: str, send: Callable[..., object], *what: object) -> bool:
        try:
            send(*what)
        except OSError as error:  # no route, a full queue, a link that is down: the client asks again
            self._note("send-failed", f"{whom}: {error.strerror}")
            return False
        return True

    def _drop(self, port: Port, dropped: Dropped) -> None:
        who = {name: value for name, value in (("mac", dropped.mac), ("giaddr", dropped.giaddr)) if value}
        detail = f"{DROPPED[dropped.reason]} ({port.interface.name})"
        self.tally.note("dhcp.dropped", dropped.reason, detail=detail, **who)

    def _note(self, reason: str, detail: str) -> None:
        self.tally.note("dhcp.dropped", reason, detail=detail)


def serve(plan: Plan, ports: Sequence[Port], emit: Emit, ready: Callable[[], None] = lambda: None) -> None:
    """Relay in this process until SIGTERM or SIGINT. SIGHUP has nothing to read anew. Call it in the main thread."""
    agent = RelayAgent(plan, ports, emit)
    actions: dict[int, Callable[[], None]] = {
        signal.SIGTERM: agent.stop,
        signal.SIGINT: agent.stop,
        signal.SIGHUP: lambda: None,
    }
    before = {number: signal.signal(number, lambda number, _: actions[number]()) for number in actions}
    try:
        agent.serve_forever(ready)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        agent.close()
