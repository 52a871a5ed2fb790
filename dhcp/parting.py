"""RELEASE and DECLINE: what becomes of a binding whose client gives it up. Neither is answered.

Both count only while they are young, when they are decided about and when their commit begins: their sender may hold
the address anew, by the other server's word.
"""

from typing import Final

from dhcp import options as o
from dhcp.decision import Decision, noted, silent
from dhcp.options import MessageType
from dhcp.world import Asked
from storage.records import FREE_ID, MANUAL, UNUSABLE

MAX_S: Final = 1.0
"""How old they may be."""

MESSAGES: Final = frozenset({MessageType.RELEASE, MessageType.DECLINE})
KINDS: Final = frozenset({"dhcp.release", "dhcp.decline"})
"""Of the decisions that carry them out."""

STALE: Final = "a RELEASE or DECLINE that waited too long to be true still"


def release(asked: Asked) -> Decision:
    """Decide about a RELEASE: the client gives its address back."""
    address = asked.request.ciaddr
    if not address:
        return silent(asked, "no-address")
    row = asked.view.rows.get(address)
    if row is None or not asked.owns(row) or not asked.view.is_ours(row):
        return silent(asked, "unknown-binding")
    if row.flags & MANUAL:
        return silent(asked, "reserved")
    new = row._replace(client_id=FREE_ID, lease_s=0)
    return noted(asked, "dhcp.release", row, new)


def decline(asked: Asked) -> Decision:
    """Decide about a DECLINE: the client found its new address in use, so that nobody is to get it."""
    if asked.wanted is None:
        return silent(asked, "no-address")
    server_id = asked.request.options.get(o.SERVER_ID)
    if server_id is not None and not asked.is_to_us(server_id):
        return silent(asked, "other-server")
    row = asked.view.rows.get(asked.wanted)
    if row is None or not asked.owns(row) or not asked.view.is_ours(row):
        return silent(asked, "unknown-binding")
    new = row._replace(flags=row.flags | UNUSABLE)
    if not row.flags & MANUAL:
        new = new._replace(client_id=FREE_ID, lease_s=0)
    return noted(asked, "dhcp.decline", row, new)
