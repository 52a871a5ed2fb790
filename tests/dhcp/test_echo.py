"""The ICMP echo: its bytes, whose answers count, and a real socket on loopback where one may be had."""

import select

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhcp.echo import DRAIN_MAX, Echo, open_echo, reply_payload, request
from dhcp.frame import checksum
from storage.records import ipv4_int


class Wire:
    """A socket that answers what the test says."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.waiting: list[tuple[bytes, tuple[str, int]]] = []

    def sendto(self, data: bytes, to: tuple[str, int]) -> None:
        self.sent.append((data, to))

    def recvfrom(self, _: int) -> tuple[bytes, tuple[str, int]]:
        if not self.waiting:
            raise BlockingIOError
        return self.waiting.pop(0)

    def answer(self, sender: str) -> None:
        data, _ = self.sent[-1]
        self.waiting.append((b"\0" + data[1:], (sender, 0)))


def test_a_request_has_a_right_checksum_and_comes_back_as_its_payload() -> None:
    data = request(b"token")
    assert data[0] == 8
    assert checksum(data) == 0
    assert reply_payload(b"\0" + data[1:], has_ip_header=False) == b"token"
    assert reply_payload(b"\x45" + bytes(19) + b"\0" + data[1:], has_ip_header=True) == b"token"
    assert reply_payload(data, has_ip_header=False) is None


@given(st.binary(max_size=64), st.booleans())
def test_no_bytes_stumble(data: bytes, has_ip_header: bool) -> None:
    reply_payload(data, has_ip_header=has_ip_header)


def test_only_the_address_that_was_asked_can_answer() -> None:
    wire = Wire()
    echo = Echo(wire, is_raw=False)  # type: ignore[arg-type] # it sends and receives, which is all that is asked
    echo.ask(ipv4_int("10.0.0.7"))
    assert wire.sent[0][1] == ("10.0.0.7", 0)
    wire.answer("10.0.0.8")
    wire.waiting.append((b"\0\0\0\0\0\0\0\1" + bytes(16), ("10.0.0.7", 0)))
    assert echo.heard() == []
    wire.answer("10.0.0.7")
    assert echo.heard() == [ipv4_int("10.0.0.7")]


def test_a_flood_of_replies_is_drained_by_parts() -> None:
    wire = Wire()
    wire.waiting = [(b"\0" * 24, ("10.0.0.7", 0))] * (DRAIN_MAX + 1)
    assert Echo(wire, is_raw=False).heard() == []  # type: ignore[arg-type] # as above
    assert len(wire.waiting) == 1


def test_without_permission_for_either_kind_there_is_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("dhcp.echo.socket.socket", refuse)
    assert open_echo("lo") is None


@pytest.mark.root
def test_loopback_answers() -> None:
    echo = open_echo("lo")
    assert echo is not None
    poll = select.poll()
    poll.register(echo.fileno(), select.POLLIN)
    echo.ask(ipv4_int("127.0.0.77"))
    assert poll.poll(2000)
    assert echo.heard() == [ipv4_int("127.0.0.77")]
    echo.close()
