"""The text form of `dhcpconfig -X` and `-I`: tables of a datastore in one file. Pure: rows <-> bytes.

    # twinboot exchange 1
    [dhcptab]
    GrubMenu|s|0|Site,150,ASCII,1,0
    [192.168.76.0]
    192.168.76.10|00|00|192.168.76.1|0|0|pxe1|
    [end]

A section for each table, its rows as in the text containers (docs/records.md) with signature 0, for a signature means
nothing in another datastore. Blank lines and lines that begin with `#` may stand anywhere after the first. The last
line tells a whole file from one that was cut off. Equal tables give equal bytes: rows are sorted by their keys.
"""

from collections.abc import Iterable, Mapping

from dhcp.cli.config_tables import first_lines
from storage.records import Key, Row, TabEntry, ipv4_int
from storage.records.codec import LineError, codec_for
from storage.records.judge import key_text

FIRST_LINE = b"# twinboot exchange 1"
END = "end"
FILE_MAX_BYTES = 256 * 1024 * 1024
COLUMNS = {
    "dhcptab": b"# name|type|0|value",
    "": b"# address|client id|flags|server|lease|0|macro|comment",
}
"""Heads of the sections; "" is that of a network."""

Tables = dict[str, list[Row]]


class ExchangeError(ValueError):
    """The file cannot be taken; one line for each fault, with its number in the file."""


def render(tables: Mapping[str, Iterable[Row]]) -> bytes:
    """Write tables as one file. ValueError for the name of a table that does not belong into it."""
    lines = [FIRST_LINE]
    for name in sorted(tables, key=_place):
        render_row = codec_for(name).render
        lines += [b"", b"[%s]" % name.encode(), COLUMNS.get(name, COLUMNS[""])]
        rows = sorted(tables[name], key=_order)
        lines += [render_row(row._replace(signature=0)) for row in rows]
    lines += [b"", b"[%s]" % END.encode(), b""]
    return b"\n".join(lines)


def _place(name: str) -> int:
    """The dhcptab first, then networks by number."""
    return -1 if name == "dhcptab" else ipv4_int(name)


def _order(row: Row) -> tuple[bool, Key]:
    """Symbols before the macros that use them."""
    return (not isinstance(row, TabEntry) or row.kind == "m", row.key)


def parse(data: bytes) -> Tables:
    """Read a file back. ExchangeError names all that is wrong with it."""
    first, *lines = data.split(b"\n")
    if first != FIRST_LINE:
        told = "it has carriage returns" if first == FIRST_LINE + b"\r" else "its first line is not that of an export"
        raise ExchangeError(f"line 1: {told}: give a file that `dhcpconfig -X` wrote")
    reader = _Reader()
    for number, line in enumerate(lines, start=2):
        if line and not line.startswith(b"#"):
            reader.take(number, line)
    return reader.finish(len(lines) + 1)


class _Reader:
    """Sorts lines into tables and collects faults."""

    def __init__(self) -> None:
        self._tables: Tables = {}
        self._seen: dict[tuple[str, Key], int] = {}
        self._faults: list[str] = []
        self._table: str | None = None
        self._ended = False

    def take(self, number: int, line: bytes) -> None:
        """One line that says something."""
        if self._ended:
            self._fault(number, "stands after [end]: take it out, or put it into its section")
        elif line.startswith(b"[") and b"|" not in line:
            self._begin(number, line)
        elif self._table is None:
            self._fault(number, "stands before the first section: put it under its [dhcptab] or [network]")
        elif self._table:
            self._row(number, line, self._table)

    def _begin(self, number: int, line: bytes) -> None:
        name = line.decode("ascii", "replace")[1:-1] if line.endswith(b"]") else ""
        if name == END:
            self._ended = True
        elif not _is_table(name):
            self._fault(number, f"{line.decode(errors='replace')!r} is no section: write [dhcptab] or [192.168.76.0]")
            self._table = ""  # its rows mean nothing then
        elif name in self._tables:
            self._fault(number, f"the section {name} begins a second time: join the two")
            self._table = name
        else:
            self._tables[name] = []
            self._table = name

    def _row(self, number: int, line: bytes, table: str) -> None:
        try:
            row = codec_for(table).parse(line)
        except LineError as error:
            self._fault(number, f"of {table} {error}")
            return
        first = self._seen.setdefault((table, row.key), number)
        if first != number:
            self._fault(number, f"{key_text(row.key)} of {table} stands in line {first} already: keep one")
            return
        self._tables[table].append(row._replace(signature=0))

    def _fault(self, number: int, reason: str) -> None:
        self._faults.append(f"line {number}: {reason}")

    def finish(self, number: int) -> Tables:
        """The tables, if the file was whole and good."""
        if not self._ended:
            self._fault(number, "the file ends without [end]: it was cut off, export it again")
        if self._faults:
            raise ExchangeError("\n".join(first_lines(self._faults)))
        return self._tables


def _is_table(name: str) -> bool:
    if name == "dhcptab":
        return True
    try:
        return ipv4_int(name) > 0
    except ValueError:
        return False
