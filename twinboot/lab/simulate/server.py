"""One install server: the real engine, view, mirror and datastore, driven in the daemon's order.

    drain what waits -> decide -> one commit for all -> send

The daemon itself is a loop over sockets; this is the same loop over an inbox. A process can be killed at any step and
comes back after a while, with nothing but what is on the share.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from dhcp import engine, wire
from dhcp.asking import view_of
from dhcp.decision import Arrival, Decision, Networks, World
from dhcp.mirror import Mirror
from dhcp.networks import Network
from dhcp.reply import Plans
from dhcp.svcconf import ServiceConf
from storage.records import Change, Outcome, Records
from twinboot.lab.simulate.clockwork import EPOCH_S, Clockwork, Task
from twinboot.lab.simulate.share import Mount
from twinboot.lab.simulate.trace import Trace

BATCH_MAX = 256
IDLE_S = 5.0  # how often a server without work looks after itself
PACKET_S = 0.00005  # what a packet costs
INBOX_MAX = 2_000  # what the socket's buffer holds; more is dropped
LOST_RACE = frozenset({Outcome.COLLISION, Outcome.NOT_FOUND, Outcome.EXISTS})


class Work(NamedTuple):
    """One packet on its way through a batch."""

    data: bytes
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


@dataclass
class Server:
    """One server: a host with a clock and a mount, and the process on it while it lives."""

    name: str
    address: int
    site: Site
    mount: Mount
    clock: Clock
    task: Task | None = None
    starts: int = 0
    batches: int = 0
    committed: int = 0
    inbox: list[bytes] = field(default_factory=list)

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self.task is not None:
            return
        self.starts += 1
        self.inbox.clear()
        self.task = Task(self.site.clockwork, self._body, self._ended)
        self.mount.bind(self.task)
        self.note("starts")

    def kill(self, back_after_s: float) -> None:
        """Kill the process; a supervisor starts it again after so long."""
        task, self.task = self.task, None
        self.site.clockwork.after(back_after_s, self.start)
        if task is not None:
            self.note(f"is killed, back in {back_after_s:.1f} s")
            self.mount.bind(None)
            task.kill()

    def receive(self, data: bytes) -> None:
        """Take a packet off the wire; a stopped process's socket goes on filling."""
        if self.task is not None and len(self.inbox) < INBOX_MAX:
            self.inbox.append(data)
            self.task.wake()

    def note(self, what: str, *keys: object) -> None:
        """Tell the trace."""
        if self.site.trace is not None:
            self.site.trace.note(self.name, what, *keys)

    def _body(self) -> None:
        assert self.task is not None
        process = Process(self, self.site.open_records(self))
        process.run(self.task)

    def _ended(self, error: BaseException | None) -> None:
        self.task = None
        self.site.crashed(self.name, error or RuntimeError("the loop came to an end"))
        self.site.clockwork.after(1.0, self.start)


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
        self._rescanned_s = 0.0

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

    def _reload(self) -> None:
        self._rescanned_s = self._server.site.clockwork.now_s
        self._mirror.reload()
        self._world = self._world._replace(macros=self._mirror.macros, plans=Plans())

    def _emit(self, kind: str, **fields: object) -> None:
        self._server.note(f"{kind} {fields}")

    # -- a batch, in the daemon's order

    def _batch(self, batch: Iterable[bytes]) -> None:
        self._server.batches += 1
        self._fresh.clear()
        if self._mirror.refresh_macros():
            self._world = self._world._replace(macros=self._mirror.macros, plans=Plans())
        for data in batch:
            if data[28:44] in self._touched:
                self._flush()
            decision = self._decide(data)
            if decision.change is not None and _key(decision.change) in self._touched:
                self._flush()
                decision = self._decide(data)
            self._accept(Work(data, decision))
        self._flush()

    def _decide(self, data: bytes) -> Decision:
        request = wire.decode(data)
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
            self._touched.update((_key(decision.change), work.data[28:44]))

    def _flush(self) -> None:
        for work in self._store():
            self._accept(Work(work.data, self._decide(work.data)))
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
            keys = [work.data[28:34]]
            if change is not None and change.new is not None:
                keys.append(change.new.key)  # type: ignore[arg-type]
            said = decision.fields.get("reason", "")
            self._server.note(f"{decision.kind} {said} {what}", *keys)


def _key(change: Change) -> tuple[str, object]:
    return change.table, change.old.key if change.old is not None else None
