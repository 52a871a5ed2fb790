"""What goes wrong, and when. `FAULTS` is the table of it; a run draws from it until its time of faults is over.

Each fault has a target, a duration and an end of its own; several may overlap. `calm` ends them all.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from twinboot.lab.simulate.client import Client
from twinboot.lab.simulate.clockwork import Clockwork
from twinboot.lab.simulate.disk import Disk
from twinboot.lab.simulate.network import Network
from twinboot.lab.simulate.scenario import Scenario
from twinboot.lab.simulate.server import Server

RESTART_MAX_S = 20.0
PAUSES_S = (1.0, 10.0, 60.0, 600.0, 3600.0)
OPERATIONS_AHEAD_MAX = 40  # a targeted kill or stop comes within so many file operations


class Place(NamedTuple):
    """All that faults act upon, and how long there is time for them."""

    rng: Random
    clockwork: Clockwork
    disk: Disk
    network: Network
    servers: Sequence[Server]
    stations: Sequence[str]  # the clients' names on the network
    clients: Sequence[Client]
    scenario: Scenario
    operate: Callable[[], str]  # somebody does something to the store; tells what

    @property
    def left_s(self) -> float:
        """Time until calm."""
        return max(self.scenario.faults_s - self.clockwork.now_s, 0.0)

    def draw_s(self, *typical_s: float) -> float:
        """Draw a duration about one of these lengths, over before calm."""
        return min(self.rng.choice(typical_s) * (0.5 + self.rng.random()), self.left_s)

    def later(self, delay_s: float, action: Callable[..., None], *arguments: object) -> None:
        """Do something after a while."""
        self.clockwork.after(delay_s, action, *arguments)


def _kill(place: Place, server: Server) -> str:
    server.kill(place.rng.random() * RESTART_MAX_S)
    return ""


def _kill_at_operation(place: Place, server: Server) -> str:
    """Kill at one of the next operations on the share, so that every step of a commit is hit."""
    ahead = place.rng.randint(1, OPERATIONS_AHEAD_MAX)
    server.mount.ambush(ahead, lambda: server.kill(place.rng.random() * RESTART_MAX_S))
    return f"will be killed at its operation {ahead} from now"


def _power_cut(place: Place, server: Server) -> str:
    """Cut a host's power; on a local disk all processes go with it, and what was not synced in part."""
    if not place.scenario.is_local:
        server.kill(place.rng.random() * RESTART_MAX_S)
        return "loses power"
    for each in place.servers:
        each.kill(1.0 + place.rng.random() * RESTART_MAX_S)
    for folder in place.disk.folders.values():
        folder.cut(place.rng.randint(0, folder.unsynced))
    return "and all others lose power"


def _pause(place: Place, server: Server) -> str:
    for_s = place.draw_s(*PAUSES_S)
    server.pause(for_s)
    return f"is stopped for {for_s:.0f} s"


def _pause_at_operation(place: Place, server: Server) -> str:
    """Stop at one of the next operations on the share: a sleeper must find out what it missed."""
    ahead = place.rng.randint(1, OPERATIONS_AHEAD_MAX)
    server.mount.ambush(ahead, lambda: server.pause(place.draw_s(*PAUSES_S)))
    return f"will be stopped at its operation {ahead} from now"


def _hang(place: Place, server: Server) -> str:
    for_s = place.draw_s(2.0, 10.0, 60.0, 600.0)
    server.mount.weather.hung_until_s = place.clockwork.now_s + for_s
    return f"is cut off from the share for {for_s:.0f} s"


def _fail_over(place: Place, _: Server) -> str:
    for_s = place.draw_s(2.0, 15.0, 90.0)
    for server in place.servers:
        server.mount.weather.hung_until_s = place.clockwork.now_s + for_s
    error_s = place.scenario.share_error_max_s * place.rng.uniform(-1.0, 1.0)
    place.disk.clock_error_s = error_s
    return f"the share is gone for everybody for {for_s:.0f} s, then its clock is {error_s:+.1f} s wrong"


def _weather(name: str, low: float, high: float) -> Callable[[Place, Server], str]:
    """Make a fault of one field of a server's weather, set for a while."""

    def fault(place: Place, server: Server) -> str:
        for_s, strength = place.draw_s(1.0, 10.0, 60.0), place.rng.uniform(low, high)
        calm = getattr(server.mount.weather, name)
        value = True if isinstance(calm, bool) else strength
        setattr(server.mount.weather, name, value)
        place.later(for_s, setattr, server.mount.weather, name, calm if not isinstance(calm, bool) else False)
        return f"{name} {value if value is True else round(strength, 2)} for {for_s:.0f} s"

    return fault


