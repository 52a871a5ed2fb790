"""What to answer to one packet: RFC 2131 section 4.3 with in.dhcpd's rules. Pure: no clock, no I/O, nothing
remembered.

`decide` looks at a packet, the view of its network and the time, and returns a `Decision`: what must be stored,
what may be sent *after* that is stored, which offer to remember, and the event that tells why, also when the answer
is silence. The daemon does it, in that order. The rules:

* Nothing is written for a DISCOVER. An offer is a promise in memory.
* Every binding whose owner is in our list is ours; all servers of a cluster have the same list, so each can answer
  for all.
* A MANUAL binding is reached by its client id only, and never ends. An UNUSABLE one is given to nobody; MANUAL and
  UNUSABLE blocks its client. PERMANENT means a lease for ever. BOOTP bindings are out of bounds for DHCP.
* One machine is one client where a MANUAL binding bears `01` + its MAC: boot ROM, loader and system get that
  binding, whatever each of them sends as option 61. Two machines that send one option 61 (clones) are told apart by
  their MACs: the second is served under its MAC, and the event says so.
* A request to another server of OWNER_IP is that one's to answer, unless it is repeated: then it is finished here
  (`World.finishing`). It needs no offer of ours; the commit decides, as ever. Neither does one to us while we may have
  forgotten what we offered (`World.forgetful`), for we were started anew.
* Leases count from the later of two clocks, and are over when they are by the earlier (`dhcp.clocks`).
* A collision means that the view was old: the daemon asks once more on a fresh one. What then no longer fits gets
  silence.
* Fixed bindings (MANUAL, PERMANENT) are acknowledged even when the store cannot be written: nobody else can have
  got them.
"""

from collections.abc import Callable, Mapping
from typing import Final

from dhcp import bootp, granting, leasequery, offering, parting
from dhcp.answers import answer, plan_for
from dhcp.asking import ask
from dhcp.decision import CLIENT_ID_MAX_BYTES, Decision, answered, silent, unheard
from dhcp.options import ACK, DISCOVER, LEASEQUERY, REQUEST, MessageType
from dhcp.packet import Packet
from dhcp.view import NetworkView
from dhcp.wire import WireError
from dhcp.world import Arrival, Asked, World
from storage.records import ipv4_text


def decide(request: Packet, arrival: Arrival, world: World, view: NetworkView | None, now_s: int) -> Decision:
    """Decide what to do about one packet from the network of `view`. `now_s` is Unix time."""
    kind = request.message_type
    if kind is None and world.conf.bootp_compat is None:
        return unheard(request, "bootp")
    if request.hops > world.conf.relay_hops:
        return unheard(request, "hops")
    if kind is LEASEQUERY:
        return leasequery.decide(request, arrival, world, now_s)
    if kind not in HANDLERS:
        return unheard(request, "not-for-servers")
    if view is None:
        return unheard(request, "no-network", giaddr=ipv4_text(request.giaddr))
    if len(request.client_id) > CLIENT_ID_MAX_BYTES:
        return unheard(request, "client-id-long")
    asked = ask(request, arrival, world, view, now_s)
    try:
        if kind is DISCOVER:
            return offering.discover(asked)
        if kind is REQUEST:
            return granting.request(asked)
        return HANDLERS[kind](asked)
    except WireError as error:
        return unheard(request, "no-room", text=str(error))


def _inform(asked: Asked) -> Decision:
    """INFORM: options only, for a client that has an address by other means; no binding is needed."""
    if not asked.request.ciaddr:
        return silent(asked, "no-address")
    data = answer(asked, ACK, plan_for(asked, ""), None, None)
    return answered(asked, "dhcp.inform", data, asked.request.ciaddr)


HANDLERS: Final[Mapping[MessageType | None, Callable[[Asked], Decision]]] = {
    None: bootp.decide,
    DISCOVER: offering.discover,
    REQUEST: granting.request,
    MessageType.RELEASE: parting.release,
    MessageType.DECLINE: parting.decline,
    MessageType.INFORM: _inform,
}
