"""What the functions of dhcpconfig share: writing macros, and changing a table as a whole or not at all."""

from collections.abc import Sequence

from dhcp.cli.common import CommandError
from dhcp.macrotext import check_macro, format_macro
from dhcp.symbols import SymbolError
from storage.records import Change, Outcome, Records, Row, TabEntry, ipv4_int

DHCPTAB = "dhcptab"
LINES_MAX = 20  # faults told one by one


def addresses(option: str, text: str) -> list[int]:
    """The addresses that an option lists, with commas or blanks between. CommandError."""
    try:
        found = [ipv4_int(item) for item in text.replace(",", " ").split()]
    except ValueError as error:
        raise CommandError(f"{option}: {error}: give addresses with commas between") from None
    if not found:
        raise CommandError(f"{option}: no address given: give addresses with commas between")
    return found


def macro_text(items: Sequence[tuple[str, str | None]]) -> str:
    """A macro's text from (symbol, value) pairs, checked. CommandError."""
    text = format_macro(items)
    try:
        check_macro(text)
    except SymbolError as error:
        raise CommandError(str(error)) from None
    return text


def put_macro(records: Records, entry: TabEntry, *, keep: bool = False) -> bool:
    """Add a macro, or replace the one of that name unless `keep`; False if it was kept. CommandError."""
    old = next((row for row in records.read(DHCPTAB).rows if row.key == entry.key), None)
    if old is not None and keep:
        return False
    require_stored(records, [Change(DHCPTAB, old, entry)])
    return True


def require_stored(records: Records, changes: Sequence[Change]) -> None:
    """Commit, and tell all that was refused by a CommandError."""
    refused = [result.detail for result in records.commit(changes) if result.outcome is not Outcome.STORED]
    if refused:
        raise CommandError("\n".join(f"{detail}: look again and repeat the command" for detail in refused))


def networks(records: Records) -> list[str]:
    """Names of the network containers."""
    return [table for table in records.tables() if table[:1].isdigit()]


def commit_whole(records: Records, table: str, changes: Sequence[Change]) -> None:
    """Make all changes of a table or none. CommandError names what was refused; what was stored is taken back."""
    results = records.commit(changes)
    refused = [result.detail or result.outcome.value for result in results if result.outcome is not Outcome.STORED]
    if not refused:
        return
    undo = [
        Change(table, result.row, change.old)
        for change, result in zip(changes, results, strict=True)
        if result.outcome is Outcome.STORED
    ]
    left = sum(result.outcome is not Outcome.STORED for result in records.commit(undo)) if undo else 0
    if left:
        refused.append(f"{table}: {left} rows that were written could not be taken back: look at them")
    raise CommandError("\n".join(first_lines(refused)))


def drop_unchanged(records: Records, table: str, rows: Sequence[Row]) -> None:
    """Remove a table that holds just these rows, with these signatures. CommandError if somebody has changed it."""
    try:
        commit_whole(records, table, [Change(table, row, None) for row in rows])
    except CommandError as error:
        raise CommandError(f"{error}: nothing of {table} was deleted") from None
    if records.read(table).rows:
        raise CommandError(f"{table}: rows were added just now: the table stays with these")
    records.drop(table)


def first_lines(lines: Sequence[str]) -> list[str]:
    """As many lines as a person reads; the others are counted."""
    more = len(lines) - LINES_MAX
    return [*lines[:LINES_MAX], *([f"and {more} more"] if more > 0 else [])]