def _export(name: str) -> Callable[[Place, Server], str]:
    """Make a fault of the share itself: all servers meet it."""

    def fault(place: Place, _: Server) -> str:
        for_s = place.draw_s(5.0, 30.0, 120.0)
        for server in place.servers:
            setattr(server.mount.weather, name, True)
            place.later(for_s, setattr, server.mount.weather, name, False)
        return f"the share {name} for {for_s:.0f} s"

    return fault


def _clock(place: Place, server: Server) -> str:
    if place.scenario.is_local:
        return "keeps its clock: it is one host's"
    server.clock.error_s = place.scenario.clock_error_max_s * place.rng.uniform(-1.0, 1.0)
    return f"has its clock set to {server.clock.error_s:+.1f} s"


def _wire(name: str, low: float, high: float) -> Callable[[Place, Server], str]:
    """Make a fault of the network as a whole."""

    def fault(place: Place, _: Server) -> str:
        for_s, strength = place.draw_s(5.0, 60.0, 300.0), place.rng.uniform(low, high)
        setattr(place.network, name, strength)
        place.later(for_s, setattr, place.network, name, 0.0)
        return f"the wire: {name} {strength:.2f} for {for_s:.0f} s"

    return fault


def _cut(place: Place, server: Server, other: str) -> str:
    """Cut a server off from others: it hears them not, they hear it not, or both."""
    for_s = place.draw_s(5.0, 60.0, 600.0)
    ways, what = place.rng.choice(
        (
            (((server.name, other), (other, server.name)), "is cut off from"),
            (((server.name, other),), "sends in vain to"),
            (((other, server.name),), "does not hear"),
        )
    )
    for way in ways:
        place.network.cut(*way, place.clockwork.now_s + for_s)
    return f"{what} {'anybody' if other == '*' else other} for {for_s:.0f} s"


def _cut_server(place: Place, server: Server) -> str:
    return _cut(place, server, "*")


def _cut_client(place: Place, server: Server) -> str:
    return _cut(place, server, place.rng.choice(place.stations))


def _blackout(place: Place, _: Server) -> str:
    """Let a part of the clients lose power and come back within a few seconds: a rack, or a hall."""
    part, for_s, spread_s = place.rng.choice((0.3, 1.0)), place.draw_s(1.0, 60.0), place.rng.choice((0.0, 0.2, 5.0))
    hit = [client for client in place.clients if place.rng.random() < part]
    for client in hit:
        client.lose_power(for_s + spread_s * place.rng.random())
    return f"looks on: {len(hit)} clients lose power for {for_s:.0f} s and return within {spread_s:g} s"


def _operator(place: Place, _: Server) -> str:
    return f"looks on: {place.operate()}"


FAULTS: Final[Mapping[str, Callable[[Place, Server], str]]] = {
    "kill": _kill,
    "kill at an operation": _kill_at_operation,
    "power cut": _power_cut,
    "pause": _pause,
    "pause at an operation": _pause_at_operation,
    "hung share": _hang,
    "storage failover": _fail_over,
    "errors": _weather("failing", 0.02, 0.5),
    "lost replies": _weather("lost", 0.02, 0.5),
    "stale caches": _weather("stale", 0.5, 1.0),
    "full disk": _export("is_full"),
    "read-only export": _export("is_read_only"),
    "clock": _clock,
    "packet loss": _wire("loss", 0.05, 0.7),
    "packets doubled": _wire("doubled", 0.05, 0.7),
    "packets late": _wire("late_s", 0.01, 2.5),
    "server cut off": _cut_server,
    "client cut off": _cut_client,
    "clients' power cut": _blackout,
    "operator": _operator,
}


def begin(place: Place, tell: Callable[[str, str], None]) -> None:
    """Draw faults, one after another, until calm; `tell` hears of each (kind, what it does)."""

    def next_fault() -> None:
        if place.left_s <= 0:
            return
        kind = place.rng.choice(tuple(FAULTS))
        server = place.rng.choice(place.servers)
        tell(kind, f"{server.name} {FAULTS[kind](place, server)}")
        place.later(place.rng.expovariate(1 / place.scenario.fault_every_s), next_fault)

    place.later(place.rng.expovariate(1 / place.scenario.fault_every_s), next_fault)


def calm(place: Place) -> None:
    """End all faults; pauses have ended, for none is drawn to last longer."""
    place.network.mend()
    place.disk.clock_error_s = 0.0
    for server in place.servers:
        weather = server.mount.weather
        weather.hung_until_s = weather.failing = weather.lost = 0.0
        weather.is_full = weather.is_read_only = False
        server.mount.ambush(0)
        server.clock.error_s = 0.0
