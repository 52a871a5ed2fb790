"""Editing one symbol inside a macro's text, as `dhtadm -M -m macro -e symbol=value` does. Pure text work.

`symbol=value` replaces the symbol's value or appends it; `symbol=` takes the symbol out; `symbol=_NULL_VALUE_` switches
a flag on. The new value is checked, the rest of the macro is not: a macro with two faults can be mended one by one.
The text is written anew with text values in quotes, as Sun's tool does. Where that would alter an item whose symbol
is not known (its quotes might belong to the value or not), the edit is refused instead.
"""

from collections.abc import Mapping

from dhcp.macrotext import Item, check_macro, format_macro, read_items
from dhcp.symbols import Kind, Symbol, SymbolError

FLAG_VALUE = "_NULL_VALUE_"


def check_definition(text: str, symbols: Mapping[str, Symbol]) -> None:
    """Check a whole macro as typed. SymbolError says what is wrong with it."""
    if len(text) < 2 or not (text.startswith(":") and text.endswith(":")):
        raise SymbolError("a macro is written :symbol=value:symbol=value: with colons at both ends")
    check_macro(text, symbols)


def edited_symbol(edit: str) -> str:
    """Name of the symbol that an edit is about. SymbolError if the edit is not symbol=value."""
    name, equals, _ = edit.partition("=")
    if not equals or not name.strip():
        raise SymbolError(f'"{edit}" is no edit: write symbol=value, or symbol= to take the symbol out')
    return name.strip()


def edit_macro(text: str, edit: str, symbols: Mapping[str, Symbol]) -> str:
    """The macro's text with one symbol edited. SymbolError if the edit makes no sense for it."""
    name = edited_symbol(edit)
    value = edit.partition("=")[2]
    items = read_items(text, symbols)
    places = [index for index, item in enumerate(items) if item.name == name]
    if name == "Include" and len(places) > 1:
        raise SymbolError("the macro has several Includes: give the whole macro with -d")
    if not value:
        if not places:
            raise SymbolError(f"the macro has no symbol {name}: nothing to take out")
        items = [item for item in items if item.name != name]
    else:
        item = Item(name, ":") if value == FLAG_VALUE else Item(name, "=", _plain_value(name, value, symbols))
        check_macro(_written([item], symbols), symbols)
        # of several, the last is the one that counts for clients
        items[places[-1] if places else len(items) : places[-1] + 1 if places else len(items)] = [item]
    return _written(items, symbols)


def _plain_value(name: str, value: str, symbols: Mapping[str, Symbol]) -> str:
    """The value without the quotes that a person may have put around it; a bare colon is part of it."""
    if _is_text(name, symbols) and ('"' in value or "\\" in value):
        items = read_items(f":{name}={value}:", symbols)
        if len(items) == 1:
            return items[0].value
    return value.strip()


def _is_text(name: str, symbols: Mapping[str, Symbol]) -> bool:
    symbol = symbols.get(name)
    return name == "Include" or (symbol is not None and symbol.kind is Kind.ASCII)


def _written(items: list[Item], symbols: Mapping[str, Symbol]) -> str:
    for item in items:
        if '"' in item.value + item.name and not _is_text(item.name, symbols):
            raise SymbolError(f"{item.name} is not a text symbol but has quotes: give the whole macro with -d")
    pairs = [
        (f"{item.name}@" if item.action == "@" else item.name, item.value if item.action == "=" else None)
        for item in items
    ]
    return format_macro(pairs, symbols)
