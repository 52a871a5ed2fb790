"""Option values of several parts: read from strangers, and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhcp.options import MessageType, Route, decode_routes, suboptions, user_classes


@pytest.mark.parametrize("data", [b"\x21\x0a\0\0\0\0\1\2\3\4", b"\xff" * 40, b"\x18\x0a\0\0\x0a\0\0", b"\x18"])
def test_routes_that_are_not_whole(data: bytes) -> None:
    with pytest.raises(ValueError, match="prefix"):
        decode_routes(data)


def encoded(route: Route) -> bytes:
    """A route as RFC 3442 has it: only the octets of the network that its prefix covers."""
    significant = route.network.to_bytes(4, "big")[: (route.prefix_bits + 7) // 8]
    return bytes((route.prefix_bits,)) + significant + route.router.to_bytes(4, "big")


@given(st.lists(st.tuples(st.integers(0, 32), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), max_size=5))
def test_routes_round_trip(rows: list[tuple[int, int, int]]) -> None:
    routes = tuple(Route(n & ~(0xFFFFFFFF >> bits) & 0xFFFFFFFF, bits, router) for bits, n, router in rows)
    assert decode_routes(b"".join(map(encoded, routes))) == routes


@given(st.binary(max_size=255))
def test_routes_from_strangers_end(data: bytes) -> None:
    try:
        routes = decode_routes(data)
    except ValueError:
        return
    assert len(routes) <= len(data) // 5


@pytest.mark.parametrize("data", [b"\1", b"\1\2x", b"\1\0\2\xff"])
def test_suboption_overrun(data: bytes) -> None:
    with pytest.raises(ValueError, match="past the end"):
        suboptions(data)


def test_suboptions() -> None:
    assert suboptions(b"\1\2ab\0\2\0\1\1x\xffrest") == {1: b"ab", 2: b""}


@pytest.mark.parametrize(
    ("data", "names"),
    [(b"", ()), (b"\4iPXE", ("iPXE",)), (b"\4iPXE\1x", ("iPXE", "x")), (b"iPXE", ("iPXE",)), (b"\0", ("\0",))],
)
def test_user_classes(data: bytes, names: tuple[str, ...]) -> None:
    assert user_classes(data) == names


def test_message_types_are_numbers() -> None:
    assert [MessageType(1).name, MessageType(8).name, int(MessageType.LEASEACTIVE)] == ["DISCOVER", "INFORM", 13]
