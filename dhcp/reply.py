"""The reply packet: what macros, network and binding say, put into the form RFC 2131 table 3 gives it.

Rules of the room:

* A *plan* is everything about a reply that does not depend on the client's own packet: the options of the macros in
  Sun's order, what the network fills in, boot server, boot file, names. Plans are kept by what they are made from, so
  the path of one packet only adds message type, lease, and what is echoed.
* A plan also holds its options encoded, as they stand before and after the lease time. The usual answer is those bytes
  with a header before and the echoes after them (`quick`); whatever is out of the ordinary is put together option by
  option (`answer`). Both give the same packet: a test holds them together.
* Everything the macros set is sent, whatever the client's parameter list (option 55) says, as Sun has it. The list
  only adds: 28 from the network, and 66 and 67 for clients that read those instead of the header fields.
* Boot file and server name go to their header fields; one too long for its field goes to option 67 or 66 alone.
* `siaddr` defaults to the answering server's own address, and a boot file that begins `http:///` gets that address
  put in: with two servers, whichever answers also serves.
* Option 82 is echoed last (RFC 3046), 61 as received (RFC 6842), 60 where the macro EchoVC asks for it.
"""

from typing import Final

from dhcp import options as o
from dhcp import wire
from dhcp.form import Form, fill_in
from dhcp.macros import Selected
from dhcp.networks import Network
from dhcp.options import ACK, OFFER, MessageType
from dhcp.packet import BROADCAST_FLAG, Packet
from storage.records import ipv4_text

LEASE_DEFAULT_S: Final = 3600  # where no macro sets LeaseTim
PLANS_MAX = 4096  # forgotten all together when there are more
LIMIT_MIN_BYTES: Final = wire.payload_limit(0)  # every client takes that much
PAYLOAD_MAX_BYTES: Final = 1472  # an Ethernet frame's; a client's larger option 57 would only ask for fragments
OWN_URL: Final = "http:///"
AS_STORED: Final = ("utf-8", "surrogateescape")  # how texts of the datastore become bytes again
LEASE_CODES: Final = frozenset({o.LEASE_TIME, o.RENEWAL_TIME, o.REBINDING_TIME})
OURS: Final = frozenset({o.MESSAGE_TYPE, o.SERVER_ID, o.OVERLOAD, o.CLIENT_ID, o.RELAY_INFO})  # never from a macro

_TYPE: Final = {kind: bytes((kind,)) for kind in MessageType}
SHORT_BYTES: Final = 255  # ids and relay informations that surely fit one option each
_LEASE_HEAD: Final = bytes((o.LEASE_TIME, 4))


class Plan:
    """The part of a reply that is the same for all clients with the same macros; options without lease times.

    `leased` are the options of an OFFER or ACK, with the lease's place kept by 51; `informed` those of the ACK of an
    INFORM. `wants_file`: no macro names a boot file, so the client's own is looked at.
    """

    __slots__ = (
        *("selected", "leased", "informed", "siaddr", "sname", "file", "wants_file", "echo_class", "hostname"),
        *("lease_s", "lease_negotiable", "offer_form", "ack_form"),
    )

    def __init__(
        self, selected: Selected, server: int, leased: dict[int, bytes], siaddr: int, sname: bytes, file: bytes
    ) -> None:
        self.selected = selected
        self.leased = leased
        self.informed = {code: value for code, value in leased.items() if code not in LEASE_CODES}
        self.siaddr = siaddr
        self.sname = sname
        self.file = file
        self.wants_file = not selected.boot_file
        # of the macros, what each packet asks for
        self.echo_class = selected.echo_class
        self.hostname = selected.hostname
        self.lease_s = selected.lease_s or LEASE_DEFAULT_S
        self.lease_negotiable = selected.lease_negotiable
        self.offer_form = self._form(OFFER, server)
        self.ack_form = self._form(ACK, server)

    def _form(self, kind: MessageType, server: int) -> Form:
        codes = list(self.leased)
        place = codes.index(o.LEASE_TIME)
        before = {o.MESSAGE_TYPE: _TYPE[kind], o.SERVER_ID: server.to_bytes(4, "big")}
        before |= {code: self.leased[code] for code in codes[:place]}
        after = {code: self.leased[code] for code in codes[place + 1 :]}
        head = wire.text_areas(self.sname, self.file) + wire.option_run(before) + _LEASE_HEAD
        return Form(self.siaddr, head, wire.option_run(after))


