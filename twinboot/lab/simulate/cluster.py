"""One run: the cluster of a seed, from an empty share through its faults to the verdict."""

from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import NamedTuple

from dhcp.networks import Network, network
from dhcp.service import Service
from dhcp.svcconf import ServiceConf
from storage.records import FREE_ID, MANUAL, Binding, Change, Records, TabEntry
from twinboot.lab.simulate import faults, packets, visitors
from twinboot.lab.simulate.checker import Checker, Stored, Violation
from twinboot.lab.simulate.client import RETRY_LAST_S, Client, Habits, settle
from twinboot.lab.simulate.clockwork import EPOCH_S, Clockwork, Task
from twinboot.lab.simulate.disk import Disk
from twinboot.lab.simulate.network import Network as Wire
from twinboot.lab.simulate.scenario import CLOCK_ERROR_MAX_S, Scenario, draw
from twinboot.lab.simulate.server import Clock, Server, Site
from twinboot.lab.simulate.share import Mount, Weather
from twinboot.lab.simulate.store import open_twinlog
from twinboot.lab.simulate.trace import Trace

NETWORK: Network = network("10.0.0.0/16")
SERVERS_AT, CLIENTS_AT = NETWORK.number + 1, NETWORK.number + 256
SWITCHED_ON_WITHIN_S = 30.0
AUDIT_EVERY_S = 300.0
AUDIT_OLD_S = 1.0  # a promise younger than this may not be seen by a reader with old caches
SETTING_UP_MAX_S = 60.0


class Parts(NamedTuple):
    """The code under test; tests put in theirs."""

    open_records: Callable[[Server], Records] = open_twinlog
    service: type[Service] = Service


class Verdict(NamedTuple):
    """What became of one run."""

    scenario: Scenario
    exchanges: int  # ended by an ACK that its client took
    packets: int
    operations: int  # on the share
    faults: dict[str, int]
    violations: tuple[Violation, ...]
    story: tuple[str, ...]  # of the first violation, where the run was traced


