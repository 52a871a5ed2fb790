"""What becomes of the packets of one batch: decide, store, answer. No sockets, no clock of its own.

    handle(datagrams): decode -> decide -> one commit for all -> send

Rules of the room:

* A reply leaves only after what it promises is stored. All changes of a batch are one `commit`. No commit holds two
  changes of one binding or about one machine: the second packet waits for the first to be stored.
* Replies that promise nothing new (offers, most of all) do not wait for the commit of their batch.
* A collision means that somebody else (the other server, an operator) was first: look again, decide once more, else
  be silent.
* Views and macros are asked for changes once in each batch, so an edit counts for the next packet.
* No packet can stop the loop: an unexpected exception while one packet is looked at is caught here, counted, and
  told with the packet's bytes. Exceptions elsewhere are bugs and end the service, which its supervisor then starts
  again.

What it needs of the world comes in from outside: `Wires` sends replies and questions, `Clock` tells the time. A
simulator hands in its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from dhcp import engine, wire
from dhcp.asking import view_of
from dhcp.decision import Arrival, Decision, Networks, Reply, World
from dhcp.mirror import Mirror
from dhcp.networks import Network
from dhcp.options import MessageType
from dhcp.probes import Answer, Probes
from dhcp.reply import Plans
from dhcp.sockets import Port
from dhcp.svcconf import ServiceConf
from dhcp.tally import Emit, Tally
from dhcp.verify import conflict
from dhcp.view import NetworkView
from dhcp.wire import WireError
from storage.records import Outcome, Records

HEX_MAX_BYTES = 300  # of a poison packet, in its event
COUNTED = frozenset({"dhcp.silent", "dhcp.dropped"})  # kinds that strangers can cause at any rate
LOST_RACE = frozenset({Outcome.COLLISION, Outcome.NOT_FOUND, Outcome.EXISTS})
_CHADDR: Final = slice(28, 44)  # the field that tells machines apart, enough to keep one machine's packets in order


class Datagram(NamedTuple):
    """What came in, and at which port."""

    port: Port
    data: bytes


class Work(NamedTuple):
    """One packet on its way through a batch."""

    datagram: Datagram
    decision: Decision


class Clock(Protocol):
    """Tells the time; the module `time` is one."""

    def time(self) -> float:
        """Unix seconds."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""


class Wires(Protocol):
    """Sends for the service. Neither method raises for what a network can suffer."""

    def send(self, port: Port, reply: Reply) -> None:
        """Send a reply, or take it over to be sent at the next `flush`."""

    def flush(self) -> None:
        """Let everything leave that was taken over."""

    def ask(self, port: Port, address: int) -> bool:
        """Ask by ICMP echo who has an address; False: nobody can be asked there."""


