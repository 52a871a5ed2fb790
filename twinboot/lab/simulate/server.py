"""One install server: the real engine, view, mirror and datastore, driven in the daemon's order.

    drain what waits -> decide -> one commit for all -> send

The daemon itself is a loop over sockets; this is the same loop over an inbox. A process can be killed at any step and
comes back after a while, with nothing but what is on the share.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from dhcp import engine, wire
from dhcp.asking import view_of
from dhcp.decision import Arrival, Decision, Networks, World
from dhcp.mirror import Mirror
from dhcp.networks import Network
from dhcp.options import MessageType
from dhcp.reply import Plans
from dhcp.svcconf import ServiceConf
from storage.records import Change, Outcome, Records, RecordsError
from storage.records.twinlog import TwinLog
from twinboot.lab.simulate.clockwork import EPOCH_S, Clockwork, Task
from twinboot.lab.simulate.share import Mount
from twinboot.lab.simulate.trace import Trace

BATCH_MAX = 256
IDLE_S = 5.0  # how often a server without work looks after itself
PACKET_S = 0.00005  # what a packet costs
TEND_S = 1.0  # how often the datastore may publish
RESTART_S = 1.0  # of a process that ended by itself
INBOX_MAX = 2_000  # what the socket's buffer holds; more is dropped
GIVE_UP = frozenset({MessageType.RELEASE, MessageType.DECLINE})
GIVE_UP_AGE_MAX_S = 1.0  # an older one may be about a lease that its client has got anew since
LOST_RACE = frozenset({Outcome.COLLISION, Outcome.NOT_FOUND, Outcome.EXISTS})


class Datagram(NamedTuple):
    """A packet, and when it came (simulated seconds)."""

    data: bytes
    came_s: float


class Work(NamedTuple):
    """One packet on its way through a batch."""

    datagram: Datagram
    decision: Decision


@dataclass
class Clock:
    """A server's idea of Unix time."""

    clockwork: Clockwork
    error_s: float = 0.0

    def unix_s(self) -> float:
        """Return the time, with this clock's error."""
        return EPOCH_S + self.clockwork.now_s + self.error_s


@dataclass
class Site:
    """What all servers have in common, and whom they tell."""

    conf: ServiceConf
    networks: tuple[Network, ...]
    clockwork: Clockwork
    rng: Random
    trace: Trace | None
    send: Callable[[str, bytes], None]
    crashed: Callable[[str, BaseException], None]
    open_records: Callable[["Server"], Records]
    process: type["Process"]


@dataclass
class Server:
    """One server: a host with a clock and a mount, and the process on it while it lives."""

    name: str
    address: int
    site: Site
    mount: Mount
    clock: Clock
    task: Task | None = None
    helpers: list[Task] = field(default_factory=list)
    batches: int = 0
    committed: int = 0
    inbox: list[Datagram] = field(default_factory=list)

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self.task is not None:
            return
        self.inbox.clear()
        self.task = Task(self.site.clockwork, self._body, self._ended)
        self.note("starts")

    def kill(self, back_after_s: float) -> None:
        """Kill the process; a supervisor starts it again after so long."""
        self.site.clockwork.after(back_after_s, self.start)
        tasks, self.task, self.helpers = self.tasks, None, []
        if tasks:
            self.note(f"is killed, back in {back_after_s:.1f} s")
        for task in tasks:
            task.kill()
            self.mount.abandon(task)

    def pause(self, for_s: float) -> None:
        """Stop all threads of the process for so long (SIGSTOP, SIGCONT)."""
        for task in self.tasks:
            task.pause(for_s)

    @property
    def tasks(self) -> list[Task]:
        """All threads of the process."""
        return [self.task, *self.helpers] if self.task is not None else []

    def spawn(self, job: Callable[[], None]) -> None:
        """Run a job beside the main thread."""

        def ended(error: BaseException | None) -> None:
            if error is not None:
                self.site.crashed(self.name, error)
            if task in self.helpers:
                self.helpers.remove(task)

        task = Task(self.site.clockwork, job, ended)
        self.helpers.append(task)

    def receive(self, data: bytes) -> None:
        """Take a packet off the wire; a stopped process's socket goes on filling."""
        if self.task is not None and len(self.inbox) < INBOX_MAX:
            self.inbox.append(Datagram(data, self.site.clockwork.now_s))
            self.task.wake()

    def note(self, what: str, *keys: object) -> None:
        """Tell the trace."""
        if self.site.trace is not None:
            self.site.trace.note(self.name, what, *keys)

    def _body(self) -> None:
        assert self.task is not None
        process = self.site.process(self, self.site.open_records(self))
        process.run(self.task)

    def _ended(self, error: BaseException | None) -> None:
        if not isinstance(error, RecordsError):  # that is how a service ends whose share is not there
            self.site.crashed(self.name, error or RuntimeError("the loop came to an end"))
        self.site.clockwork.after(0, self.kill, RESTART_S)