PlanKey = tuple[bytes, bytes, bytes, str, bytes, int, str]
"""What a plan depends on: options 60, 77 and 55, the address's macro, a client id that has a macro, server, network."""


class Plans:
    """The plans made so far, at most `PLANS_MAX`: strangers may send any class and parameter list."""

    def __init__(self) -> None:
        self.made: dict[PlanKey, Plan] = {}

    def keep(self, key: PlanKey, plan: Plan) -> Plan:
        """Keep a plan, and return it."""
        if len(self.made) >= PLANS_MAX:
            self.made.clear()
        self.made[key] = plan
        return plan


def make_plan(selected: Selected, network: Network, server: int, wanted: bytes) -> Plan:
    """Return the plan for these macros, this network, answering address and parameter list."""
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
    sname = sname if len(sname) <= wire.SNAME_BYTES else b""
    file_bytes = file_bytes if len(file_bytes) <= wire.FILE_BYTES else b""
    return Plan(selected, server, options, siaddr, sname, file_bytes)


def quick(request: Packet, kind: MessageType, plan: Plan, address: int, lease_s: int) -> bytes | None:
    """Return an OFFER or ACK without options besides the plan's, 61 and 82; None where it takes `answer`."""
    options = request.options
    client_id, relay = options.get(o.CLIENT_ID, b""), options.get(o.RELAY_INFO, b"")
    if len(client_id) + len(relay) > SHORT_BYTES or (request.file and plan.wants_file):
        return None
    if kind is OFFER:
        data = fill_in(plan.offer_form, request, 0, address, lease_s, client_id, relay)
    else:
        data = fill_in(plan.ack_form, request, request.ciaddr, address, lease_s, client_id, relay)
    return data if len(data) <= LIMIT_MIN_BYTES or len(data) <= limit_bytes(request) else None


def answer(
    request: Packet,
    kind: MessageType,
    server: int,
    plan: Plan,
    address: int,
    lease_s: int | None,
    extra: dict[int, bytes],
) -> Packet:
    """Return an OFFER or ACK. `lease_s` None: the answer to an INFORM, which gives no address and no lease.

    `extra` are the options besides the plan's and those given back here, 61 and 82; they win.
    """
    if lease_s is None:
        options = {o.MESSAGE_TYPE: _TYPE[kind], o.SERVER_ID: server.to_bytes(4, "big"), **plan.informed}
    else:
        options = {o.MESSAGE_TYPE: _TYPE[kind], o.SERVER_ID: server.to_bytes(4, "big"), **plan.leased}
        options[o.LEASE_TIME] = lease_s.to_bytes(4, "big")
    _give_back(request, options)
    options.update(extra)
    file = plan.file
    if request.file and plan.wants_file:
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
    _give_back(request, options)
    return Packet(
        wire.BOOTREPLY,
        request.htype,
        request.hlen,
        0,
        request.xid,
        0,
        request.flags | BROADCAST_FLAG,
        0,
        0,
        0,
        request.giaddr,
        request.raw_chaddr,
        b"",
        b"",
        options,
    )


def _give_back(request: Packet, options: dict[int, bytes]) -> None:
    for code in (o.CLIENT_ID, o.RELAY_INFO):
        if code in request.options:
            options[code] = request.options[code]


def _boot_path(prefix: str, name: bytes) -> bytes:
    path = f"{prefix}/".encode(*AS_STORED) + name if prefix else name
    return path if len(path) <= wire.FILE_BYTES else b""


def limit_bytes(request: Packet) -> int:
    """Return how long the reply may be."""
    said = request.options.get(o.MAX_MESSAGE_SIZE)
    return min(wire.payload_limit(int.from_bytes(said, "big") if said else 0), PAYLOAD_MAX_BYTES)
