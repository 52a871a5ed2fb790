"""What becomes of the packets of one batch: decide, store, answer. No sockets, no clock of its own.

    handle(port, packets): decode -> decide -> one commit for all -> send

Rules of the room:

* A reply leaves only after what it promises is stored. All changes of a batch are one commit.
* The loop goes on while a commit is under way: what is decided then gathers for the next one (`dhcp.underway`). But it
  is decided by what was known before (`dhcp.decider`). That may be an offer, which promises nothing, or a change, which
  the commit will judge; all else waits.
* Replies that promise nothing new (offers, most of all) do not wait for a commit.
* What cannot be stored is not promised: a client whose lease runs is told what is left of it, others hear nothing.
* A RELEASE or DECLINE counts only while it is young (`dhcp.parting`) and is never decided again: its sender may hold
  the address anew, by the other server's word. One that is lost costs nothing but time.
* An answer that waited longer than that for its commit, or while which the store's clock ran on, is made anew, for what
  is left of the lease by then.
* A request to another server of ours is its to answer; a repeat of it is answered here (`dhcp.repeats`).
* A collision means that somebody else (the other server, an operator) was first: look again, decide once more, else
  be silent.
* No packet can stop the loop. Exceptions elsewhere are bugs and end the service, which its supervisor then starts
  again.

What it needs of the world comes in from outside (`dhcp.outside`). A simulator hands in its own.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from dhcp import parting
from dhcp.clocks import LAG_MAX_S
from dhcp.decider import Decider, machine_of
from dhcp.decision import BINDS, Decision, Reply
from dhcp.networks import Network
from dhcp.outside import AtOnce, Clock, Commits, Wires
from dhcp.probes import Answer, Probes
from dhcp.sockets import Port
from dhcp.svcconf import ServiceConf
from dhcp.tally import Emit, Tally
from dhcp.underway import Underway, Work, address_of
from dhcp.verify import MANY_IN_USE, Allowance, conflict
from dhcp.view import NetworkView
from storage.records import Outcome, Records, Result, Row

LOST_RACE: Final = frozenset({Outcome.COLLISION, Outcome.NOT_FOUND, Outcome.EXISTS})


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
        commits: Commits | None = None,
    ) -> None:
        """Serve for the addresses `own` of this machine and those of OWNER_IP. `commits` go to `records`."""
        self.tally = Tally(emit)
        self.probes: Probes[Work] = Probes()
        self._allowance = Allowance()
        self._underway = Underway(commits or AtOnce(records))
        self._decider = Decider(conf, own, records, networks, emit, clock, self._underway)
        self._conf = conf
        self._wires = wires
        self._clock = clock
        self._port: Port  # where what is at hand came in
        self._offers_end = 0.0  # monotonic time
        self._replies: list[Reply] = []  # that may leave, from that port

    @property
    def views(self) -> tuple[NetworkView, ...]:
        """The networks served."""
        return self._decider.mirror.views

    def reload(self) -> None:
        """Read networks, macros and bindings anew and forget all offers: at the start, and for a rescan."""
        self.finish()
        self._decider.reload()

    def turn(self) -> None:
        """Do what time asks for: end offers, tell sums, let go what waited for an echo in vain."""
        now = self._clock.monotonic()
        for view in self.views:
            view.expire(now)
        if self.tally.turn(int(now)) and not self._underway.is_busy:
            self._decider.mirror.tend()
        if len(self.probes):
            for work in self.probes.due(now):
                self.handle(work.port, (work.data,))

    def handle(self, port: Port, packets: Sequence[bytes], waited_s: float = 0.0) -> None:
        """Take one batch of packets that came in at one port, the first of them `waited_s` ago."""
        if not packets:
            return
        self._begin(port, waited_s)
        for data in packets:
            self._take(data)
        self.proceed()
        if self._underway.is_full:
            self._underway.wait()
            self.proceed()

    def proceed(self) -> None:
        """Send what may leave, and go on with what waits for a commit if that has ended."""
        self._send()
        while True:  # ends: each commit stores or gives up at least one of those that are gathered or wait
            if self._underway.is_busy:
                ended = self._underway.ended()
                if ended is None:
                    return
                self._settle(ended)
            if not self._underway.gathered:
                return
            self._store()

    def finish(self) -> None:
        """Go on until nothing waits."""
        self.proceed()
        while self._underway.is_busy:
            self._underway.wait()
            self.proceed()

    def in_use(self, port: Port, addresses: Iterable[int]) -> None:
        """Mark addresses that answered an echo UNUSABLE, durably, and look for others for who waited for them."""
        self.finish()
        self._begin(port, 0.0)
        held = [work for work in map(self.probes.answered, addresses) if work is not None]
        for work in held:
            if work.decision.view is not None:
                self._decider.freshen(work.decision.view)  # the other server may have leased the address
            decision = conflict(work.decision, self._decider.over_s)
            if decision is None:
                continue
            if self._allowance.take(self._clock.monotonic()):
                self._accept(work.data, decision)
            else:
                self.tally.refuse(work.decision, "answers-for-all", MANY_IN_USE)
        self.finish()
        for view in {work.decision.view for work in held if work.decision.view is not None}:
            self._decider.mirror.refresh(view)  # another server may have leased it since, and its client answered
        # what could not be marked is not offered again at once: its client asks again
        over_s = self._decider.over_s
        self.handle(port, [work.data for work in held if conflict(work.decision, over_s) is None])

    def _begin(self, port: Port, waited_s: float) -> None:
        now = self._clock.monotonic()
        self._turn_to(port, now - waited_s)
        self._offers_end = now + self._conf.offer_cache_timeout_s
        self._decider.look_anew()

    def _turn_to(self, port: Port, came: float) -> None:
        """Be at what came in at that port then."""
        if self._replies and port is not self._port:
            self._send()
        self._port = port
        self._decider.turn_to(port.interface.name, port.interface.address, came)

    # -- deciding

    def _take(self, data: bytes, lost: bool = False) -> None:
        """Decide about a packet, unless it must wait for a commit."""
        machine, underway = machine_of(data), self._underway
        decision = None if underway.touches(machine) else self._decider.decide(data)
        if decision is None or self._must_wait(decision):
            underway.hold(Work(self._port, data, self._decider.came, lost=lost), machine)
        else:
            self._accept(data, decision, lost)

    def _must_wait(self, decision: Decision) -> bool:
        """Tell whether a decision may be another one when a commit has ended."""
        change, offer = decision.change, decision.remember
        if change is not None:
            return self._underway.touches(address_of(change))
        if offer is not None:
            return self._underway.touches(offer.address)
        return self._underway.is_busy and decision.kind != "dhcp.dropped"

    def _accept(self, data: bytes, decision: Decision, lost: bool = False) -> None:
        """Put a decision off until its change is stored, or carry it out at once where there is none."""
        if decision.remember is not None and decision.view is not None:
            decision.view.remember(decision.remember, self._offers_end)
        if decision.probe and self._waits(data, decision):
            return
        change = decision.change
        if change is None:
            self._finish(decision, None)
        else:
            work = Work(self._port, data, self._decider.came, decision, self._decider.watch.now_s, lost)
            self._underway.add(work, address_of(change), machine_of(data))

    def _waits(self, data: bytes, decision: Decision) -> bool:
        """Hold a decision back while its address is asked; False: it need not wait, or nobody can be asked."""
        port, address = self._port, decision.probe
        if port.echo is None:
            return False
        answer = self.probes.hold(address, Work(port, data, self._decider.came, decision), self._clock.monotonic())
        if answer is Answer.ASK and not self._wires.ask(port, address):
            self.probes.let_go(address)  # no route, a full neighbour table: as without ICMP_VERIFY
            return False
        return answer is not Answer.LET_GO

    # -- storing

    def _send(self) -> None:
        if self._replies:
            self._wires.send(self._port, self._replies)
            self._replies = []

    def _store(self) -> None:
        """Begin the commit of what is gathered, but for partings that have waited too long to be true still."""
        late_came, gathered = self._clock.monotonic() - parting.MAX_S, self._underway.gathered
        late = (work for work in gathered if work.came < late_came and work.decision.kind in parting.KINDS)
        stale = dict.fromkeys(late)  # in the order in which they came
        if stale:
            self._underway.leave_out(stale)
            for work in stale:
                self.tally.refuse(work.decision, "stale", parting.STALE)
        self._underway.begin()

    def _settle(self, ended: Sequence[tuple[Work, Result]]) -> None:
        """Carry out what was stored, and decide anew about what lost a race against somebody else, or waited."""
        self._decider.lapse()
        lost = self._carry_out(ended)
        self._send()
        waited = self._underway.waited()
        if not (lost or waited or self._decider.has_missed):
            return
        self._decider.look_anew()
        self._decider.catch_up()
        for work in lost:
            self._turn_to(work.port, work.came)
            if work.lost:
                text = "another server or an operator was first, twice; the client will try again"
                self.tally.refuse(work.decision, "collision", text)
            elif work.decision.kind in BINDS:
                self._take(work.data, lost=True)
            else:
                text = "the binding was changed by another server or an operator"
                self.tally.refuse(work.decision, "collision", text)
        for work in waited:
            self._turn_to(work.port, work.came)
            self._take(work.data, work.lost)
        self._send()

    def _carry_out(self, ended: Sequence[tuple[Work, Result]]) -> list[Work]:
        """Finish what was stored or cannot be, and return what lost a race."""
        lost, stored = [], Outcome.STORED
        late_came, late_s = self._clock.monotonic() - parting.MAX_S, self._decider.watch.latest_s() - LAG_MAX_S
        for work, (outcome, row, detail) in ended:
            if work.port is not self._port:
                self._turn_to(work.port, work.came)
            if outcome is stored:
                if work.decision.kind in BINDS and (work.came < late_came or work.now_s < late_s):
                    self._finish_late(work.data, work.decision, row)
                else:
                    self._finish(work.decision, row)
            elif outcome in LOST_RACE:
                lost.append(work)
            else:
                self._do_without(work.data, work.decision, outcome, detail)
        return lost

    def _do_without(self, data: bytes, decision: Decision, outcome: Outcome, detail: str) -> None:
        """Answer though nothing could be stored, where that promises nothing beyond what is stored."""
        if decision.needs_store:
            again = self._decider.decide_frozen(data) if decision.kind in BINDS else decision
            if again.kind not in BINDS or again.change is not None:
                self.tally.refuse(decision, f"store-{outcome.name.lower()}", detail)
                return
            decision = again
        self._finish(decision, None, unstored=detail)

    def _finish_late(self, data: bytes, decision: Decision, row: Row | None) -> None:
        """Finish what was stored long after it was decided: the client is told what is left now, or asks again."""
        decision.reply = None
        self._finish(decision, row)
        again = self._decider.decide_frozen(data)
        if again.kind in BINDS and again.change is None and again.reply is not None:
            self._replies.append(again.reply)

    def _finish(self, decision: Decision, row: Row | None, unstored: str = "") -> None:
        """Do what a decision allows once its change is stored as `row`: remember, tell, send."""
        view, reply = decision.view, decision.reply
        if view is not None:
            if row is not None:
                view.settle(decision.forget, row)
            elif decision.forget is not None:
                view.forget(decision.forget)
            heard = decision.heard
            if heard is not None and decision.forget is not None:
                view.heard.note(decision.forget, heard)
        self.tally.tell(decision, unstored)
        if reply is not None:
            self._replies.append(reply)
