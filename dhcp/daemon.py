"""The DHCP daemon: one blocking loop over the sockets, which hands what it drains to the service.

    drain what waits (at most BATCH_MAX) -> `Service.handle`, which decides and has it stored
    a commit has ended                   -> `Service.proceed`, which answers

Rules of the room:

* Commits run beside the loop (`dhcp.beside`) and wake it when they end.
* Under overload (a whole batch was waiting) old work is shed first: `AGE_MAX_S` says how long each kind of message
  may have waited. A client that has given up is not worth an answer; one that renews has most to lose and waits
  longest.
* RESCAN_INTERVAL and SIGHUP read everything anew and forget offers.
* Whatever a network can suffer while sending is counted and told, and the client asks again.
"""

import contextlib
import gc
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from dhcp import frame
from dhcp.beside import Beside
from dhcp.decision import Reply
from dhcp.networks import Network
from dhcp.route import LIMITED_BROADCAST, SERVER_PORT, Via
from dhcp.service import Service
from dhcp.sockets import Port
from dhcp.svcconf import ServiceConf
from dhcp.tally import Emit
from dhcp.verbatim import RECEIVED, SENT, in_words
from dhcp.volleys import Inbox, Outbox
from storage.records import Records, ipv4_text

BATCH_MAX = 512  # packets for one commit: enough to share its cost, few enough to answer in time
ALIKE_MIN = 4  # replies of one length to one place that are worth a call of their own
POLL_MS = 500  # how often an idle loop looks at offers and rescans

AGE_MAX_S: Final = {b"\x01": 0.25, b"\x03": 0.5}  # by message type: DISCOVER, REQUEST of a client without address
AGE_MAX_OTHER_S = 1.0  # renewals, releases, and what cannot be told at a glance

_FRAME: Final = Via.FRAME

GC_THRESHOLDS: Final = (50_000, 20, 50)
"""A packet makes some twenty values that die young and never point at one another in a circle, so looking for circles
every 700 values, as Python does, is time thrown away."""


