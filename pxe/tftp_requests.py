"""What comes to the request port: a read request that may be tried, or the reason why not.

RFC 1123 4.2.3.4: a broadcast is not answered. A write request gets "access violation", what is malformed
the error that `tftp_wire` names, and a packet that belongs to a transfer silence, since an answer to it
could meet a server that answers too.
"""

from __future__ import annotations

from pxe.content import Content, Refused, Resolver, Why
from pxe.tftp_sockets import Datagram
from pxe.tftp_wire import Code, Malformed, Opcode, Request, parse

# why the resolver refuses -> TFTP error
REFUSALS = {Why.NOT_FOUND: Code.NOT_FOUND, Why.ACCESS: Code.ACCESS, Why.UNAVAILABLE: Code.UNDEFINED}

READ_ONLY = "this server is read only: put the file into its boot tree"


class Denied(Exception):  # noqa: N818 - an answer, not an error of the program
    """A request that gets an ERROR (or silence, where `code` is None) instead of a transfer."""

    def __init__(self, code: Code | None, text: str) -> None:
        super().__init__(text)
        self.code = code


def read_request(datagram: Datagram) -> tuple[Request, str]:
    """The read request in this datagram, and which of our addresses was asked. Raises Denied."""
    local = datagram.local
    if local is None or not datagram.peer[1]:
        raise Denied(None, "broadcast, or from port 0")
    try:
        request = parse(datagram.data)
    except Malformed as malformed:
        raise Denied(malformed.code, str(malformed)) from None
    if not isinstance(request, Request):
        raise Denied(None, f"a stray {type(request).__name__} at the request port")
    if request.opcode is Opcode.WRQ:
        raise Denied(Code.ACCESS, READ_ONLY)
    return request, local


def wanted(request: Request, client: str, resolver: Resolver) -> Content:
    """What the request names. Raises Denied."""
    try:
        return resolver(request.name, client)
    except Refused as refused:
        raise Denied(REFUSALS[refused.why], str(refused)) from None
