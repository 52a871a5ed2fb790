"""Deciding about one packet, by what the datastore held when it was last asked. Nothing is stored or sent here.

* Views and macros are asked for changes once in each batch or commit, so an edit counts for the next packet.
* While a commit is under way the datastore is not asked: its answer would be as late as the commit. Views are as they
  were before, and `catch_up` asks for those that were looked at.
* Nothing that a packet holds gets an exception past `decide`: it is caught, and told with the packet's bytes.
"""

import math
from collections.abc import Iterable
from typing import Final

from dhcp import engine, parting, wire
from dhcp.asking import view_of
from dhcp.decision import PEER_FIRST, Decision
from dhcp.mirror import Mirror
from dhcp.networks import Network
from dhcp.options import MessageType
from dhcp.outside import Clock
from dhcp.repeats import MEMORY_S, Repeats
from dhcp.reply import Plans
from dhcp.svcconf import ServiceConf
from dhcp.tally import Emit
from dhcp.underway import Underway
from dhcp.view import NetworkView
from dhcp.watch import Watch
from dhcp.wire import WireError
from dhcp.world import Arrival, Networks, World
from storage.records import Records

HEX_MAX_BYTES: Final = 300  # of a poison packet, in its event


class Decider:
    """Copies of what the datastore holds, and decisions by them."""

    def __init__(
        self,
        conf: ServiceConf,
        own: frozenset[int],
        records: Records,
        networks: Iterable[Network],
        emit: Emit,
        clock: Clock,
        underway: Underway,
    ) -> None:
        """Decide for the addresses `own` of this machine and those of OWNER_IP, but by old views while a commit is
        `underway`.
        """
        self.mirror = Mirror(records, networks, own | frozenset(conf.owner_ip), emit)
        self.watch = Watch(clock, records, emit)
        self.came = 0.0  # monotonic time when the packets at hand came in
        self._clock = clock
        self._underway = underway
        self._repeats = Repeats()
        self._world = World(conf, own, self.mirror.macros, Plans(), Networks(self.mirror.views))
        self._arrival: Arrival
        self._forgot = -math.inf  # monotonic time when all offers were
        self._fresh: set[NetworkView] = set()  # what was brought up to date
        self._seen: dict[NetworkView, tuple[float, int]] = {}  # when the look at the datastore began, by both clocks
        self._missed: dict[NetworkView, None] = {}  # what could not be, in the order in which it was looked at

    @property
    def over_s(self) -> int:
        """Unix time by which a lease must have ended to be over by all clocks."""
        return self.watch.now_s - self._world.skew_s

    @property
    def has_missed(self) -> bool:
        """Tell whether there are views to `catch_up` with."""
        return bool(self._missed)

    def reload(self) -> None:
        """Read networks, macros and bindings anew and forget all offers."""
        began_s = self._clock.monotonic()
        self.mirror.reload()
        self._forgot = self._clock.monotonic()
        self.watch.look(self._world)
        for view in self.mirror.views:
            self._note_look(view, began_s, self.watch.now_s)
        self._world.networks = Networks(self.mirror.views)
        self._renew_macros()

    def turn_to(self, interface: str, server: int, came: float) -> None:
        """Be at what came in then at an interface, where this server's address is `server`."""
        self._arrival = Arrival(interface, server)
        self.came = came

    def lapse(self) -> None:
        """Count nothing as up to date any more."""
        self._fresh.clear()

    def look_anew(self) -> None:
        """Have macros and views asked for changes, each view when it is needed."""
        self._fresh.clear()
        self._world.forgetful = self._clock.monotonic() - self._forgot < MEMORY_S
        if not self._underway.is_busy and self.mirror.refresh_macros():
            self._renew_macros()
        self.watch.look(self._world)

    def catch_up(self) -> None:
        """Ask now for what was looked at while a commit was under way."""
        missed, self._missed = self._missed, {}
        for view in missed:
            self.freshen(view)

    def decide(self, data: bytes) -> Decision:
        """Read one packet and decide about it."""
        try:
            request = wire.decode(data)
            if request.message_type in parting.MESSAGES and self._clock.monotonic() - self.came > parting.MAX_S:
                raise WireError("stale", parting.STALE)
            view = view_of(request, self._arrival, self._world.networks)
            if request.message_type is MessageType.LEASEQUERY:
                for one in self.mirror.views:  # it may be about any
                    self.freshen(one)
            elif view is not None and view not in self._fresh:
                self.freshen(view)
            if view is not None and (view.is_stale or self._world.frozen or self._world.unsure_s):
                view.unseen_s = self._unseen_s(view)
            decision = engine.decide(request, self._arrival, self._world, view, self.watch.now_s)
            if decision.kind == "dhcp.silent" and self._is_unanswered(data, decision):
                world = self._world.but(finishing=True)
                decision = engine.decide(request, self._arrival, world, view, self.watch.now_s)
            return decision
        except WireError as error:
            return Decision("dhcp.dropped", {"reason": error.reason, "detail": str(error)})
        except Exception as bug:  # noqa: BLE001 - the packet boundary: one poison packet must not stop the service
            shown = data[:HEX_MAX_BYTES].hex()
            detail = f"{type(bug).__name__}: {bug}; please report this packet: {shown}"
            return Decision("dhcp.dropped", {"reason": "poison", "detail": detail})

    def decide_frozen(self, data: bytes) -> Decision:
        """Decide as if nothing could be stored."""
        world = self._world  # itself, not a copy: what a look at the clocks finds meanwhile holds for all that follow
        frozen, world.frozen = world.frozen, True
        try:
            return self.decide(data)
        finally:
            world.frozen = frozen

    def freshen(self, view: NetworkView) -> None:
        """Bring a network up to date, if it was not since the last look."""
        if view in self._fresh:
            return
        self._fresh.add(view)
        if self._underway.is_busy:
            self._missed[view] = None
        else:
            began_s, unix_s = self._clock.monotonic(), self.watch.now_s
            self.mirror.refresh(view)
            self.watch.look(self._world)  # an old time on a fresh view would shorten leases
            self._note_look(view, began_s, unix_s)

    def _note_look(self, view: NetworkView, monotonic_s: float, unix_s: int) -> None:
        if not view.is_stale:
            self._seen[view] = monotonic_s, unix_s

    def _unseen_s(self, view: NetworkView) -> float:
        """Return for how long nobody has seen what the datastore holds, by the clock that says longer."""
        monotonic_s, unix_s = self._seen.get(view, (-math.inf, 0))
        return max(self._clock.monotonic() - monotonic_s, self.watch.now_s - unix_s)

    def _is_unanswered(self, data: bytes, decision: Decision) -> bool:
        """Tell whether a packet asks another server of ours again, which has not answered."""
        if decision.fields["reason"] != PEER_FIRST:
            return False
        return self._repeats.hear(data[4:8] + machine_of(data), self._clock.monotonic())

    def _renew_macros(self) -> None:
        self._world.macros, self._world.plans = self.mirror.macros, Plans()


def machine_of(data: bytes) -> bytes:
    """Return the field that tells machines apart, enough to keep one machine's packets in order."""
    return data[28:44]
