"""May this change be made? Pure decisions, the same for every adapter.

First the rules of the signature (add, modify and delete as Sun's `dhcp_modules(5)` has them), then a look at the
new row: what the format could not carry, or what Sun's reader would lose, is refused with a reason before it is
written. Only fields that the change alters are looked at, so that a row some other tool wrote beyond our limits
can still be renewed.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple

from storage.records.codec import CLIENT_ID_MAX_BYTES, Codec, LineError, codec_for, encode_text, render_binding
from storage.records.port import Change, Outcome
from storage.records.rows import (
    IPV4_MAX,
    KNOWN_FLAGS,
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

MACRO_MAX_BYTES: Final = 128
COMMENT_MAX_BYTES: Final = 48
VALUE_MAX_BYTES: Final = 65_536
"""Far above any real macro (a reply has a few kilobytes at most); it bounds one line."""
WORD_MAX_BYTES: Final = 255
BACKSLASH: Final = 0x5C
"""As a number: a byte is looked for in bytes at once, bytes in bytes only after an exception."""
DETAIL_MAX_BYTES: Final = 1024


class Verdict(NamedTuple):
    """`outcome` STORED with the row (None for a delete) and its line, or another outcome and the reason."""

    outcome: Outcome
    detail: str = ""
    row: Row | None = None
    line: bytes = b""


def random_generation() -> int:
    """16 random bits; from the kernel, so that forked processes do not draw alike."""
    return int.from_bytes(os.urandom(2), "big")


def new_signature(generation: int) -> int:
    """Signature of a new row: 16 random bits of generation above a counter that starts at 1.

    The generation tells a row from one that was deleted and added again.
    """
    return (generation & 0xFFFF) << 48 | 1


def next_signature(signature: int) -> int:
    """Signature after one more change."""
    return (signature + 1) & SIGNATURE_MASK


def judge(change: Change, rows: Mapping[Key, Row], shadowed: Collection[Key], generation: Callable[[], int]) -> Verdict:
    """Decide on one change, given the table's rows by key.

    `shadowed` are keys that a quarantined line claims as well: such a row may be altered in place, but neither
    removed nor added, for the quarantined line would then become, or already be, that row for another reader.
    """
    try:
        codec = codec_for(change.table)
    except ValueError as error:
        return Verdict(Outcome.INVALID, str(error))
    old, new = change.old, change.new
    kind = codec.row_type
    if (old is None and new is None) or type(old or new) is not kind or type(new or old) is not kind:
        return Verdict(Outcome.INVALID, f"a change of {change.table} needs a {codec.row_type.__name__}")
    if old is None:
        assert new is not None
        return _judge_add(codec, change.table, new, rows, shadowed, generation)
    return _judge_known(codec, change.table, old, new, rows, shadowed)


def renewed(change: Change, rows: Mapping[Key, Row]) -> tuple[Binding, bytes] | None:
    """The binding as it is to be stored, and its line, where all that a change alters is who has it and until when.

    That is the change that every packet makes, so it is decided without looking at each field. None: ask `judge`.
    Where the new row bears the signature that is due anyway, it is taken as it is.
    """
    old, new = change.old, change.new
    if type(old) is not Binding or type(new) is not Binding:
        return None
    stored = rows.get(old.address)
    if type(stored) is not Binding:
        return None
    address, client_id, flags, owner, lease_s, proposed, macro, comment = new
    was_address, was_id, was_flags, was_owner, was_lease_s, signature, was_macro, was_comment = stored
    if (
        address != was_address
        or old.signature != signature
        or flags != was_flags
        or owner != was_owner
        or macro != was_macro
        or comment != was_comment
        or (client_id != was_id and not 1 <= len(client_id) <= CLIENT_ID_MAX_BYTES)
        or (lease_s != was_lease_s and not 0 <= lease_s <= IPV4_MAX)
    ):
        return None
    due = next_signature(signature)
    if due != proposed:
        new = Binding(address, client_id, flags, owner, lease_s, due, macro, comment)
    line = render_binding(new)
    return None if BACKSLASH in line else (new, line)  # what is quoted is read back before it is believed


def _judge_add(
    codec: Codec,
    table: str,
    new: Row,
    rows: Mapping[Key, Row],
    shadowed: Collection[Key],
    generation: Callable[[], int],
) -> Verdict:
    if new.key in rows:
        return Verdict(Outcome.EXISTS, f"{table} already has {key_text(new.key)}")
    if new.key in shadowed:
        return Verdict(Outcome.EXISTS, f"{table} has a damaged row for {key_text(new.key)}: mend or delete that line")
    return _written(codec, table, _signed(new, new_signature(generation())), None)


def _judge_known(
    codec: Codec, table: str, old: Row, new: Row | None, rows: Mapping[Key, Row], shadowed: Collection[Key]
) -> Verdict:
    key = codec.key(old)
    moves = new is not None and codec.key(new) != key
    if new is not None and moves and (new.key in rows or new.key in shadowed):
        return Verdict(Outcome.EXISTS, f"{table} already has {key_text(new.key)}")
    stored = rows.get(key)
    if stored is None:
        return Verdict(Outcome.NOT_FOUND, f"{table} has no {key_text(key)}")
    # Sun's tools delete with signature 0 to say "whatever is there"
    unconditional = new is None and old.signature == 0
    if not unconditional and stored.signature != old.signature & SIGNATURE_MASK:
        return Verdict(Outcome.COLLISION, f"{key_text(key)} of {table} was changed by somebody else")
    if (new is None or moves) and key in shadowed:
        return Verdict(
            Outcome.INVALID, f"{table} has a second, damaged row for {key_text(key)}: delete that line first"
        )
    if new is None:
        return Verdict(Outcome.STORED)
    return _written(codec, table, _signed(new, next_signature(stored.signature)), stored)


def key_text(key: Key) -> str:
    """A key as people write it."""
    if isinstance(key, int):
        return ipv4_text(key) if 0 <= key <= IPV4_MAX else str(key)
    return key if isinstance(key, str) else " ".join(key)


def _written(codec: Codec, table: str, row: Row, stored: Row | None) -> Verdict:
    reason, only_figures = _look(table, row, stored)
    if not reason:
        line = codec.render(row)
        if only_figures and BACKSLASH not in line:
            return Verdict(Outcome.STORED, "", row, line)  # figures that are in their ranges read back as they are
        try:
            if codec.parse(line) == row:
                return Verdict(Outcome.STORED, "", row, line)
            reason = "would read back as another row"
        except LineError as error:
            reason = f"could not be read back: it {error}"
    return Verdict(Outcome.INVALID, f"{key_text(row.key)} of {table}: {reason}")


def _signed(row: Row, signature: int) -> Row:
    make, at = _MAKERS[type(row)]
    return make((*row[:at], signature, *row[at + 1 :]))  # _replace takes three times as long


def _look(table: str, row: Row, stored: Row | None) -> tuple[str, bool]:
    """Look at the fields that differ from the stored row: why one is refused, and whether all of them are figures."""
    kind = type(row)
    before: tuple[object, ...] = _NOTHING[kind] if stored is None else stored
    only_figures = True
    for value, was, (name, check, is_figure) in zip(row, before, _FIELDS[kind], strict=True):
        if value is not was and value != was:
            reason = check(value)
            if reason:
                return f"{name} {reason}", False
            only_figures = only_figures and is_figure
    if isinstance(row, Binding) and row.address != before[0]:
        network = ipv4_int(table)
        if network and (row.address ^ network) >= network & -network:
            return f"the address cannot lie in a network numbered {table}", False
    return "", only_figures


def _whole(high: int) -> Callable[[int], str]:
    return lambda value: "" if 0 <= value <= high else f"{value} is not between 0 and {high}"


def _text(limit_bytes: int, *, is_key: bool = False) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            data = encode_text(text)
        except UnicodeEncodeError:
            return "has characters that cannot be written as bytes"
        if len(data) > limit_bytes:
            return f"has {len(data)} bytes, at most {limit_bytes} fit"
        if any(byte in data for byte in b"\n\r\0"):
            return "holds a line feed, carriage return or NUL: a row is one line"
        if data.endswith(b"\\"):
            return "ends in a backslash, which would swallow the separator or line end after it"
        if is_key and data[:1] in (b"", b"#"):
            return "is empty or begins with #, which would make it a comment"
        return ""

    return check


def _client_id(value: bytes) -> str:
    if 1 <= len(value) <= CLIENT_ID_MAX_BYTES:
        return ""
    return f"has {len(value)} bytes, not 1 to {CLIENT_ID_MAX_BYTES}"


def _flags(value: int) -> str:
    return "" if value & ~KNOWN_FLAGS == 0 else f"{value} has bits beyond {KNOWN_FLAGS}"


def _anything(_: object) -> str:
    return ""


def _kind(value: str) -> str:
    return "" if value in (MACRO, SYMBOL) else f"{value!r} is neither m nor s"


# by field name: a name means the same in every kind of row
_CHECKS: dict[str, Callable[..., str]] = {
    "address": _whole(IPV4_MAX),
    "client_id": _client_id,
    "flags": _flags,
    "owner": _whole(IPV4_MAX),
    "lease_s": _whole(IPV4_MAX),
    "macro": _text(MACRO_MAX_BYTES),
    "comment": _text(COMMENT_MAX_BYTES),
    "name": _text(MACRO_MAX_BYTES, is_key=True),
    "kind": _kind,
    "value": _text(VALUE_MAX_BYTES),
    "host": _text(WORD_MAX_BYTES, is_key=True),
    "state": _text(WORD_MAX_BYTES),
    "target": _text(WORD_MAX_BYTES),
    "token": _text(WORD_MAX_BYTES),
    "changed_s": _whole(SIGNATURE_MASK),
    "server": _whole(IPV4_MAX),
    "detail": _text(DETAIL_MAX_BYTES),
    "guest": _text(WORD_MAX_BYTES, is_key=True),
    "origin": _text(WORD_MAX_BYTES),
    "domain_kind": _text(WORD_MAX_BYTES),
    "segment": _text(WORD_MAX_BYTES),
    "memory_mib": _whole(IPV4_MAX),
    "vcpus": _whole(IPV4_MAX),
    "hypervisor": _text(WORD_MAX_BYTES),
    "uuid": _text(WORD_MAX_BYTES),
    "by": _text(WORD_MAX_BYTES),
    "links": _text(DETAIL_MAX_BYTES),
    "work": _text(DETAIL_MAX_BYTES),
}
_KINDS: tuple[type[Row], ...] = (Binding, TabEntry, Install, Guest)
_FIGURES: dict[type[Row], frozenset[str]] = {Binding: frozenset({"client_id", "flags", "lease_s", "signature"})}
"""Fields written in digits, of the kind of row that changes for every packet: only there is it worth it."""

_FIELDS: Final = {
    kind: tuple((name, _CHECKS.get(name, _anything), name in _FIGURES.get(kind, ())) for name in kind._fields)
    for kind in _KINDS
}
_MAKERS: dict[type[Row], tuple[Callable[[Iterable[object]], Row], int]] = {
    kind: (kind._make, kind._fields.index("signature")) for kind in _KINDS
}
_NOTHING: dict[type[Row], tuple[object, ...]] = {kind: (None,) * len(kind._fields) for kind in _KINDS}
