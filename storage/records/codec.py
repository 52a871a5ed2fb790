r"""Rows as lines of text: one codec for each kind of row, both ways.

The formats are those of Sun's SUNWfiles containers, version 1 (fields as in `dhcp_network(4)` and `dhcptab(4)`):

    binding   address|CLIENTID|flags|owner|lease|signature|macro|comment
    dhcptab   name|type|signature|value
    installs  host|state|target|server|changed|signature|token|detail       (ours, in the same manner)
    guests    guest|state|origin|kind|segment|memory|vcpus|hypervisor|uuid|changed|by|signature|links|work

A `|` inside a text is written `\|`; nothing else is escaped. The last field takes the rest of the line, so a bare
`|` is accepted there; the value of a dhcptab row is neither escaped nor unescaped.

Readers are exactly as tolerant as Sun's: hexadecimal digits of either case, numbers as C's atoi takes them
(leading digits count, the rest is ignored), lease and flags cut to their width, a lease of -1 for "never",
signatures modulo 2^64, `macro` for the type `m`. Whatever Sun's reader would overlook is a `LineError` here: fewer
fields than the kind has, a client id that is not hexadecimal, a key that its own look-up would not find.
"""

import re
import socket
from binascii import Error as HexError
from binascii import hexlify, unhexlify
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from storage.records.rows import (
    IPV4_MAX,
    MACRO,
    SIGNATURE_MASK,
    SYMBOL,
    Binding,
    Guest,
    Install,
    Key,
    Row,
    TabEntry,
    ipv4_int,
    ipv4_text,
)

CLIENT_ID_MAX_BYTES: Final = 64
DIGITS_MAX: Final = 40
"""Longest number read: twice what 64 bits need; it bounds the work of one hostile line."""

_BARE_BAR: Final = re.compile(rb"(?<!\\)\|")
_NUMBER: Final = re.compile(rb"[ \t]*([+-]?[0-9]{1,%d})(?![0-9])" % DIGITS_MAX)


class LineError(ValueError):
    """A line is not a row; the text says why."""


class Codec(NamedTuple):
    """One kind of row: its type, row -> key, line -> row (LineError), row -> line, line -> the key it claims."""

    row_type: type[Row]
    key: Callable[[Row], Key]
    parse: Callable[[bytes], Row]
    render: Callable[[Row], bytes]
    claimed_key: Callable[[bytes], Key | None]


def encode_text(text: str) -> bytes:
    """Bytes of a row's text; UnicodeEncodeError if it holds code points that no bytes stand for."""
    return text.encode("utf-8", "surrogateescape")


def decode_text(data: bytes) -> str:
    """Text of a row's bytes; any bytes are accepted and encode back to themselves."""
    return data.decode("utf-8", "surrogateescape")


@lru_cache(maxsize=4096)  # most rows of a table share their texts
def _escaped(text: str) -> bytes:
    return encode_text(text).replace(b"|", b"\\|")


def _unescaped(data: bytes) -> str:
    return data.replace(b"\\|", b"|").decode("utf-8", "surrogateescape")


def _fields(line: bytes, count: int) -> list[bytes]:
    if b"\0" in line:
        raise LineError("holds a NUL byte")
    fields = _BARE_BAR.split(line, count - 1) if b"\\" in line else line.split(b"|", count - 1)
    if len(fields) != count:
        raise LineError(f"has {len(fields)} fields instead of {count}")
    return fields


def _number(field: bytes, name: str, mask: int) -> int:
    if field.isdigit() and len(field) <= DIGITS_MAX:
        return int(field) & mask
    match = _NUMBER.match(field)
    if match is None:
        raise LineError(f"{name} {decode_text(field)!r} is not a number")
    return int(match[1]) & mask


@lru_cache(maxsize=256)  # a cluster has a handful of servers; bounded for files that have nonsense there
def _server(field: bytes) -> int:
    try:
        return int.from_bytes(socket.inet_aton(field.decode("ascii")), "big")
    except (OSError, ValueError) as error:
        raise LineError(f"server address {decode_text(field)!r} is not an address") from error


def _address(field: bytes) -> int:
    try:
        return ipv4_int(field.decode("ascii"))
    except ValueError as error:
        raise LineError(f"address {decode_text(field)!r} is not a plain dotted address") from error


def _client_id(field: bytes) -> bytes:
    try:
        client_id = unhexlify(field)
    except HexError as error:
        raise LineError(f"client id {decode_text(field)!r} is not pairs of hexadecimal digits") from error
    if len(client_id) > CLIENT_ID_MAX_BYTES:
        raise LineError(f"client id has {len(client_id)} bytes, at most {CLIENT_ID_MAX_BYTES} are allowed")
    return client_id


def _parse_binding(line: bytes) -> Binding:
    address, client_id, flags, owner, lease, signature, macro, comment = _fields(line, 8)
    server: Any = _server(owner)  # any, so that the compiled build keeps the object that all rows have in common
    fields = (
        _address(address),
        _client_id(client_id),
        _number(flags, "flags", 0xFF),
        server,
        _number(lease, "lease", 0xFFFFFFFF),
        _number(signature, "signature", SIGNATURE_MASK),
        _macro(macro),
        _unescaped(comment),
    )
    return tuple.__new__(Binding, fields)  # a hundred thousand of them: `Binding` itself takes four times as long


