r"""Rows as the database holds them: one table for each kind of row, and the statements over it. Pure.

*One table for all bindings*, keyed by (network, address), rather than one for each network: making a network is then
no DDL (no rights beyond those on rows, no lock on the catalogue, no name to be quoted), a batch over many networks is
one statement, and a person asks for a client in all networks at once. Containers are told apart by a column.

A batch travels as one JSON parameter that `json_to_recordset` takes apart: any number of rows is one statement whose
text never changes, so it is prepared once. A `Shape` says how one column crosses in both directions:

* addresses are `inet` for the eyes of people, and cross as numbers;
* client ids are `bytea`, and cross as hexadecimal digits;
* signatures (and times) up to 2^64 - 1 are `numeric(20)`, and come back shifted into the range of `bigint`;
* texts are `text`. PostgreSQL keeps only valid UTF-8 there, rows may hold any bytes: see `escape`.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from storage.records.rows import IPV4_MAX, Binding, Guest, Install, Key, Row, TabEntry

SCHEMA = "twinboot"

_BIAS = 2**63

_ESCAPED = re.compile("[\\\\\0\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2})|u(d[89a-f][0-9a-f]{2}))")


def escape(text: str) -> str:
    r"""Text as the database can hold it: `\\` for a backslash, `\xHH` for a byte that is not UTF-8 (or NUL).

    Total and reversible; almost every text is its own escape.
    """
    return _ESCAPED.sub(_to_escape, text)


def unescape(text: str) -> str:
    """The text that `escape` was given; a backslash that a person left alone stands for itself."""
    return _ESCAPE.sub(_from_escape, text) if "\\" in text else text


def _to_escape(match: re.Match[str]) -> str:
    char = match[0]
    if char == "\\":
        return "\\\\"
    code = ord(char)
    if code == 0:
        return "\\x00"
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def _from_escape(match: re.Match[str]) -> str:
    byte, code = match[1], match[2]
    if code:
        return chr(int(code, 16))
    if not byte:
        return "\\"
    value = int(byte, 16)
    if value == 0:
        return "\0"
    return chr(0xDC00 + value) if value >= 0x80 else match[0]


class Shape(NamedTuple):
    """How a kind of column is declared, crosses as JSON (SQL over `w`), and comes back (SQL over `r`)."""

    declared: str
    given: str
    put: str
    get: str
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _unbiased(value: int) -> int:
    return value + _BIAS


_UINT = "numeric(20) CHECK ({0} BETWEEN 0 AND 18446744073709551615)"
_ADDRESS = Shape(
    "inet CHECK (family({0}) = 4 AND masklen({0}) = 32)",
    "bigint",
    "'0.0.0.0'::inet + w.{0}",
    "r.{0} - '0.0.0.0'::inet",
    _same,
    _same,
)
_BYTES = Shape("bytea CHECK (octet_length({0}) <= 64)", "text", "decode(w.{0}, 'hex')", "r.{0}", bytes.hex, bytes)
_TEXT = Shape("text", "text", "w.{0}", "r.{0}", escape, unescape)
_UINT8 = Shape("smallint CHECK ({0} BETWEEN 0 AND 255)", "bigint", "w.{0}", "r.{0}", _same, _same)
_UINT32 = Shape("bigint CHECK ({0} BETWEEN 0 AND 4294967295)", "bigint", "w.{0}", "r.{0}", _same, _same)
_UINT64 = Shape(_UINT, "numeric", "w.{0}", f"(r.{{0}} - {_BIAS})::bigint", _same, _unbiased)


def _tab_key(key: Key) -> str:
    assert isinstance(key, tuple)
    return key[1][:1] + escape(key[0])


class Kind(NamedTuple):
    """One kind of row: its table, columns in the order of the row's fields, and its key in the text form of the log."""

    row_type: type[Row]
    table: str
    columns: Mapping[str, Shape]
    keys: tuple[str, ...]
    container: str
    """SQL: the container of a row `r`."""
    key: str
    """SQL: the key of a row `r` as text."""
    match: str
    """SQL: the row `r` is the one with container `w.c` and key `w.k`."""
    owned: str
    """SQL: the container `name` is of this kind."""
    dump_key: Callable[[Key], str]
    load_key: Callable[[str], Key]

    @property
    def selected(self) -> str:
        """SQL: the columns as they come back."""
        return ", ".join(shape.get.format(name) for name, shape in self.columns.items())

    @property
    def given(self) -> str:
        """SQL: what a wish looks like: its container, key, the signature seen, and the row."""
        columns = "".join(f", {name} {shape.given}" for name, shape in self.columns.items())
        return f"json_to_recordset($1::json) AS w(c text, k text, seen numeric{columns})"

    def load(self, values: Sequence[Any]) -> Row:
        """The row of one line of a result."""
        return self.row_type(*[shape.load(value) for shape, value in zip(self.columns.values(), values, strict=True)])

    def wish(self, container: str, key: Key, seen: int | None, row: Row | None) -> dict[str, Any]:
        """One line of the JSON parameter."""
        wish: dict[str, Any] = {"c": container, "k": self.dump_key(key), "seen": seen}
        if row is not None:
            for (name, shape), value in zip(self.columns.items(), row, strict=True):
                wish[name] = shape.dump(value)
        return wish

    def can_hold(self, key: Key) -> bool:
        """Tell whether a key can be looked for at all; addresses beyond 32 bits cannot."""
        return not isinstance(key, int) or 0 <= key <= IPV4_MAX


