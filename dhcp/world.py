"""What the engine sees: where a packet came in, the world that it is decided in, and all that is known of who asks."""

from collections.abc import Iterable

from dhcp.macros import MacroTable
from dhcp.packet import Packet
from dhcp.reply import Plans
from dhcp.svcconf import ServiceConf
from dhcp.view import NetworkView
from storage.records import BOOTP, Binding


class Arrival:
    """Where a packet came in: the interface, and the server's own address there."""

    __slots__ = ("interface", "server")

    def __init__(self, interface: str, server: int) -> None:
        self.interface = interface
        self.server = server


class Networks:
    """The views of all networks, found by any address inside one."""

    def __init__(self, views: Iterable[NetworkView]) -> None:
        self.views = tuple(views)
        masks = sorted({view.network.mask for view in self.views}, reverse=True)
        self._by_mask = tuple(
            (mask, {view.network.number: view for view in self.views if view.network.mask == mask}) for mask in masks
        )

    def find(self, address: int) -> NetworkView | None:
        """Return the view of the network that an address is in."""
        for mask, views in self._by_mask:
            view = views.get(address & mask)
            if view is not None:
                return view
        return None


class World:
    """What decisions are made from, besides the packet. `own` are this server's addresses on all its interfaces.

    `frozen`: nothing can be stored now, so nothing may be promised beyond what is stored. `skew_s`: how far back from
    now a lease must have ended to be over by the store's clock, too; `unsure_s`: by how much it may be later than we
    know; see `dhcp.clocks` for both. `finishing`: a request to another server of ours is decided as if it were to us,
    see `dhcp.repeats`. `forgetful`: offers were forgotten so lately that clients may still ask for what they were
    offered.
    """

    __slots__ = ("conf", "finishing", "forgetful", "frozen", "macros", "networks", "own", "plans", "skew_s", "unsure_s")

    def __init__(  # noqa: PLR0913, PLR0917 - a value: one for each field
        self,
        conf: ServiceConf,
        own: frozenset[int],
        macros: MacroTable,
        plans: Plans,
        networks: Networks,
        frozen: bool = False,
        skew_s: int = 0,
        finishing: bool = False,
        unsure_s: float = 0.0,
        forgetful: bool = False,
    ) -> None:
        self.conf = conf
        self.own = own
        self.macros = macros
        self.plans = plans
        self.networks = networks
        self.frozen = frozen
        self.skew_s = skew_s
        self.finishing = finishing
        self.unsure_s = unsure_s
        self.forgetful = forgetful

    def but(self, *, frozen: bool = False, finishing: bool = False) -> "World":
        """The same world, seen in one of these ways for once."""
        frozen, finishing = frozen or self.frozen, finishing or self.finishing
        known = self.conf, self.own, self.macros, self.plans, self.networks
        return World(*known, frozen, self.skew_s, finishing, self.unsure_s, self.forgetful)


class Asked:
    """One request with all that was found out about it before its message type is looked at.

    `client_id` is the one under which the client is served, `mac` htype + chaddr, `wanted` option 50, `server_id` the
    address that the client is to know the server by: its relay's, where the relay asks for that. `over_s` is the time
    by which a lease must have ended to be over by all clocks.
    """

    __slots__ = (
        *("request", "arrival", "world", "view", "now_s", "client_id", "mac", "is_clone", "wanted", "server_id"),
        *("server", "over_s"),
    )

    def __init__(  # noqa: PLR0913, PLR0917 - a value: one for each field
        self,
        request: Packet,
        arrival: Arrival,
        world: World,
        view: NetworkView,
        now_s: int,
        client_id: bytes,
        is_clone: bool,
        wanted: int | None,
        server_id: int,
    ) -> None:
        self.request = request
        self.arrival = arrival
        self.world = world
        self.view = view
        self.now_s = now_s
        self.client_id = client_id
        self.mac = request.mac_id
        self.is_clone = is_clone
        self.wanted = wanted
        self.server_id = server_id
        self.over_s = now_s - world.skew_s

    def owns(self, row: Binding) -> bool:
        """Tell whether a binding is this client's and of use to a DHCP client."""
        return row.client_id == self.client_id and not row.flags & BOOTP

    def is_to_us(self, server_id: bytes) -> bool:
        """Tell whether option 54 names this server, by its own address or by the relay's in its place."""
        address = int.from_bytes(server_id, "big")
        return address == self.server_id or address in self.world.own