class Process:
    """What one life of the daemon keeps in memory."""

    def __init__(self, server: Server, records: Records) -> None:
        site = server.site
        self._server = server
        self._records = records
        own = frozenset({server.address})
        self._mirror = Mirror(records, site.networks, own | frozenset(site.conf.owner_ip), self._emit)
        self._arrival = Arrival("sim0", server.address)
        self._world = World(site.conf, own, self._mirror.macros, Plans(), Networks(self._mirror.views))
        self._fresh: set[str] = set()
        self._pending: list[Work] = []
        self._touched: set[object] = set()
        self._rescanned_s = self._tended_s = 0.0

    def run(self, task: Task) -> None:
        """Serve until the process ends."""
        server = self._server
        self._reload()
        while True:
            if not server.inbox:
                task.wait(IDLE_S)
            self._turn()
            batch, server.inbox[:] = server.inbox[:BATCH_MAX], server.inbox[BATCH_MAX:]
            if batch:
                task.sleep(PACKET_S * len(batch))
                self._batch(batch)

    def _turn(self) -> None:
        now_s = self._server.site.clockwork.now_s
        for view in self._mirror.views:
            view.expire(now_s)
        interval_s = self._server.site.conf.rescan_interval_min * 60
        if interval_s and now_s - self._rescanned_s >= interval_s:
            self._reload()
        if isinstance(self._records, TwinLog) and now_s - self._tended_s >= TEND_S:
            self._tended_s = now_s
            with suppress(RecordsError):
                self._records.tend()

    def _reload(self) -> None:
        self._rescanned_s = self._server.site.clockwork.now_s
        if isinstance(self._records, TwinLog):
            try:
                for refused in self._records.rescan().refused:
                    self._server.note(f"rescan refused {refused}")
            except RecordsError as error:
                self._server.note(f"rescan failed: {error}")
        self._mirror.reload()
        self._world = self._world._replace(macros=self._mirror.macros, plans=Plans())

    def _emit(self, kind: str, **fields: object) -> None:
        self._server.note(f"{kind} {fields}")

    # -- a batch, in the daemon's order

    def _batch(self, batch: Iterable[Datagram]) -> None:
        self._server.batches += 1
        self._fresh.clear()
        if self._mirror.refresh_macros():
            self._world = self._world._replace(macros=self._mirror.macros, plans=Plans())
        for datagram in batch:
            if datagram.data[28:44] in self._touched:
                self._flush()
            decision = self._decide(datagram)
            if decision.change is not None and _key(decision.change) in self._touched:
                self._flush()
                decision = self._decide(datagram)
            self._accept(Work(datagram, decision))
        self._flush()

    def _decide(self, datagram: Datagram) -> Decision:
        request = wire.decode(datagram.data)
        if request.message_type in GIVE_UP and self._server.site.clockwork.now_s - datagram.came_s > GIVE_UP_AGE_MAX_S:
            return Decision("dhcp.dropped", {"reason": "shed"})
        view = view_of(request, self._arrival, self._world.networks)
        if view is not None and view.name not in self._fresh:
            self._mirror.refresh(view)
            self._fresh.add(view.name)
        return engine.decide(request, self._arrival, self._world, view, int(self._server.clock.unix_s()))

    def _accept(self, work: Work) -> None:
        decision = work.decision
        if decision.remember is not None and decision.view is not None:
            site = self._server.site
            decision.view.remember(decision.remember, site.clockwork.now_s + site.conf.offer_cache_timeout_s)
        if decision.change is None:
            self._finish(work)
        else:
            self._pending.append(work)
            self._touched.update((_key(decision.change), work.datagram.data[28:44]))

    def _flush(self) -> None:
        for work in self._store():
            self._accept(Work(work.datagram, self._decide(work.datagram)))
        for work in self._store():
            self._tell(work, "collided twice, silent")

    def _store(self) -> list[Work]:
        works, self._pending = self._pending, []
        if not works:
            return []
        self._touched.clear()
        self._fresh.clear()
        results = self._records.commit([work.decision.change for work in works if work.decision.change is not None])
        lost = []
        for work, result in zip(works, results, strict=True):
            if result.outcome is Outcome.STORED:
                self._server.committed += 1
                self._finish(work)
            elif result.outcome in LOST_RACE:
                self._tell(work, f"collision: {result.detail}")
                lost.append(work)
            elif work.decision.needs_store:
                self._tell(work, f"not stored ({result.outcome.name}: {result.detail}), silent")
            else:
                self._finish(work)
        return lost

    def _finish(self, work: Work) -> None:
        decision = work.decision
        if decision.view is not None:
            if decision.forget is not None:
                decision.view.forget(decision.forget)
            if decision.heard is not None:
                decision.view.hear(*decision.heard)
        self._tell(work, "")
        if decision.reply is not None:
            self._server.site.send(self._server.name, decision.reply.data)

    def _tell(self, work: Work, what: str) -> None:
        if self._server.site.trace is not None:
            decision = work.decision
            change = decision.change
            keys = [work.datagram.data[28:34]]
            if change is not None and change.new is not None:
                keys.append(change.new.key)  # type: ignore[arg-type]
            said = decision.fields.get("reason", "")
            self._server.note(f"{decision.kind} {said} {what}", *keys)


def _key(change: Change) -> tuple[str, object]:
    return change.table, change.old.key if change.old is not None else None
