"""What becomes of the packets of one batch: decide, store, answer. No sockets, no clock of its own.

    handle(port, packets): decode -> decide -> one commit for all -> send

Rules of the room:

* A reply leaves only after what it promises is stored. All changes of a batch are one `commit`. No commit holds two
  changes of one binding or about one machine: the second packet waits for the first to be stored.
* Replies that promise nothing new (offers, most of all) do not wait for the commit of their batch.
* What cannot be stored is not promised: a client whose lease runs is told what is left of it, others hear nothing.
* A RELEASE or DECLINE counts only while it is young (`PARTING_MAX_S`) and is never decided again: its sender may hold
  the address anew, by the other server's word. One that is lost costs nothing but time.
* An answer that waited longer than that for its commit, or while which the store's clock ran on, is made anew, for what
  is left of the lease by then.
* A request to another server of ours is its to answer; a repeat of it is answered here (`dhcp.repeats`).
* A collision means that somebody else (the other server, an operator) was first: look again, decide once more, else
  be silent.
* Views and macros are asked for changes once in each batch, so an edit counts for the next packet.
* No packet can stop the loop: an unexpected exception while one packet is looked at is caught here, counted, and
  told with the packet's bytes. Exceptions elsewhere are bugs and end the service, which its supervisor then starts
  again.

What it needs of the world comes in from outside: `Wires` sends replies and questions, `Clock` tells the time. A
simulator hands in its own.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from dhcp import engine, wire
from dhcp.asking import view_of
from dhcp.clocks import LAG_MAX_S, Herald, judge
from dhcp.decision import BINDS, PEER_FIRST, Arrival, Decision, Networks, Reply, World
from dhcp.mirror import Mirror
from dhcp.networks import Network
from dhcp.options import MessageType
from dhcp.probes import Answer, Probes
from dhcp.repeats import MEMORY_S, Repeats
from dhcp.reply import Plans
from dhcp.sockets import Port
from dhcp.svcconf import ServiceConf
from dhcp.tally import Emit, Tally
from dhcp.verify import Allowance, conflict
from dhcp.view import NetworkView
from dhcp.wire import WireError
from storage.records import Change, Outcome, Records, Row

HEX_MAX_BYTES: Final = 300  # of a poison packet, in its event
MANY_IN_USE: Final = (
    "so many addresses answer an echo that none is set aside for now: find the machine that answers for others"
)
PARTING_MAX_S: Final = 1.0
PARTING: Final = frozenset({MessageType.RELEASE, MessageType.DECLINE})
COUNTED: Final = frozenset({"dhcp.silent", "dhcp.dropped"})  # kinds that strangers can cause at any rate
LOST_RACE: Final = frozenset({Outcome.COLLISION, Outcome.NOT_FOUND, Outcome.EXISTS})


class Work(NamedTuple):
    """One packet on its way through a batch: the port it came in at, its bytes, and what to do about it."""

    port: Port
    data: bytes
    decision: Decision


class Clock(Protocol):
    """Tells the time; the module `time` is one."""

    def time(self) -> float:
        """Unix seconds."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""


