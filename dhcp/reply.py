"""The reply packet: what macros, network and binding say, put into the form RFC 2131 table 3 gives it.

Rules of the room:

* A *plan* is everything about a reply that does not depend on the client's own packet: the options of the macros in
  Sun's order, what the network fills in, boot server, boot file, names. Plans are kept for each (Selected, network,
  server, parameter list), so the path of one packet only adds message type, lease, and what is echoed.
* Everything the macros set is sent, whatever the client's parameter list (option 55) says, as Sun has it. The list
  only adds: 28 from the network, and 66 and 67 for clients that read those instead of the header fields.
* Boot file and server name go to their header fields; one too long for its field goes to option 67 or 66 alone.
* `siaddr` defaults to the answering server's own address, and a boot file that begins `http:///` gets that address
  put in: with two servers, whichever answers also serves.
* Option 82 is echoed last (RFC 3046), 61 as received (RFC 6842), 60 where the macro EchoVC asks for it.
"""

from typing import Final, NamedTuple

from dhcp import options as o
from dhcp import wire
from dhcp.macros import Selected
from dhcp.networks import Network
from dhcp.options import MessageType
from dhcp.wire import Packet
from storage.records import ipv4_text

PLANS_MAX = 4096  # forgotten all together when there are more
PAYLOAD_MAX_BYTES = 1472  # an Ethernet frame's; a client's larger option 57 would only ask for fragments
OWN_URL = "http:///"
AS_STORED: Final = ("utf-8", "surrogateescape")  # how texts of the datastore become bytes again
PXE_CLASSES: Final = (b"PXEClient", b"HTTPClient")  # firmware compares the answer with the bare word
LEASE_CODES: Final = frozenset({o.LEASE_TIME, o.RENEWAL_TIME, o.REBINDING_TIME})
OURS: Final = frozenset({o.MESSAGE_TYPE, o.SERVER_ID, o.OVERLOAD, o.CLIENT_ID, o.RELAY_INFO})  # never from a macro

_TYPE: Final = {kind: bytes((kind,)) for kind in MessageType}


class Plan(NamedTuple):
    """The part of a reply that is the same for all clients with the same macros; options without lease times."""

    selected: Selected
    leased: dict[int, bytes]  # options of an OFFER or ACK; the lease's place is kept by 51
    informed: dict[int, bytes]  # options of the ACK of an INFORM: no lease times
    siaddr: int
    sname: bytes
    file: bytes


class Plans:
    """The plans made so far."""

    def __init__(self) -> None:
        self._plans: dict[tuple[int, int, int, bytes], Plan] = {}

    def get(self, selected: Selected, network: Network, server: int, wanted: bytes) -> Plan:
        """Return the plan for these macros, this network, answering address and parameter list."""
        key = (id(selected), network.number, server, wanted)
        plan = self._plans.get(key)
        if plan is None or plan.selected is not selected:  # an id may be used again, the object held here may not
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            plan = self._plans[key] = _plan(selected, network, server, wanted)
        return plan


def _plan(selected: Selected, network: Network, server: int, wanted: bytes) -> Plan:
    siaddr = selected.boot_server or server
    file = selected.boot_file
    if file.startswith(OWN_URL):
        file = f"http://{ipv4_text(server)}/{file[len(OWN_URL) :]}"
    options = {code: value for code, value in selected.options if code not in OURS}
    filled: dict[int, bytes] = {}
    if o.SUBNET_MASK not in options:
        filled[o.SUBNET_MASK] = network.mask.to_bytes(4, "big")
    if o.BROADCAST_ADDRESS not in options and o.BROADCAST_ADDRESS in wanted:
        filled[o.BROADCAST_ADDRESS] = network.broadcast.to_bytes(4, "big")
    options = {**filled, **options}
    options.setdefault(o.LEASE_TIME, b"")
    sname, file_bytes = selected.boot_server_name.encode(*AS_STORED), file.encode(*AS_STORED)
    for code, text, room in (
        (o.TFTP_SERVER_NAME, sname or ipv4_text(siaddr).encode(), wire.SNAME_BYTES),
        (o.BOOT_FILE_NAME, file_bytes, wire.FILE_BYTES),
    ):
        if text and (code in wanted or len(text) > room):
            options.setdefault(code, text[: wire.MAX_PACKET_BYTES])
    return Plan(
        selected,
        options,
        {code: value for code, value in options.items() if code not in LEASE_CODES},
        siaddr,
        sname if len(sname) <= wire.SNAME_BYTES else b"",
        file_bytes if len(file_bytes) <= wire.FILE_BYTES else b"",
    )


def answer(request: Packet, kind: MessageType, server: int, plan: Plan, address: int, lease_s: int | None) -> Packet:
    """Return an OFFER or ACK. `lease_s` None: the answer to an INFORM, which gives no address and no lease."""
    if lease_s is None:
        options = {o.MESSAGE_TYPE: _TYPE[kind], o.SERVER_ID: server.to_bytes(4, "big"), **plan.informed}
    else:
        options = {o.MESSAGE_TYPE: _TYPE[kind], o.SERVER_ID: server.to_bytes(4, "big"), **plan.leased}
        options[o.LEASE_TIME] = lease_s.to_bytes(4, "big")
    asked = request.options
    class_id = asked.get(o.CLASS_ID)
    if class_id is not None and plan.selected.echo_class:
        word = class_id.partition(b":")[0]
        options[o.CLASS_ID] = word if word in PXE_CLASSES else class_id
    _echo(asked, options)
    file = plan.file
    if not file and request.file and not plan.selected.boot_file:
        file = _boot_path(plan.selected.boot_path, request.file)
    return Packet(
        wire.BOOTREPLY,
        request.htype,
        request.hlen,
        0,
        request.xid,
        0,
        request.flags,
        0 if kind == MessageType.OFFER else request.ciaddr,
        address,
        plan.siaddr,
        request.giaddr,
        request.raw_chaddr,
        plan.sname,
        file,
        options,
    )


def refusal(request: Packet, server: int, text: str) -> Packet:
    """Return a NAK. It is broadcast, by a relay too, because the client may not have the address it believes in."""
    options = {
        o.MESSAGE_TYPE: _TYPE[MessageType.NAK],
        o.SERVER_ID: server.to_bytes(4, "big"),
        o.MESSAGE: text.encode(),
    }
    _echo(request.options, options)
    return Packet(
        wire.BOOTREPLY,
        request.htype,
        request.hlen,
        0,
        request.xid,
        0,
        request.flags | wire.BROADCAST_FLAG,
        0,
        0,
        0,
        request.giaddr,
        request.raw_chaddr,
        b"",
        b"",
        options,
    )


def _echo(asked: dict[int, bytes], options: dict[int, bytes]) -> None:
    for code in (o.CLIENT_ID, o.RELAY_INFO):
        value = asked.get(code)
        if value is not None:
            options[code] = value


def _boot_path(prefix: str, name: bytes) -> bytes:
    path = f"{prefix}/".encode(*AS_STORED) + name if prefix else name
    return path if len(path) <= wire.FILE_BYTES else b""


def limit_bytes(request: Packet) -> int:
    """Return how long the reply may be."""
    said = request.options.get(o.MAX_MESSAGE_SIZE)
    return min(wire.payload_limit(int.from_bytes(said, "big") if said else 0), PAYLOAD_MAX_BYTES)
