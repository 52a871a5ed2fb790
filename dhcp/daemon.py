"""The DHCP service: one loop over the sockets, one durable write for each batch.

    drain what waits (at most BATCH_MAX) -> decode -> decide -> one commit for all -> send

Rules of the room:

* A reply leaves only after what it promises is stored. All changes of a batch are one `commit`. No commit holds two
  changes of one binding or about one machine: the second packet waits for the first to be stored.
* A collision means that somebody else (the other server, an operator) was first: look again, decide once more, else
  be silent.
* Views and macros are asked for changes once in each batch, so an edit counts for the next packet. RESCAN_INTERVAL
  and SIGHUP read everything anew and forget offers.
* Under overload (a whole batch was waiting) old work is shed first: `AGE_MAX_S` says how long each kind of message
  may have waited. A client that has given up is not worth an answer; one that renews has most to lose and waits
  longest.
* No packet can stop the loop: an unexpected exception while one packet is looked at is caught there, counted, and
  told with the packet's bytes. Exceptions elsewhere are bugs and end the service, which its supervisor then starts
  again.
"""

import contextlib
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from dhcp import engine, frame, wire
from dhcp.asking import view_of
from dhcp.decision import Arrival, Decision, Networks, Reply, World
from dhcp.echo import Echo
from dhcp.mirror import Mirror
from dhcp.networks import Network
from dhcp.options import MessageType
from dhcp.probes import Answer, Probes
from dhcp.reply import Plans
from dhcp.route import LIMITED_BROADCAST, SERVER_PORT, Via
from dhcp.sockets import Port
from dhcp.svcconf import ServiceConf
from dhcp.tally import Emit, Tally
from dhcp.verify import conflict
from dhcp.wire import WireError
from storage.records import Change, Outcome, Records, ipv4_text

BATCH_MAX = 256  # packets for one commit: enough to share its cost, few enough to answer in time
POLL_MS = 500  # how often an idle loop looks at offers and rescans
HEX_MAX_BYTES = 300  # of a poison packet, in its event
COUNTED = frozenset({"dhcp.silent", "dhcp.dropped"})  # kinds that strangers can cause at any rate
LOST_RACE = frozenset({Outcome.COLLISION, Outcome.NOT_FOUND, Outcome.EXISTS})

AGE_MAX_S: Final = {b"\x01": 0.25, b"\x03": 0.5}  # by message type: DISCOVER, REQUEST of a client without address
AGE_MAX_OTHER_S = 1.0  # renewals, releases, and what cannot be told at a glance

_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(16)
_TIMESPEC: Final = struct.Struct("@qq")


class Datagram(NamedTuple):
    """What came in at a port, and when (Unix seconds)."""

    port: Port
    data: bytes
    came_s: float


class Work(NamedTuple):
    """One packet on its way through a batch."""

    datagram: Datagram
    decision: Decision


