"""The option table, and values from strangers shown as text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhcp.option_text import DESCRIBE_MAX_CHARS, OPTIONS, describe
from dhcp.symbols import BUILT_IN, SUN_VENDOR, Category


@pytest.mark.parametrize(
    ("code", "value", "text"),
    [
        (1, b"\xff\xff\xff\0", "subnet-mask 255.255.255.0"),
        (2, b"\xff\xff\xb9\xb0", "time-offset -18000"),
        (3, b"\x0a\0\0\1\x0a\0\0\2", "routers 10.0.0.1 10.0.0.2"),
        (12, b'a"\n\xe9', 'host-name "a\\x22\\x0a\\xe9"'),
        (19, b"\1", "ip-forwarding yes"),
        (25, b"\0\x44\5\xdc", "path-mtu-plateau-table 68 1500"),
        (33, b"\3\0\0\0\x0a\0\0\x1e", "static-routes 3.0.0.0/10.0.0.30"),
        (43, b"\2\1\5\xff", "vendor-specific 2:05"),
        (51, b"\xff\xff\xff\xff", "lease-time forever"),
        (51, b"\0\0\x0e\x10", "lease-time 3600 s"),
        (53, b"\5", "message-type ACK"),
        (55, b"\1\3\6", "parameter-list 1 3 6"),
        (61, b"\1\0\x14", "client-id 010014"),
        (77, b"iPXE", 'user-class "iPXE"'),
        (82, b"\1\3abc", "relay-agent-information 1:616263"),
        (93, b"\0\7", "client-architecture 7"),
        (121, b"\x18\x0a\1\2\x0a\0\0\1", "classless-routes 10.1.2.0/24 by 10.0.0.1"),
        (200, b"\1\2", "option-200 0102"),
    ],
)
def test_describe(code: int, value: bytes, text: str) -> None:
    assert describe(code, value) == text


@pytest.mark.parametrize(
    ("code", "value"),
    [(1, b"\1"), (3, b""), (3, b"\1\2\3"), (19, b"\2"), (53, b"\0"), (82, b"\1\5abc"), (43, b"\1"), (121, b"\x21" * 9)],
)
def test_describe_marks_what_is_malformed(code: int, value: bytes) -> None:
    assert "malformed" in describe(code, value)


@settings(max_examples=200)
@given(st.integers(0, 255), st.binary(max_size=2000))
def test_describe_is_one_bounded_printable_line(code: int, value: bytes) -> None:
    line = describe(code, value)
    assert len(line) <= DESCRIBE_MAX_CHARS
    assert line.isascii()
    assert line.isprintable()


@pytest.mark.parametrize("code", OPTIONS)
def test_describe_bounds_every_shape(code: int) -> None:
    for value in (b"", b"\1" * 8192, b"\xff" * 8192, bytes(8192)):
        assert len(describe(code, value)) <= DESCRIBE_MAX_CHARS


def test_the_table_names_suns_symbols() -> None:
    ours = {row.symbol: row.code for row in OPTIONS.values() if row.symbol}
    assert ours == {row.name: row.code for row in BUILT_IN.values() if row.category is Category.STANDARD}
    assert not ours.keys() & SUN_VENDOR.keys()
    assert len({row.name for row in OPTIONS.values()}) == len(OPTIONS)