class Wires(Protocol):
    """Sends for the service. Neither method raises for what a network can suffer."""

    def send(self, port: Port, replies: Sequence[Reply]) -> None:
        """Send replies."""

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
        self._allowance = Allowance()
        self._repeats = Repeats()
        self._herald = Herald(emit)
        self._conf = conf
        self._records = records
        self._emit = emit
        self._wires = wires
        self._clock = clock
        self._mirror = Mirror(records, networks, own | frozenset(conf.owner_ip), emit)
        self._world = World(conf, own, self._mirror.macros, Plans(), Networks(self._mirror.views))
        # of the batch that is being handled:
        self._port: Port
        self._arrival: Arrival
        self._now_s = 0  # Unix time by `dhcp.clocks`, taken with each look at the datastore
        self._came = 0.0  # monotonic time when the first packet came in
        self._offers_end = 0.0  # monotonic time
        self._forgot = -math.inf  # monotonic time when all offers were
        self._fresh: set[NetworkView] = set()  # what was brought up to date
        self._pending: list[tuple[bytes, Decision]] = []  # decided, not yet stored
        self._touched: set[object] = set()  # addresses that `_pending` changes, machines it is about
        self._replies: list[Reply] = []  # that may leave

    @property
    def views(self) -> tuple[NetworkView, ...]:
        """The networks served."""
        return self._mirror.views

    def reload(self) -> None:
        """Read networks, macros and bindings anew and forget all offers: at the start, and for a rescan."""
        self._mirror.reload()
        self._forgot = self._clock.monotonic()
        self._world.networks = Networks(self._mirror.views)
        self._renew_macros()

    def turn(self) -> None:
        """Do what time asks for: end offers, tell sums, let go what waited for an echo in vain."""
        now = self._clock.monotonic()
        for view in self._mirror.views:
            view.expire(now)
        if self.tally.turn(int(now)):
            self._mirror.tend()
        if len(self.probes):
            for work in self.probes.due(now):
                self.handle(work.port, (work.data,))

    def handle(self, port: Port, packets: Sequence[bytes], waited_s: float = 0.0) -> None:
        """Answer one batch of packets that came in at one port, the first of them `waited_s` ago."""
        if not packets:
            return
        self._begin(port, waited_s)
        touched = self._touched
        for data in packets:
            if touched and _machine(data) in touched:
                self._flush()
            decision = self._decide(data)
            if touched and decision.change is not None and _key(decision.change) in touched:
                self._flush()
                decision = self._decide(data)
            self._accept(data, decision)
        self._flush()

    def in_use(self, port: Port, addresses: Iterable[int]) -> None:
        """Mark addresses that answered an echo UNUSABLE, durably, and look for others for who waited for them."""
        self._begin(port, 0.0)
        held = [work for work in map(self.probes.answered, addresses) if work is not None]
        for work in held:
            self._freshen(work.decision.view, is_query=False)  # the other server may have leased the address
            decision = conflict(work.decision, self._now_s - self._world.skew_s)
            if decision is None:
                continue
            if self._allowance.take(self._clock.monotonic()):
                self._accept(work.data, decision)
            else:
                self._refuse(work.decision, "answers-for-all", MANY_IN_USE)
        self._flush()
        for view in {work.decision.view for work in held if work.decision.view is not None}:
            self._mirror.refresh(view)  # another server may have leased the address since, and its client answered
        # what could not be marked is not offered again at once: its client asks again
        over_s = self._now_s - self._world.skew_s
        self.handle(port, [work.data for work in held if conflict(work.decision, over_s) is None])

    def _begin(self, port: Port, waited_s: float) -> None:
        now = self._clock.monotonic()
        self._port = port
        self._arrival = Arrival(port.interface.name, port.interface.address)
        self._came = now - waited_s
        self._offers_end = now + self._conf.offer_cache_timeout_s
        self._world.forgetful = now - self._forgot < MEMORY_S
        self._fresh.clear()
        if self._mirror.refresh_macros():
            self._renew_macros()
        self._take_time()

    def _take_time(self) -> None:
        own_s, epoch = self._clock.time(), self._records.epoch()
        store_s = None if epoch is None else epoch.unix_s + self._clock.monotonic()
        self._now_s, skew_s, unsure_s = judge(own_s, store_s, 0.0 if epoch is None else epoch.behind_s)
        if skew_s != self._world.skew_s and store_s is not None:
            self._world.skew_s = skew_s
            self._herald.tell(own_s, store_s, skew_s)
        if unsure_s != self._world.unsure_s:
            self._world.unsure_s = unsure_s
            self._herald.tell_unsure(unsure_s)

    def _lag_s(self) -> float:
        """By how much it is, or may be, later by the store than when it was decided."""
        epoch = self._records.epoch()
        return 0.0 if epoch is None else epoch.unix_s + self._clock.monotonic() + epoch.behind_s - self._now_s

    def _renew_macros(self) -> None:
        self._world.macros, self._world.plans = self._mirror.macros, Plans()

    # -- deciding

    def _decide(self, data: bytes) -> Decision:
        """Read one packet and decide about it. Nothing that a packet holds gets an exception past here."""
        try:
            request = wire.decode(data)
            if request.message_type in PARTING and self._age_s() > PARTING_MAX_S:
                raise WireError("stale", "a RELEASE or DECLINE that waited too long to be true still")
            view = view_of(request, self._arrival, self._world.networks)
            if view not in self._fresh:
                self._freshen(view, is_query=request.message_type is MessageType.LEASEQUERY)
            decision = engine.decide(request, self._arrival, self._world, view, self._now_s)
            if decision.kind == "dhcp.silent" and self._is_unanswered(data, decision):
                world = self._world.but(finishing=True)
                decision = engine.decide(request, self._arrival, world, view, self._now_s)
            return decision
        except WireError as error:
            return Decision("dhcp.dropped", {"reason": error.reason, "detail": str(error)})
        except Exception as bug:  # noqa: BLE001 - the packet boundary: one poison packet must not stop the service
            shown = data[:HEX_MAX_BYTES].hex()
            detail = f"{type(bug).__name__}: {bug}; please report this packet: {shown}"
            return Decision("dhcp.dropped", {"reason": "poison", "detail": detail})

    def _is_unanswered(self, data: bytes, decision: Decision) -> bool:
        """Tell whether a packet asks another server of ours again, which has not answered."""
        if decision.fields["reason"] != PEER_FIRST:
            return False
        return self._repeats.hear(data[4:8] + _machine(data), self._clock.monotonic())

    def _freshen(self, view: NetworkView | None, *, is_query: bool) -> None:
        """Bring a network up to date, and all of them for a lease query, which may be about any."""
        for one in self._mirror.views if is_query else (view,):
            if one is not None and one not in self._fresh:
                self._mirror.refresh(one)
                self._fresh.add(one)
                self._take_time()  # an old time on a fresh view would shorten leases

    def _age_s(self) -> float:
        return self._clock.monotonic() - self._came

    def _accept(self, data: bytes, decision: Decision) -> None:
        """Put a decision off until its change is stored, or carry it out at once where there is none."""
        if decision.remember is not None and decision.view is not None:
            decision.view.remember(decision.remember, self._offers_end)
        if decision.probe and self._waits(data, decision):
            return
        change = decision.change
        if change is None:
            self._finish(decision, None)
        else:
            self._pending.append((data, decision))
            self._touched.add(_key(change))
            self._touched.add(_machine(data))

    def _waits(self, data: bytes, decision: Decision) -> bool:
        """Hold a decision back while its address is asked; False: it need not wait, or nobody can be asked."""
        port, address = self._port, decision.probe
        if port.echo is None:
            return False
        answer = self.probes.hold(address, Work(port, data, decision), self._clock.monotonic())
        if answer is Answer.ASK and not self._wires.ask(port, address):
            self.probes.let_go(address)  # no route, a full neighbour table: as without ICMP_VERIFY
            return False
        return answer is not Answer.LET_GO

    # -- storing

    def _flush(self) -> None:
        """Store what is pending and send all replies; what lost a race is decided once more."""
        self._send()
        if not self._pending:
            return
        for data, decision in self._store():
            if decision.kind in BINDS:
                self._accept(data, self._decide(data))
            else:
                self._refuse(decision, "collision", "the binding was changed by another server or an operator")
        for _, decision in self._store():
            text = "another server or an operator was first, twice; the client will try again"
            self._refuse(decision, "collision", text)
        self._send()

    def _send(self) -> None:
        if self._replies:
            self._wires.send(self._port, self._replies)
            self._replies = []

    def _store(self) -> list[tuple[bytes, Decision]]:
        """Commit all that is pending; finish what was stored, and return what lost a race against somebody else."""
        pending, self._pending = self._pending, []
        if not pending:
            return []
        self._touched.clear()
        self._fresh.clear()
        results = self._records.commit([decision.change for _, decision in pending if decision.change is not None])
        lost, stored = [], Outcome.STORED
        is_late = self._age_s() > PARTING_MAX_S or self._lag_s() > LAG_MAX_S
        for (data, decision), (outcome, row, detail) in zip(pending, results, strict=True):
            if outcome is stored and is_late and decision.kind in BINDS:
                self._finish_late(data, decision, row)
            elif outcome is stored:
                self._finish(decision, row)
            elif outcome in LOST_RACE:
                lost.append((data, decision))
            else:
                self._do_without(data, decision, outcome, detail)
        return lost

    def _do_without(self, data: bytes, decision: Decision, outcome: Outcome, detail: str) -> None:
        """Answer though nothing could be stored, where that promises nothing beyond what is stored."""
        if decision.needs_store:
            again = self._decide_frozen(data) if decision.kind in BINDS else decision
            if again.kind not in BINDS or again.change is not None:
                self._refuse(decision, f"store-{outcome.name.lower()}", detail)
                return
            decision = again
        self._finish(decision, None, unstored=detail)

    def _finish_late(self, data: bytes, decision: Decision, row: Row | None) -> None:
        """Finish what was stored long after it was decided: the client is told what is left now, or asks again."""
        decision.reply = None
        self._finish(decision, row)
        again = self._decide_frozen(data)
        if again.kind in BINDS and again.change is None and again.reply is not None:
            self._replies.append(again.reply)

    def _decide_frozen(self, data: bytes) -> Decision:
        """Decide as if nothing could be stored."""
        world = self._world  # itself, not a copy: what a look at the clocks finds meanwhile holds for all that follow
        frozen, world.frozen = world.frozen, True
        try:
            return self._decide(data)
        finally:
            world.frozen = frozen

    def _refuse(self, decision: Decision, reason: str, detail: str) -> None:
        fields = {**decision.fields, "state": decision.kind, "reason": reason, "detail": detail}
        self._count("dhcp.silent", fields)

    def _count(self, kind: str, fields: Mapping[str, object]) -> None:
        rest = dict(fields)
        self.tally.note(kind, str(rest.pop("reason")), **rest)

    def _finish(self, decision: Decision, row: Row | None, unstored: str = "") -> None:
        """Do what a decision allows once its change is stored as `row`: remember, tell, send."""
        kind, view, reply = decision.kind, decision.view, decision.reply
        if view is not None:
            if row is not None:
                view.settle(decision.forget, row)
            elif decision.forget is not None:
                view.forget(decision.forget)
            heard = decision.heard
            if heard is not None and decision.forget is not None:
                view.heard.note(decision.forget, heard)
        if kind in COUNTED:
            self._count(kind, decision.fields)
        elif unstored:
            self._emit(kind, **{**decision.fields, "detail": f"not stored: {unstored}"})
        elif self.tally.tells(kind):
            self._emit(kind, **decision.fields)
        if reply is not None:
            self._replies.append(reply)


def _machine(data: bytes) -> bytes:
    """Return the field that tells machines apart, enough to keep one machine's packets in order."""
    return data[28:44]


def _key(change: Change) -> object:
    """Name the binding that a change is about: its address, which is in one network only."""
    return None if change.old is None else change.old[0]