class Daemon:
    """The service on open sockets. `stop` and `rescan` may be called from any thread or signal handler."""

    def __init__(
        self, conf: ServiceConf, ports: Sequence[Port], records: Records, networks: Iterable[Network], emit: Emit
    ) -> None:
        own = frozenset(port.interface.address for port in ports)
        self.tally = Tally(emit)
        self._conf = conf
        self._ports = {port.udp.fileno(): port for port in ports}
        self._echoes = {port.echo.fileno(): port.echo for port in ports if port.echo is not None}
        self._probes: Probes[Work] = Probes()
        self._records = records
        self._emit = emit
        self._mirror = Mirror(records, networks, own | frozenset(conf.owner_ip), emit)
        self._networks = Networks(self._mirror.views)
        self._world = World(conf, own, self._mirror.macros, Plans(), self._networks)
        self._fresh: set[str] = set()  # networks whose view was brought up to date in this batch
        self._pending: list[Work] = []  # decided, not yet stored
        self._touched: set[object] = set()  # bindings that `_pending` changes, hardware addresses it is about
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
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
                    self._batch(self._drain(self._ports[number]))
                elif number in self._echoes:
                    self._set_aside(self._echoes[number])
                else:
                    self._wake.recv(64)

    def close(self) -> None:
        """Close what the daemon itself opened; the ports belong to the caller."""
        self._wake.close()
        self._waker.close()

    # -- receiving

    def _drain(self, port: Port) -> list[Datagram]:
        """Take what waits at a port, BATCH_MAX at most. Of a whole batch, what has waited too long is shed."""
        taken: list[Datagram] = []
        while len(taken) < BATCH_MAX:
            try:
                data, ancillary, _, _ = port.udp.recvmsg(wire.MAX_PACKET_BYTES + 1, _ANCILLARY_BYTES)
            except BlockingIOError:
                return taken
            except OSError as error:  # the interface went down; it may come back
                self.tally.note("dhcp.dropped", "receive-failed", detail=f"{port.interface.name}: {error.strerror}")
                return taken
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2]) if ancillary else (time.time(), 0)
            taken.append(Datagram(port, data, seconds + nanoseconds / 1e9))
        now = time.time()
        kept = [datagram for datagram in taken if now - datagram.came_s <= _age_max_s(datagram.data)]
        for _ in range(len(taken) - len(kept)):
            self.tally.note("dhcp.dropped", "shed", detail="it waited too long in an overload")
        return kept

    def _turn(self) -> None:
        """Do what time asks for: end offers, tell sums, rescan."""
        now = time.monotonic()
        for view in self._mirror.views:
            view.expire(now)
        self.tally.turn(int(now))
        self._batch([work.datagram for work in self._probes.due(now)])
        interval_s = self._conf.rescan_interval_min * 60
        if self._rescan_due or (interval_s and now - self._rescanned >= interval_s):
            self._reload()

    def _reload(self) -> None:
        self._rescan_due = False
        self._rescanned = time.monotonic()
        self._mirror.reload()
        self._world = self._world._replace(macros=self._mirror.macros, plans=Plans())

    # -- a batch

    def _batch(self, datagrams: list[Datagram]) -> None:
        if not datagrams:
            return
        self._fresh.clear()
        if self._mirror.refresh_macros():
            self._world = self._world._replace(macros=self._mirror.macros, plans=Plans())
        for datagram in datagrams:
            if _chaddr(datagram) in self._touched:
                self._flush()
            decision = self._decide(datagram)
            if decision.change is not None and _key(decision.change) in self._touched:
                self._flush()
                decision = self._decide(datagram)
            self._accept(Work(datagram, decision))
        self._flush()

    def _decide(self, datagram: Datagram) -> Decision:
        """Read one packet and decide about it. Nothing that a packet holds gets an exception past here."""
        interface = datagram.port.interface
        try:
            request = wire.decode(datagram.data)
            arrival = Arrival(interface.name, interface.address)
            view = view_of(request, arrival, self._networks)
            is_query = view is None and request.message_type is MessageType.LEASEQUERY
            for one in self._mirror.views if is_query else (view,):
                if one is not None and one.name not in self._fresh:
                    self._mirror.refresh(one)
                    self._fresh.add(one.name)
            return engine.decide(request, arrival, self._world, view, int(time.time()))
        except WireError as error:
            return Decision("dhcp.dropped", {"reason": error.reason, "detail": str(error)})
        except Exception as error:  # noqa: BLE001 - the packet boundary: one poison packet must not stop the service
            shown = datagram.data[:HEX_MAX_BYTES].hex()
            detail = f"{type(error).__name__}: {error}; please report this packet: {shown}"
            return Decision("dhcp.dropped", {"reason": "poison", "detail": detail})

    def _accept(self, work: Work) -> None:
        """Put a decision off until its change is stored, or carry it out at once where there is none."""
        decision = work.decision
        if decision.remember is not None and decision.view is not None:
            decision.view.remember(decision.remember, time.monotonic() + self._conf.offer_cache_timeout_s)
        if decision.probe and self._waits(work):
            return
        if decision.change is None:
            self._finish(work)
        else:
            self._pending.append(work)
            self._touched.update((_key(decision.change), _chaddr(work.datagram)))

    # -- asking by ICMP who has an address

    def _tell_unasked(self) -> None:
        where = [port.interface for port in self._ports.values() if port.echo is None]
        names = [interface.name for interface in where if not interface.is_loopback]
        if self._conf.icmp_verify and names:
            reason = "ICMP_VERIFY: no ICMP socket (start as root): addresses are offered without asking who has them"
            self._emit("config.fault", file="dhcpsvc.conf", reason=reason, detail=", ".join(names))

    def _sleep_ms(self) -> float:
        """Say how long the loop may sleep: until something held is due, rounded up."""
        return POLL_MS if not len(self._probes) else self._probes.wait_s(time.monotonic(), POLL_MS / 1000) * 1000 + 1

    def _waits(self, work: Work) -> bool:
        """Hold a decision back while its address is asked; False: it need not wait, or nobody can be asked."""
        echo, address = work.datagram.port.echo, work.decision.probe
        if echo is None:
            return False
        answer = self._probes.hold(address, work, time.monotonic())
        if answer is Answer.ASK:
            try:
                echo.ask(address)
            except OSError:  # no route, a full neighbour table: as without ICMP_VERIFY
                self._probes.let_go(address)
                return False
        return answer is not Answer.LET_GO

    def _set_aside(self, echo: Echo) -> None:
        """Mark the addresses that have answered UNUSABLE, durably, and look for others for who waited for them."""
        held = [work for work in map(self._probes.answered, echo.heard()) if work is not None]
        for work in held:
            decision = conflict(work.decision, int(time.time()))
            if decision is not None:
                self._accept(Work(work.datagram, decision))
        self._flush()
        for view in {work.decision.view for work in held if work.decision.view is not None}:
            self._mirror.refresh(view)
        # what could not be marked is not offered again at once: its client asks again
        self._batch([work.datagram for work in held if conflict(work.decision, int(time.time())) is None])

    # -- storing

    def _flush(self) -> None:
        """Store what is pending and send its replies; what lost a race is decided once more."""
        for work in self._store():
            self._accept(Work(work.datagram, self._decide(work.datagram)))
        for work in self._store():
            self._refuse(work, "collision", "another server or an operator was first, twice; the client will try again")

    def _store(self) -> list[Work]:
        """Commit all that is pending; finish what was stored, and return what lost a race against somebody else."""
        works, self._pending = self._pending, []
        if not works:
            return []
        self._touched.clear()
        self._fresh.clear()
        results = self._records.commit([work.decision.change for work in works if work.decision.change is not None])
        lost = []
        for work, result in zip(works, results, strict=True):
            if result.outcome is Outcome.STORED:
                self._finish(work)
            elif result.outcome in LOST_RACE:
                lost.append(work)
            elif work.decision.needs_store:
                self._refuse(work, f"store-{result.outcome.name.lower()}", result.detail)
            else:
                self._finish(work, unstored=result.detail)
        return lost

    def _refuse(self, work: Work, reason: str, detail: str) -> None:
        self._count(
            "dhcp.silent", {**work.decision.fields, "state": work.decision.kind, "reason": reason, "detail": detail}
        )

    def _count(self, kind: str, fields: Mapping[str, object]) -> None:
        rest = dict(fields)
        self.tally.note(kind, str(rest.pop("reason")), **rest)

    def _finish(self, work: Work, unstored: str = "") -> None:
        """Do what a decision allows once its changes are stored: send, remember, tell."""
        decision = work.decision
        if decision.view is not None:
            if decision.forget is not None:
                decision.view.forget(decision.forget)
            if decision.heard is not None:
                decision.view.hear(*decision.heard)
        if decision.kind in COUNTED:
            self._count(decision.kind, decision.fields)
        elif unstored:
            self._emit(decision.kind, **{**decision.fields, "detail": f"not stored: {unstored}"})
        else:
            self.tally.routine(decision.kind, decision.fields)
        if decision.reply is not None:
            self._send(work.datagram.port, decision.reply)

    def _send(self, port: Port, reply: Reply) -> None:
        to = reply.to
        try:
            if to.via is Via.FRAME and port.raw is not None:
                interface = port.interface
                source = (interface.hardware, interface.address, SERVER_PORT + self._conf.debug_port_offset)
                port.raw.send(frame.udp_frame(reply.data, source, (to.mac, to.address, to.port)))
            else:
                address = LIMITED_BROADCAST if to.via is Via.FRAME else to.address
                port.udp.sendto(reply.data, (ipv4_text(address), to.port))
        except OSError as error:  # no route, a full queue, a link that is down: the client asks again
            self.tally.note("dhcp.dropped", "send-failed", detail=f"{ipv4_text(to.address)}: {error.strerror}")


def _key(change: Change) -> tuple[str, object]:
    """Name the binding that a change is about."""
    return change.table, change.old.key if change.old is not None else None


def _chaddr(datagram: Datagram) -> bytes:
    """Return the field that tells machines apart, which is enough to keep one machine's packets in order."""
    return datagram.data[28:44]


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
    try:
        daemon.serve_forever(ready)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        daemon.close()