class Daemon:
    """The service on open sockets. `stop` and `rescan` may be called from any thread or signal handler."""

    def __init__(
        self, conf: ServiceConf, ports: Sequence[Port], records: Records, networks: Iterable[Network], emit: Emit
    ) -> None:
        own = frozenset(port.interface.address for port in ports)
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        self._commits = Beside(records, self._nudge)
        self.service = Service(conf, own, records, networks, emit, self, time, self._commits)
        self.tally = self.service.tally
        self._conf = conf
        self._emit = emit
        self._ports = {port.udp.fileno(): port for port in ports}
        self._echoes = {port.echo.fileno(): port for port in ports if port.echo is not None}
        self._inboxes = {port.udp: Inbox(port.udp, BATCH_MAX) for port in ports}
        self._outboxes = {port.udp: Outbox(port.udp, BATCH_MAX) for port in ports}
        self._stopping = False
        self._rescan_due = False
        self._rescanned = 0.0

    def stop(self) -> None:
        """End the loop after the batch it is at."""
        self._stopping = True
        self._nudge()

    def rescan(self) -> None:
        """Read macros and bindings anew, before the next packet."""
        self._rescan_due = True
        self._nudge()

    def _nudge(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is full: the loop will wake up anyhow
            self._waker.send(b"!")

    def serve_forever(self, ready: Callable[[], None] = lambda: None) -> None:
        """Answer until `stop`. `ready` is called once, when the datastore has been read and packets are answered."""
        poll = select.poll()
        for number in (*self._ports, *self._echoes, self._wake.fileno()):
            poll.register(number, select.POLLIN)
        self._reload()
        self._tell_unasked()
        ready()
        while not self._stopping:
            woken = poll.poll(self._sleep_ms())
            self._turn()
            for number, _ in woken:
                if number in self._ports:
                    taken, waited_s = self._drain(self._ports[number])
                    if self._conf.verbose:
                        self._show(RECEIVED, taken)
                    self.service.handle(self._ports[number], taken, waited_s)
                elif number in self._echoes:
                    self._hear(self._echoes[number])
                else:
                    self._wake.recv(64)
                    self.service.proceed()
        self.service.finish()

    def close(self) -> None:
        """Close what the daemon itself opened; the ports belong to the caller."""
        self._commits.close()
        self._wake.close()
        self._waker.close()

    def _hear(self, port: Port) -> None:
        if port.echo is not None:
            self.service.in_use(port, port.echo.heard())

    def _turn(self) -> None:
        self.service.turn()
        interval_s = self._conf.rescan_interval_min * 60
        if self._rescan_due or (interval_s and time.monotonic() - self._rescanned >= interval_s):
            self._reload()

    def _reload(self) -> None:
        self._rescan_due = False
        self._rescanned = time.monotonic()
        self.service.reload()

    def _sleep_ms(self) -> float:
        """Say how long the loop may sleep: until something held is due, rounded up."""
        probes = self.service.probes
        return POLL_MS if not len(probes) else probes.wait_s(time.monotonic(), POLL_MS / 1000) * 1000 + 1

    def _drain(self, port: Port) -> tuple[list[bytes], float]:
        """Take what waits at a port, BATCH_MAX at most; return it, and how long the first has waited.

        Of a whole batch, what has waited too long is shed.
        """
        inbox = self._inboxes[port.udp]
        try:
            taken = inbox.take()
        except OSError as error:  # the interface went down; it may come back
            self.tally.note("dhcp.dropped", "receive-failed", detail=f"{port.interface.name}: {error.strerror}")
            return [], 0.0
        now = time.time()
        if len(taken) < BATCH_MAX:
            (first_s,) = inbox.came_s(1)
            return taken, max(now - first_s, 0.0) if first_s else 0.0
        came_s = inbox.came_s(len(taken))
        ages_s = [now - (one_s or now) for one_s in came_s]
        kept = [data for data, age_s in zip(taken, ages_s, strict=True) if age_s <= _age_max_s(data)]
        for _ in range(len(taken) - len(kept)):
            self.tally.note("dhcp.dropped", "shed", detail="it waited too long in an overload")
        return kept, max(ages_s)

    def _show(self, way: tuple[str, int], packets: Iterable[bytes]) -> None:
        """Tell what is in packets, as far as a second can hear of it."""
        kind, op = way
        for data in packets:
            if self.tally.tells(kind):
                self._emit(kind, **in_words(data, op))

    # -- what the service asks for

    def send(self, port: Port, replies: Sequence[Reply]) -> None:
        """Send replies: datagrams together, frames and long datagrams one by one."""
        if self._conf.verbose:
            self._show(SENT, [reply.data for reply in replies])
        outbox = self._outboxes[port.udp]
        alike: dict[tuple[int, int, int], list[bytes]] = {}  # by address, port and length
        for reply in replies:
            data, (via, address, number, mac) = reply.data, reply.to
            if via is _FRAME:
                if port.raw is not None:
                    self._send_frame(port, data, (mac, address, number))
                    continue
                address = LIMITED_BROADCAST
            key = (address, number, len(data))
            if key in alike:
                alike[key].append(data)
            else:
                alike[key] = [data]
        for (address, number, _), group in alike.items():
            sent = self._send_alike(outbox, group, address, number) if len(group) >= ALIKE_MIN else 0
            for data in group[sent:] if sent else group:
                if not outbox.put(data, address, number):
                    self._send_out(outbox)
                    if not outbox.put(data, address, number):
                        self._send_alone(port, data, address, number)
        self._send_out(outbox)

    def _send_alike(self, outbox: Outbox, group: Sequence[bytes], address: int, number: int) -> int:
        """Send datagrams of one length to one place; return how many are done with."""
        try:
            return outbox.send_alike(group, address, number)
        except OSError as error:
            for _ in group:
                self._unsent(address, error)
            return len(group)

    def _send_out(self, outbox: Outbox) -> None:
        for address, error in outbox.send():  # no route, a full queue, a link that is down
            self._unsent(address, error)

    def _send_frame(self, port: Port, data: bytes, to: tuple[bytes, int, int]) -> None:
        interface = port.interface
        source = (interface.hardware, interface.address, SERVER_PORT + self._conf.debug_port_offset)
        try:
            if port.raw is not None:
                port.raw.send(frame.udp_frame(data, source, to))
        except OSError as error:
            self._unsent(to[1], error)

    def _send_alone(self, port: Port, data: bytes, address: int, number: int) -> None:
        try:
            port.udp.sendto(data, (ipv4_text(address), number))
        except OSError as error:
            self._unsent(address, error)

    def _unsent(self, address: int, error: OSError) -> None:
        self.tally.note("dhcp.dropped", "send-failed", detail=f"{ipv4_text(address)}: {error.strerror}")

    def ask(self, port: Port, address: int) -> bool:
        """Send one echo request."""
        try:
            if port.echo is not None:
                port.echo.ask(address)
        except OSError:
            return False
        return port.echo is not None

    def _tell_unasked(self) -> None:
        where = [port.interface for port in self._ports.values() if port.echo is None]
        names = [interface.name for interface in where if not interface.is_loopback]
        if self._conf.icmp_verify and names:
            reason = "ICMP_VERIFY: no ICMP socket (start as root): addresses are offered without asking who has them"
            self._emit("config.fault", file="dhcpsvc.conf", reason=reason, detail=", ".join(names))


def _age_max_s(data: bytes) -> float:
    """Say how long a packet may wait, by a glance: the type where clients put it, first of the options."""
    if data[240:242] != b"\x35\x01" or data[12:16] != b"\0\0\0\0":
        return AGE_MAX_OTHER_S
    return AGE_MAX_S.get(data[242:243], AGE_MAX_OTHER_S)


def serve(
    conf: ServiceConf,
    ports: Sequence[Port],
    records: Records,
    networks: Iterable[Network],
    emit: Emit,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Run the service in this process until SIGTERM or SIGINT; SIGHUP makes it rescan. Call it in the main thread."""
    daemon = Daemon(conf, ports, records, networks, emit)
    actions: dict[int, Callable[[], None]] = {
        signal.SIGTERM: daemon.stop,
        signal.SIGINT: daemon.stop,
        signal.SIGHUP: daemon.rescan,
    }
    before = {number: signal.signal(number, lambda number, _: actions[number]()) for number in actions}
    thresholds = gc.get_threshold()
    gc.set_threshold(*GC_THRESHOLDS)

    def begin() -> None:
        gc.collect()
        gc.freeze()  # the rows and all else that was read are here to stay: looking through them takes ever longer
        ready()

    try:
        daemon.serve_forever(begin)
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        for number, handler in before.items():
            signal.signal(number, handler)
        daemon.close()
