"""The macro language of the dhcptab: text <-> items <-> checked steps.

A macro is `:symbol=value:flag:symbol@:Include=other:` (dhcptab(4)). `=` sets, a bare name switches a flag on, `@`
takes back what came before it, `Include` merges another macro at that place. Text before the first `:` is skipped.
In text values `"` toggles quoting and `\\` takes the next character as it is, and white space at the end is cut off;
every other value ends at the next `:`, quotes or not.

Every fault is a `SymbolError` with one sentence. The patterns below take time in proportion to the text, whatever it
is.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dhcp.symbols import BUILT_IN, RESERVED, Kind, Symbol, SymbolError, encode_value, unknown_symbol

_ITEM = re.compile(r"\s*([^:=@]*)([:=@]|\Z)")
_TEXT = re.compile(r'((?:[^":\\]|\\.|"(?:[^"\\]|\\.)*")*)(:|\Z)', re.DOTALL)
_PLAIN = re.compile(r"([^:]*)(:|\Z)", re.DOTALL)
_QUOTING = re.compile(r'\\(.)|"', re.DOTALL)
_NEEDS_QUOTES = re.compile(r'[:"\\]|^\s|\s$')


class Item(NamedTuple):
    """One step of a macro's text: `action` is "=" (set), ":" (flag) or "@" (take back); `value` has its quotes off."""

    name: str
    action: str
    value: str = ""


def read_items(text: str, symbols: Mapping[str, Symbol] = BUILT_IN) -> list[Item]:
    """Split a macro's text into its items, without looking at values; SymbolError if it cannot be split."""
    items: list[Item] = []
    at = text.find(":") + 1
    if at == 0:
        raise SymbolError("a macro is written :symbol=value:symbol=value: with colons at both ends")
    while at < len(text):
        head = _ITEM.match(text, at)
        assert head is not None  # every part of the pattern may be empty
        name, action, at = head[1].rstrip(), head[2] or ":", head.end()
        if action == ":":
            if name:
                items.append(Item(name, action))
            continue
        symbol = symbols.get(name)
        is_text = action == "=" and (name == "Include" or (symbol is not None and symbol.kind is Kind.ASCII))
        body = (_TEXT if is_text else _PLAIN).match(text, at)
        if body is None:
            raise SymbolError(f"{name}: a double quote is not closed, or the text ends in a backslash")
        at = body.end()
        if action == "@" and body[1].strip():
            raise SymbolError(f"{name}@ takes a value back: write nothing between @ and the next colon")
        value = _QUOTING.sub(lambda found: found[1] or "", body[1]).rstrip() if is_text else body[1].strip()
        items.append(Item(name, action, value))
    return items


def format_macro(items: Iterable[tuple[str, str | None]], symbols: Mapping[str, Symbol] = BUILT_IN) -> str:
    """Write a macro's text from (symbol, value) pairs; a value of None makes a flag.

    Text values are quoted, as Sun's tools do; `symbols` tells which are text.
    """
    parts = [":"]
    for name, value in items:
        symbol = symbols.get(name)
        if value is None:
            parts.append(f"{name}:")
        elif (symbol is not None and symbol.kind is Kind.ASCII) or _NEEDS_QUOTES.search(value):
            parts.append(f"{name}={quote(value)}:")
        else:
            parts.append(f"{name}={value}:")
    return "".join(parts)


def quote(text: str) -> str:
    """Put a text value in double quotes, with `\\` before what would end them."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Setting(NamedTuple):
    """A symbol set to a value; the value None takes earlier ones back."""

    symbol: Symbol
    value: bytes | None


class Include(NamedTuple):
    """Another macro, merged at this place."""

    name: str


Step = Setting | Include


def check_macro(text: str, symbols: Mapping[str, Symbol] = BUILT_IN) -> tuple[Step, ...]:
    """Read a macro's text with its values; SymbolError names the item at fault and says what to write."""
    return tuple(_step(item, symbols) for item in read_items(text, symbols))


def _step(item: Item, symbols: Mapping[str, Symbol]) -> Step:
    if item.name == "Include":
        if item.action != "=" or not item.value:
            raise SymbolError("Include needs a macro's name: write Include=name")
        return Include(item.value)
    symbol = symbols.get(item.name)
    if symbol is None:
        raise SymbolError(unknown_symbol(item.name))
    if item.name in RESERVED:
        raise SymbolError(f"symbol {item.name} is set by the server itself: take it out of the macro")
    if item.action == "@":
        return Setting(symbol, None)
    if item.action == ":":
        if symbol.kind is not Kind.BOOL:
            raise SymbolError(f"{item.name} has no value: write {item.name}=value")
        return Setting(symbol, b"")
    return Setting(symbol, encode_value(symbol, item.value))
