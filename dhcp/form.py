"""Replies that differ in a few fields only: encoded once, and filled in for each request.

The same bytes as `dhcp.wire.encode` makes, without looking at each option.
"""

from struct import Struct
from typing import Final

from dhcp.options import CLIENT_ID, RELAY_INFO
from dhcp.packet import Packet
from dhcp.wire import BOOTREPLY, END_MARK, HEAD, MIN_PACKET_BYTES

_ENDS: Final = tuple(END_MARK + bytes(size) for size in range(MIN_PACKET_BYTES))
"""The end mark, and what fills a packet up, by how many bytes that are."""
_ID_HEADS: Final = (b"", *(bytes((CLIENT_ID, size)) for size in range(1, 256)))
_RELAY_HEADS: Final = (b"", *(bytes((RELAY_INFO, size)) for size in range(1, 256)))
"""What stands before the values of these two, by size; nothing before an empty one, which is left out."""


class Form:
    """What replies of one kind have in common, encoded: `before` are `wire.text_areas` and the options up to the value
    of the lease, `after` the options after it. `pack` of the layout takes the fixed part, `before` and the lease."""

    __slots__ = ("after", "before", "layout", "siaddr")

    def __init__(self, siaddr: int, before: bytes, after: bytes) -> None:
        self.layout = Struct(f"{HEAD.format}{len(before)}sI")
        self.siaddr = siaddr
        self.before = before
        self.after = after


def fill_in(
    form: Form, request: Packet, ciaddr: int, yiaddr: int, lease_s: int, client_id: bytes, relay: bytes
) -> bytes:
    """Write the reply to one request; options 61 and 82 follow those of the form unless they are empty.

    The length is the caller's business.
    """
    one = request
    packed = form.layout.pack(
        BOOTREPLY,
        one.htype,
        one.hlen,
        0,
        one.xid,
        0,
        one.flags,
        ciaddr,
        yiaddr,
        form.siaddr,
        one.giaddr,
        one.raw_chaddr,
        form.before,
        lease_s,
    )
    id_head, relay_head = _ID_HEADS[len(client_id)], _RELAY_HEADS[len(relay)]
    size = len(packed) + len(form.after) + len(id_head) + len(client_id) + len(relay_head) + len(relay) + 1
    end = _ENDS[max(MIN_PACKET_BYTES - size, 0)]
    return b"".join((packed, form.after, id_head, client_id, relay_head, relay, end))
