import pytest

from pxe.content import Refused, TextContent, Why
from pxe.tftp_requests import Denied, read_request, wanted
from pxe.tftp_sockets import Datagram
from pxe.tftp_wire import Code, Mode, Opcode, Request

PEER = ("192.0.2.9", 2070)
READ = b"\0\1file\0octet\0"


def test_a_read_request_is_taken():
    request = Request(Opcode.RRQ, "file", Mode.OCTET, ())
    assert read_request(Datagram(READ, PEER, "192.0.2.1")) == (request, "192.0.2.1")


@pytest.mark.parametrize(
    ("datagram", "code"),
    [
        (Datagram(READ, PEER, None), None),  # a broadcast
        (Datagram(READ, ("192.0.2.9", 0), "192.0.2.1"), None),
        (Datagram(b"\0\4\0\1", PEER, "192.0.2.1"), None),
        (Datagram(b"\0\2file\0octet\0", PEER, "192.0.2.1"), Code.ACCESS),
        (Datagram(b"\0\1file\0mail\0", PEER, "192.0.2.1"), Code.ILLEGAL),
    ],
)
def test_what_is_denied_has_its_error_or_silence(datagram, code):
    with pytest.raises(Denied) as caught:
        read_request(datagram)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("why", "code"), [(Why.NOT_FOUND, Code.NOT_FOUND), (Why.ACCESS, Code.ACCESS), (Why.UNAVAILABLE, Code.UNDEFINED)]
)
def test_each_refusal_of_the_resolver_has_its_error(why, code):
    def refuse(name, client):
        raise Refused(why, f"no {name} for {client}")

    with pytest.raises(Denied, match=r"no file for 192\.0\.2\.9") as caught:
        wanted(Request(Opcode.RRQ, "file", Mode.OCTET, ()), PEER[0], refuse)
    assert caught.value.code is code


def test_the_resolver_learns_who_asks():
    content = wanted(Request(Opcode.RRQ, "file", Mode.OCTET, ()), PEER[0], lambda *asked: TextContent(b"", str(asked)))
    assert content.name == "('file', '192.0.2.9')"