class Cluster:
    """The parts of one run, put together."""

    def __init__(self, scenario: Scenario, parts: Parts, *, traced: bool = False) -> None:
        self.scenario = scenario
        self.clockwork = Clockwork()
        self.disk = Disk()
        self.checker = Checker(lambda: self.clockwork.now_s)
        self.trace = Trace(lambda: self.clockwork.now_s) if traced else None
        self.faults: Counter[str] = Counter()
        self.wire = Wire(self.clockwork, self._rng("wire"))
        self._parts = parts
        self._site = Site(
            ServiceConf(
                "twinlog",
                "/simulated",
                owner_ip=tuple(SERVERS_AT + number for number in range(scenario.servers)),
                icmp_verify=False,
                rescan_interval_min=scenario.rescan_min,
                lease_min_lru_s=scenario.lease_min_lru_s,
            ),
            (NETWORK,),
            self.clockwork,
            self._rng("servers"),
            self.trace,
            self._answer,
            self._crashed,
            parts.open_records,
            parts.service,
        )
        self.servers = [self._server(chr(ord("A") + number), number) for number in range(scenario.servers)]
        self._by_address = {server.address: server for server in self.servers}
        self._stations: dict[bytes, str] = {}
        self.clients = [self._client(number) for number in range(scenario.clients)]

    # -- making

    def _rng(self, use: str) -> Random:
        return Random(f"{self.scenario.seed}/{use}")

    def _server(self, name: str, number: int) -> Server:
        weather = Weather(
            is_local=self.scenario.is_local, travel_s=self.scenario.travel_s, deadline_s=self.scenario.deadline_s
        )
        mount = Mount(self.disk, self.clockwork, self._rng(f"mount/{name}"), weather)
        server = Server(name, SERVERS_AT + number, self._site, mount, Clock(self.clockwork))
        self.wire.attach(name, server.receive)
        return server

    def _client(self, number: int) -> Client:
        rng = self._rng(f"client/{number}")
        mac = b"\x02" + number.to_bytes(5, "big")
        client_id = b"" if number < self.scenario.reserved else rng.choice((b"", b"\x01" + mac, b"\0id" + mac[3:]))
        habits = Habits(
            on_s=rng.choice((0.0, 60.0, 300.0, 1800.0)),
            off_s=rng.choice((10.0, 60.0, 600.0)),
            releases=rng.random(),
            remembers=rng.random(),
            declines=0.01 if number >= self.scenario.reserved and rng.random() < 0.1 else 0.0,
        )
        client = Client((mac, client_id), habits, self.clockwork, rng, self._ask)
        name = f"client {number}"
        self._stations[mac] = name

        def receive(data: bytes) -> None:
            self.checker.delivered(data)
            client.receive(data)

        self.wire.attach(name, receive)
        return client

    # -- packets on their way

    def _ask(self, mac: bytes, target: int, data: bytes) -> None:
        self.checker.sent(data)
        if self.trace is not None:
            self._note(self._stations[mac], data)
        station = self._stations[mac]
        to = self.servers if not target else [self._by_address[target]]
        for server in to:
            self.wire.send(station, server.name, data)

    def _answer(self, server: str, data: bytes) -> None:
        self.checker.answered(server, data)
        if self.trace is not None:
            self._note(server, data)
        self.wire.send(server, self._stations[data[28:34]], data)

    def _note(self, who: str, data: bytes) -> None:
        message = packets.read(data)
        assert self.trace is not None
        addresses = {message.ciaddr, message.yiaddr, message.wanted} - {0}
        self.trace.note(who, f"{message.mac.hex(':')} {message}", message.mac, *addresses)

    def _crashed(self, name: str, error: BaseException) -> None:
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = "" if where is None else f" at {where.tb_frame.f_code.co_filename}:{where.tb_lineno}"
        text = f"{name} died of {type(error).__name__}: {error}{place}"
        self.checker.violations.append(Violation(self.clockwork.now_s, "runs", text, ()))

    # -- the run

    def run(self) -> Verdict:
        """Do it all."""
        scenario, clockwork = self.scenario, self.clockwork
        self._as_visitor(self._set_up)
        clockwork.run(SETTING_UP_MAX_S)
        rng = self._rng("begin")
        for server in self.servers:
            clockwork.after(rng.random(), server.start)
        for client in self.clients:
            clockwork.after(1.0 + rng.random() * SWITCHED_ON_WITHIN_S, client.switch_on)
        names = tuple(self._stations.values())
        place = faults.Place(
            *(self._rng("faults"), clockwork, self.disk, self.wire, self.servers, names, self.clients),
            *(self.scenario, self._operate),
        )
        faults.begin(place, self._fault)
        clockwork.after(AUDIT_EVERY_S, self._audit)
        clockwork.run(scenario.faults_s)
        faults.calm(place)
        self._fault("calm", "no more faults")
        settle(self.clients)
        clockwork.run(scenario.faults_s + scenario.settle_s)
        if scenario.spare > self.checker.declined and scenario.clocks_agree:
            self.checker.all_served(scenario.settle_s - 60.0, 2 * RETRY_LAST_S)
        for server in self.servers:
            server.kill(1e9)
        self._as_visitor(self._compare)
        clockwork.run(clockwork.now_s + SETTING_UP_MAX_S)
        return self._verdict()

    def _fault(self, kind: str, what: str) -> None:
        self.faults[kind] += 1
        if self.trace is not None:
            self.trace.note("FAULT", f"{kind}: {what}")

    def _as_visitor(self, work: Callable[[Records], None]) -> None:
        """Let a process with a mount of its own, such as one of the commands, do something with the store."""
        self._visit(lambda visitor: work(self._parts.open_records(visitor)))

    def _visit(self, work: Callable[[Server], None]) -> None:
        scenario = self.scenario
        weather = Weather(is_local=scenario.is_local, travel_s=scenario.travel_s)
        mount = Mount(self.disk, self.clockwork, self._rng(f"visitor/{self.clockwork.now_s}"), weather)
        visitor = Server("visitor", SERVERS_AT - 1, self._site, mount, Clock(self.clockwork))

        def ended(error: BaseException | None) -> None:
            if error is not None:
                self._crashed("a visitor", error)

        visitor.task = Task(self.clockwork, lambda: work(visitor), ended)

    def _operate(self) -> str:
        """Let an operator do one thing to the store."""
        table, rng, open_records = NETWORK.name, self._rng(f"operator/{self.clockwork.now_s}"), self._parts.open_records
        lease_s = rng.choice((self.scenario.lease_s, self.scenario.lease_s // 2))
        what, work = rng.choice(
            (
                ("frees declined addresses", lambda visitor: visitors.free_declined(open_records(visitor), table)),
                (f"sets leases of {lease_s} s", lambda one: visitors.alter_lease(open_records(one), table, lease_s)),
                ("edits a published copy", lambda visitor: visitors.edit_copy(visitor.mount, table, rng)),
            )
        )
        self._visit(work)
        return f"an operator {what}"

    def _set_up(self, records: Records) -> None:
        scenario = self.scenario
        records.create("dhcptab")
        records.create(NETWORK.name)
        macro = TabEntry(NETWORK.name, "m", 0, f":LeaseTim={scenario.lease_s}:LeaseNeg:")
        results = records.commit([Change("dhcptab", None, macro), *map(_adding, self._bindings())])
        assert all(result.row is not None for result in results), results

    def _bindings(self) -> Iterable[Binding]:
        scenario = self.scenario
        for number in range(scenario.reserved + scenario.addresses):
            reserved = number < scenario.reserved
            client_id = b"\x01" + self.clients[number].mac if reserved else FREE_ID
            owner = self.servers[number % scenario.servers].address
            yield Binding(CLIENTS_AT + number, client_id, MANUAL if reserved else 0, owner, 0, 0, "", "")

    def _audit(self) -> None:
        self._as_visitor(self._compare)
        if self.clockwork.now_s < self.scenario.faults_s:
            self.clockwork.after(AUDIT_EVERY_S, self._audit)

    def _compare(self, records: Records) -> None:
        began_s = self.clockwork.now_s
        rows = records.read(NETWORK.name).rows
        stored = {
            row.address: Stored(
                b"" if row.client_id == FREE_ID else row.client_id,
                float("inf") if row.flags & MANUAL else row.lease_s - EPOCH_S,
            )
            for row in rows
            if isinstance(row, Binding)
        }
        self.checker.recovered(stored, began_s - AUDIT_OLD_S, 2 * CLOCK_ERROR_MAX_S + 1)

    def _verdict(self) -> Verdict:
        violations = tuple(self.checker.violations)
        story: list[str] = []
        if violations and self.trace is not None:
            story = self.trace.about(violations[0].keys, violations[0].at_s)
        return Verdict(
            self.scenario,
            sum(client.done for client in self.clients),
            self.wire.carried,
            sum(server.mount.operations for server in self.servers),
            dict(self.faults),
            violations,
            tuple(story),
        )


def _adding(row: Binding) -> Change:
    return Change(NETWORK.name, None, row)


def run_seed(seed: int, hours: float, parts: Parts = Parts()) -> Verdict:  # noqa: B008 - it cannot change
    """Run a seed; if a rule is violated, once more with every event kept, for the story of it."""
    scenario = draw(seed, hours)
    verdict = Cluster(scenario, parts).run()
    if not verdict.violations:
        return verdict
    return Cluster(scenario, parts, traced=True).run()