class Service:
    """DHCP over one datastore. Not thread-safe: one loop calls it."""

    def __init__(
        self,
        conf: ServiceConf,
        own: frozenset[int],
        records: Records,
        networks: Iterable[Network],
        emit: Emit,
        wires: Wires,
        clock: Clock,
    ) -> None:
        """Serve for the addresses `own` of this machine and those of OWNER_IP."""
        self.tally = Tally(emit)
        self.probes: Probes[Work] = Probes()
        self._conf = conf
        self._records = records
        self._emit = emit
        self._wires = wires
        self._clock = clock
        self._mirror = Mirror(records, networks, own | frozenset(conf.owner_ip), emit)
        self._world = World(conf, own, self._mirror.macros, Plans(), Networks(self._mirror.views))
        self._arrivals: dict[Port, Arrival] = {}
        self._now_s = 0  # Unix time of this batch
        self._fresh: set[NetworkView] = set()  # what was brought up to date in this batch
        self._pending: list[Work] = []  # decided, not yet stored
        self._touched: set[object] = set()  # addresses that `_pending` changes, machines it is about

    @property
    def views(self) -> tuple[NetworkView, ...]:
        """The networks served."""
        return self._mirror.views

    def reload(self) -> None:
        """Read macros and bindings anew and forget all offers: at the start, and for a rescan."""
        self._mirror.reload()
        self._renew_macros()

    def turn(self) -> None:
        """Do what time asks for: end offers, tell sums, let go what waited for an echo in vain."""
        now = self._clock.monotonic()
        for view in self._mirror.views:
            view.expire(now)
        self.tally.turn(int(now))
        if len(self.probes):
            self.handle([work.datagram for work in self.probes.due(now)])

    def handle(self, datagrams: Sequence[Datagram]) -> None:
        """Answer one batch."""
        if not datagrams:
            return
        self._now_s = int(self._clock.time())
        self._fresh.clear()
        if self._mirror.refresh_macros():
            self._renew_macros()
        touched = self._touched
        for datagram in datagrams:
            if datagram.data[_CHADDR] in touched:
                self._flush()
            decision = self._decide(datagram)
            if decision.change is not None and _key(decision) in touched:
                self._flush()
                decision = self._decide(datagram)
            self._accept(Work(datagram, decision))
        self._flush()
        self._wires.flush()

    def in_use(self, addresses: Iterable[int]) -> None:
        """Mark addresses that answered an echo UNUSABLE, durably, and look for others for who waited for them."""
        held = [work for work in map(self.probes.answered, addresses) if work is not None]
        now_s = int(self._clock.time())
        for work in held:
            decision = conflict(work.decision, now_s)
            if decision is not None:
                self._accept(Work(work.datagram, decision))
        self._flush()
        for view in {work.decision.view for work in held if work.decision.view is not None}:
            self._mirror.refresh(view)
        # what could not be marked is not offered again at once: its client asks again
        self.handle([work.datagram for work in held if conflict(work.decision, now_s) is None])

    def _renew_macros(self) -> None:
        self._world = self._world._replace(macros=self._mirror.macros, plans=Plans())

    # -- deciding

    def _decide(self, datagram: Datagram) -> Decision:
        """Read one packet and decide about it. Nothing that a packet holds gets an exception past here."""
        try:
            request = wire.decode(datagram.data)
            arrival = self._arrivals.get(datagram.port) or self._arrival(datagram.port)
            view = view_of(request, arrival, self._world.networks)
            if view not in self._fresh:
                self._freshen(view, is_query=request.message_type is MessageType.LEASEQUERY)
            return engine.decide(request, arrival, self._world, view, self._now_s)
        except WireError as error:
            return Decision("dhcp.dropped", {"reason": error.reason, "detail": str(error)})
        except Exception as error:  # noqa: BLE001 - the packet boundary: one poison packet must not stop the service
            shown = datagram.data[:HEX_MAX_BYTES].hex()
            detail = f"{type(error).__name__}: {error}; please report this packet: {shown}"
            return Decision("dhcp.dropped", {"reason": "poison", "detail": detail})

    def _arrival(self, port: Port) -> Arrival:
        return self._arrivals.setdefault(port, Arrival(port.interface.name, port.interface.address))

    def _freshen(self, view: NetworkView | None, *, is_query: bool) -> None:
        """Bring a network up to date, and all of them for a lease query, which may be about any."""
        for one in self._mirror.views if is_query else (view,):
            if one is not None and one not in self._fresh:
                self._mirror.refresh(one)
                self._fresh.add(one)

    def _accept(self, work: Work) -> None:
        """Put a decision off until its change is stored, or carry it out at once where there is none."""
        decision = work.decision
        if decision.remember is not None and decision.view is not None:
            decision.view.remember(decision.remember, self._clock.monotonic() + self._conf.offer_cache_timeout_s)
        if decision.probe and self._waits(work):
            return
        if decision.change is None:
            self._finish(work)
        else:
            self._pending.append(work)
            self._touched.add(_key(decision))
            self._touched.add(work.datagram.data[_CHADDR])

    def _waits(self, work: Work) -> bool:
        """Hold a decision back while its address is asked; False: it need not wait, or nobody can be asked."""
        port, address = work.datagram.port, work.decision.probe
        if port.echo is None:
            return False
        answer = self.probes.hold(address, work, self._clock.monotonic())
        if answer is Answer.ASK and not self._wires.ask(port, address):
            self.probes.let_go(address)  # no route, a full neighbour table: as without ICMP_VERIFY
            return False
        return answer is not Answer.LET_GO

    # -- storing

    def _flush(self) -> None:
        """Store what is pending and send its replies; what lost a race is decided once more."""
        if not self._pending:
            return
        self._wires.flush()
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
        fields = {**work.decision.fields, "state": work.decision.kind, "reason": reason, "detail": detail}
        self._count("dhcp.silent", fields)

    def _count(self, kind: str, fields: Mapping[str, object]) -> None:
        rest = dict(fields)
        self.tally.note(kind, str(rest.pop("reason")), **rest)

    def _finish(self, work: Work, unstored: str = "") -> None:
        """Do what a decision allows once its changes are stored: send, remember, tell."""
        datagram, decision = work
        view = decision.view
        if view is not None:
            if decision.forget is not None:
                view.forget(decision.forget)
            if decision.heard is not None:
                view.hear(*decision.heard)
        if decision.kind in COUNTED:
            self._count(decision.kind, decision.fields)
        elif unstored:
            self._emit(decision.kind, **{**decision.fields, "detail": f"not stored: {unstored}"})
        else:
            self.tally.routine(decision.kind, decision.fields)
        if decision.reply is not None:
            self._wires.send(datagram.port, decision.reply)


def _key(decision: Decision) -> object:
    """Name the binding that a decision changes: its address, which is in one network only."""
    change = decision.change
    return None if change is None or change.old is None else change.old.key
