"""What the functions of dhcpconfig share: writing macros, and the tables they are written to."""

from collections.abc import Sequence

from dhcp.cli.common import CommandError
from dhcp.macrotext import check_macro, format_macro
from dhcp.symbols import SymbolError
from storage.records import Change, Outcome, Records, TabEntry, ipv4_int

DHCPTAB = "dhcptab"


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