_macro: Final = lru_cache(maxsize=256)(_unescaped)  # rows have few macros among them, and then one text for each


def render_binding(row: Row) -> bytes:
    """The line of a binding."""
    assert isinstance(row, Binding)
    address, client_id, flags, owner, lease_s, signature, macro, comment = row
    return b"%s%d|%s|%s|%d|%d|%s" % (
        _prefix(address >> 8),
        address & 0xFF,
        hexlify(client_id).upper(),
        _held(flags, owner),
        lease_s,
        signature,
        _texts(macro, comment),
    )


@lru_cache(maxsize=4096)  # a million addresses
def _prefix(high: int) -> bytes:
    return ipv4_text(high << 8).removesuffix("0").encode()


@lru_cache(maxsize=1024)  # as in `_server`
def _held(flags: int, owner: int) -> bytes:
    return b"%02d|%s" % (flags, ipv4_text(owner).encode())


@lru_cache(maxsize=4096)  # most rows of a table share their texts
def _texts(macro: str, comment: str) -> bytes:
    return b"%s|%s" % (_escaped(macro), _escaped(comment))


def _claimed_address(line: bytes) -> Key | None:
    try:
        return _address(line.partition(b"|")[0])
    except LineError:
        return None


def _joined(line: bytes) -> bytes:
    """A dhcptab line without its continuation marks. Sun's reader loses one byte at each; this one none."""
    return line.replace(b"\\\n", b"")


def _parse_tab(line: bytes) -> TabEntry:
    name, kind, signature, value = _fields(_joined(line), 4)
    if not name:
        raise LineError("has no name")
    letter = kind[:1].decode("latin-1")
    if letter not in (MACRO, SYMBOL):
        raise LineError(f"type {decode_text(kind)!r} is neither m nor s")
    return TabEntry(_unescaped(name), letter, _number(signature, "signature", SIGNATURE_MASK), decode_text(value))


def _render_tab(row: Row) -> bytes:
    assert isinstance(row, TabEntry)
    return b"%s|%s|%d|%s" % (_escaped(row.name), row.kind.encode(), row.signature, encode_text(row.value))


def _claimed_entry(line: bytes) -> Key | None:
    name, *rest = _BARE_BAR.split(_joined(line), 2)
    letter = rest[0][:1].decode("latin-1") if rest else ""
    return (_unescaped(name), letter) if letter in (MACRO, SYMBOL) else None


def _parse_install(line: bytes) -> Install:
    host, state, target, server, changed, signature, token, detail = _fields(line, 8)
    if not host:
        raise LineError("has no host")
    return Install(
        host=_unescaped(host),
        state=_unescaped(state),
        target=_unescaped(target),
        token=_unescaped(token),
        changed_s=_number(changed, "time of change", SIGNATURE_MASK),
        server=_server(server),
        signature=_number(signature, "signature", SIGNATURE_MASK),
        detail=_unescaped(detail),
    )


def _render_install(row: Row) -> bytes:
    assert isinstance(row, Install)
    return b"%s|%s|%s|%s|%d|%d|%s|%s" % (
        _escaped(row.host),
        _escaped(row.state),
        _escaped(row.target),
        ipv4_text(row.server).encode(),
        row.changed_s,
        row.signature,
        _escaped(row.token),
        _escaped(row.detail),
    )


def _claimed_word(line: bytes) -> Key | None:
    return _unescaped(_BARE_BAR.split(line, 1)[0]) or None


_GUEST_NUMBERS: Final = {
    "memory_mib": IPV4_MAX,
    "vcpus": IPV4_MAX,
    "changed_s": SIGNATURE_MASK,
    "signature": SIGNATURE_MASK,
}


def _parse_guest(line: bytes) -> Guest:
    fields = dict(zip(Guest._fields, _fields(line, len(Guest._fields)), strict=True))
    if not fields["guest"]:
        raise LineError("has no guest")
    numbers = {name: _number(fields.pop(name), name, mask) for name, mask in _GUEST_NUMBERS.items()}
    return Guest(**numbers, **{name: _unescaped(field) for name, field in fields.items()})  # type: ignore[arg-type]


def _render_guest(row: Row) -> bytes:
    assert isinstance(row, Guest)
    return b"|".join(b"%d" % value if isinstance(value, int) else _escaped(value) for value in row)


BINDING: Final = Codec(Binding, itemgetter(0), _parse_binding, render_binding, _claimed_address)
TAB_ENTRY: Final = Codec(TabEntry, itemgetter(0, 1), _parse_tab, _render_tab, _claimed_entry)
INSTALL: Final = Codec(Install, itemgetter(0), _parse_install, _render_install, _claimed_word)
GUEST: Final = Codec(Guest, itemgetter(0), _parse_guest, _render_guest, _claimed_word)

_NAMED_TABLES: Final = {"dhcptab": TAB_ENTRY, "installs": INSTALL, "guests": GUEST}


@lru_cache(maxsize=4096)  # asked for every change; a site has fewer networks
def codec_for(table: str) -> Codec:
    """The codec of a table's rows; ValueError if the name is neither one of ours nor a network number."""
    codec = _NAMED_TABLES.get(table)
    if codec is not None:
        return codec
    try:
        ipv4_int(table)
    except ValueError as error:
        tables = ", ".join(_NAMED_TABLES)
        raise ValueError(f"{table!r} is no table: use {tables} or a network such as 192.168.76.0") from error
    return BINDING
