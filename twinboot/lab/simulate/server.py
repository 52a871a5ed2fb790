"""One install server: the real DHCP service and datastore behind a simulated socket, clock and mount.

The daemon itself is a loop over sockets; this is the same loop over an inbox. A process can be killed at any step and
comes back after a while, with nothing but what is on the share.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple, cast

from dhcp.decision import Reply
from dhcp.networks import Network
from dhcp.service import Service
from dhcp.sockets import Interface, Port
from dhcp.svcconf import ServiceConf
from storage.records import Change, Records, RecordsError, Result, ipv4_int
from twinboot.lab.simulate.clockwork import EPOCH_S, Clockwork, Task
from twinboot.lab.simulate.share import Mount
from twinboot.lab.simulate.trace import Trace

BATCH_MAX = 256
IDLE_S = 10.0  # how often a server without work looks after itself
PACKET_S = 0.00005  # what a packet costs
RESTART_S = 1.0  # of a process that ended by itself
INBOX_MAX = 2_000  # what the socket's buffer holds; more is dropped


class Datagram(NamedTuple):
    """A packet, and when it came (simulated seconds)."""

    data: bytes
    came_s: float


@dataclass
class Clock:
    """A server's idea of Unix time."""

    clockwork: Clockwork
    error_s: float = 0.0

    def time(self) -> float:
        """Return the time, with this clock's error."""
        return EPOCH_S + self.clockwork.now_s + self.error_s

    def monotonic(self) -> float:
        """Return seconds that only go forward."""
        return self.clockwork.now_s


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
    service: type[Service]


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
        Process(self, self.site.open_records(self)).run(self.task)

    def _ended(self, error: BaseException | None) -> None:
        if not isinstance(error, RecordsError):  # that is how a service ends whose share is not there
            self.site.crashed(self.name, error or RuntimeError("the loop came to an end"))
        self.site.clockwork.after(0, self.kill, RESTART_S)


class Beside:
    """Commits in a task beside the loop's, as `dhcp.beside` makes them in a thread."""

    def __init__(self, server: Server, records: Records) -> None:
        self._server = server
        self._records = records
        self._results: list[Result] | None = None

    def begin(self, changes: Sequence[Change]) -> None:
        """Begin a commit."""
        self._results = None
        self._server.spawn(lambda: self._commit(changes))

    def _commit(self, changes: Sequence[Change]) -> None:
        self._results = self._records.commit(changes)
        if self._server.task is not None:
            self._server.task.wake()

    def ended(self) -> list[Result] | None:
        """Return the results when it has ended, once."""
        results, self._results = self._results, None
        return results

    def wait(self) -> None:
        """Return when it has ended."""
        while self._results is None:
            self._server.site.clockwork.current().wait(IDLE_S)


class Process:
    """One life of the daemon."""

    def __init__(self, server: Server, records: Records) -> None:
        site, address = server.site, server.address
        self._server = server
        self._records = records
        interface = Interface("sim0", address, site.networks[0].mask, b"", is_loopback=False)
        self._port = Port(interface, cast(socket.socket, None), None)  # nothing reads it but this module
        own, emit = frozenset({address}), self._emit if site.trace is not None else _tell_nobody
        commits = Beside(server, records)
        self._service = site.service(site.conf, own, records, site.networks, emit, self, server.clock, commits)
        self._rescanned_s = 0.0

    def run(self, task: Task) -> None:
        """Serve until the process ends."""
        server = self._server
        self._reload()
        while True:
            self._service.proceed()
            if not server.inbox:
                task.wait(IDLE_S)
            self._turn()
            batch = self._drain()
            if batch:
                task.sleep(PACKET_S * len(batch))
                waited_s = server.site.clockwork.now_s - batch[0].came_s
                self._service.handle(self._port, [datagram.data for datagram in batch], waited_s)

    def _drain(self) -> list[Datagram]:
        """Take what waits, oldest first."""
        server = self._server
        taken, server.inbox[:] = server.inbox[:BATCH_MAX], server.inbox[BATCH_MAX:]
        return taken

    def _turn(self) -> None:
        now_s = self._server.site.clockwork.now_s
        self._service.turn()
        interval_s = self._server.site.conf.rescan_interval_min * 60
        if interval_s and now_s - self._rescanned_s >= interval_s:
            self._reload()

    def _reload(self) -> None:
        self._rescanned_s = self._server.site.clockwork.now_s
        self._service.reload()

    # -- what the service asks for

    def send(self, _port: Port, replies: Sequence[Reply]) -> None:
        """Send replies."""
        for reply in replies:
            self._server.site.send(self._server.name, reply.data)

    def ask(self, _port: Port, _address: int) -> bool:
        """Nobody can be asked by ICMP here."""
        return False

    def _emit(self, kind: str, **fields: object) -> None:
        keys: list[object] = []
        if "mac" in fields:
            keys.append(bytes.fromhex(str(fields["mac"]).replace(":", "")))
        if "address" in fields:
            keys.append(ipv4_int(str(fields["address"])))
        said = " ".join(f"{name}={fields[name]}" for name in ("address", "state", "reason", "detail") if name in fields)
        self._server.note(f"{kind} {said}", *keys)


def _tell_nobody(kind: str, **fields: object) -> None:
    """Do without events, where nobody will read them."""