_BINDINGS = Kind(
    Binding,
    f"{SCHEMA}.bindings",
    {
        "address": _ADDRESS,
        "client_id": _BYTES,
        "flags": _UINT8,
        "owner": _ADDRESS,
        "lease_s": _UINT32,
        "signature": _UINT64,
        "macro": _TEXT,
        "comment": _TEXT,
    },
    ("network", "address"),
    "r.network",
    "(r.address - '0.0.0.0'::inet)::text",
    "r.network = w.c AND r.address = '0.0.0.0'::inet + w.k::bigint",
    "name NOT IN ('dhcptab', 'installs', 'guests')",
    str,
    int,
)
_DHCPTAB = Kind(
    TabEntry,
    f"{SCHEMA}.dhcptab",
    {"name": _TEXT, "kind": _TEXT._replace(declared="text CHECK ({0} IN ('m', 's'))"), "signature": _UINT64}
    | {"value": _TEXT},
    ("name", "kind"),
    "'dhcptab'",
    "r.kind || r.name",
    "r.name = substr(w.k, 2) AND r.kind = left(w.k, 1)",
    "name = 'dhcptab'",
    _tab_key,
    lambda text: (unescape(text[1:]), text[:1]),
)
_INSTALLS = Kind(
    Install,
    f"{SCHEMA}.installs",
    {"host": _TEXT, "state": _TEXT, "target": _TEXT, "token": _TEXT, "changed_s": _UINT64, "server": _ADDRESS}
    | {"signature": _UINT64, "detail": _TEXT},
    ("host",),
    "'installs'",
    "r.host",
    "r.host = w.k",
    "name = 'installs'",
    lambda key: escape(str(key)),
    unescape,
)
_GUESTS = Kind(
    Guest,
    f"{SCHEMA}.guests",
    {"guest": _TEXT, "state": _TEXT, "origin": _TEXT, "domain_kind": _TEXT, "segment": _TEXT, "memory_mib": _UINT32}
    | {"vcpus": _UINT32, "hypervisor": _TEXT, "uuid": _TEXT, "changed_s": _UINT64, "by": _TEXT, "signature": _UINT64}
    | {"links": _TEXT, "work": _TEXT},
    ("guest",),
    "'guests'",
    "r.guest",
    "r.guest = w.k",
    "name = 'guests'",
    lambda key: escape(str(key)),
    unescape,
)
KINDS: Mapping[type[Row], Kind] = {kind.row_type: kind for kind in (_BINDINGS, _DHCPTAB, _INSTALLS, _GUESTS)}


Statement = tuple[str, Sequence[Any]]
"""A text with `$1`, `$2`, ... in it, and the parameters for them."""


class Statements(NamedTuple):
    """The statements over one kind of row. Parameters: the JSON of the wishes, then how many rows must be met."""

    look: str
    insert: str
    update: str
    delete: str
    whole: str
    """Parameter: the container."""
    changed: str
    """Parameters: the container, a version; gives each key changed since, and its row, if there is one."""
    empty: str
    """Parameter: the container, all of whose rows are deleted."""


def _statements(kind: Kind) -> Statements:
    fixed = "network, " if "network" in kind.keys else ""
    names = ", ".join(kind.columns)
    puts = ", ".join(shape.put.format(name) for name, shape in kind.columns.items())
    scope = "w.c, " if fixed else ""
    sets = ", ".join(
        f"{name} = {shape.put.format(name)}" for name, shape in kind.columns.items() if name not in kind.keys
    )
    counted = f"SELECT {SCHEMA}.exactly((SELECT count(*) FROM done), $2)"
    own = f"{kind.container} = $1"
    return Statements(
        look=f"SELECT {kind.container}, {kind.selected} FROM {kind.given} JOIN {kind.table} r ON {kind.match}",
        insert=f"INSERT INTO {kind.table} ({fixed}{names}) SELECT {scope}{puts} FROM {kind.given}",
        update=f"WITH done AS (UPDATE {kind.table} r SET {sets} FROM {kind.given}"
        f" WHERE {kind.match} AND r.signature = w.seen RETURNING 1) {counted}",
        delete=f"WITH done AS (DELETE FROM {kind.table} r USING {kind.given}"
        f" WHERE {kind.match} AND r.signature = w.seen RETURNING 1) {counted}",
        whole=f"SELECT {kind.selected} FROM {kind.table} r WHERE {own}",
        changed="SELECT w.k, r.signature IS NOT NULL, "
        f"{kind.selected} FROM (SELECT DISTINCT container AS c, unnest(keys) AS k FROM {SCHEMA}.changes"
        f" WHERE container = $1 AND version > $2) w LEFT JOIN {kind.table} r ON {kind.match}",
        empty=f"DELETE FROM {kind.table} r WHERE {own}",
    )


STATEMENTS: Mapping[type[Row], Statements] = {row_type: _statements(kind) for row_type, kind in KINDS.items()}


def as_parameter(wishes: Iterable[Mapping[str, Any]]) -> str:
    """Wishes as the one parameter of a statement."""
    return json.dumps(list(wishes), ensure_ascii=False, separators=(",", ":"))
