"""`dhcpconfig -P`: reading what was typed, and the rules of each parameter. Pure: text in, text out.

What is typed is `NAME`, `NAME=` or `NAME=value`, with `,` between several. Double quotes keep a comma inside a value,
as Sun's parser demands. Beyond Sun, an item that looks like an address belongs to the value before it, and so does any
item after a parameter whose value is a list, unless it names a parameter: the line

    dhcpconfig -P OWNER_IP=192.168.78.14,192.168.78.16,RESCAN_INTERVAL=1

means what its author meant. Everything is checked before anything is changed, and all faults are told at once.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dhcp import svcconf, svcconf_keys
from dhcp.svcconf_keys import BY_NAME, Show

LISTS = frozenset({"OWNER_IP", "INTERFACES", "RELAY_DESTINATIONS"})
"""Parameters with several values: read with commas or blanks, written with commas."""

CHANGED_BY = {"DAEMON_ENABLED": "-S", "RUN_MODE": "-R", "RESOURCE": "-C", "PATH": "-C", "RESOURCE_CONFIG": "-C"}
"""Read-only parameter -> the function of dhcpconfig that changes it; -D sets the others."""

_LIKE_AN_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){1,3}")


class Wish(NamedTuple):
    """One parameter that was typed. `value` None asks for it, "" deletes it."""

    name: str
    value: str | None


def read_wishes(words: Iterable[str]) -> list[Wish]:
    """Take operands of -P apart. ValueError for a quote that is not closed or an item without a name."""
    wishes: list[Wish] = []
    for item in _items(",".join(words)):
        name, equals, value = item.partition("=")
        last = wishes[-1] if wishes else None
        if not equals and last is not None and last.value and _belongs(name.strip(), last.name):
            wishes[-1] = Wish(last.name, f"{last.value},{name.strip()}")
        elif name.strip():
            wishes.append(Wish(name.strip().upper(), value.strip() if equals else None))
        elif item.strip():
            raise ValueError(f"server parameter missing before {item.strip()}: write NAME=value")
    return wishes


def _items(text: str) -> list[str]:
    """Split at commas outside of double quotes, and take the quotes off."""
    parts = text.split('"')
    if len(parts) % 2 == 0:
        raise ValueError(f'a double quote is not closed in {text}: write NAME="value,value"')
    items = [""]
    for index, part in enumerate(parts):
        first, *rest = [part] if index % 2 else part.split(",")
        items[-1] += first
        items += rest
    return items


def _belongs(item: str, name: str) -> bool:
    if _LIKE_AN_ADDRESS.fullmatch(item):
        return True
    return name in LISTS and bool(item) and item.upper() not in BY_NAME


def check_wishes(wishes: Sequence[Wish], text: str) -> list[str]:
    """Return what is wrong with these wishes for a file with this text, one line for each."""
    written = {name for name, _ in svcconf.parse_pairs(text)} | {wish.name for wish in wishes if wish.value}
    faults = [fault for wish in wishes if (fault := _fault(wish, written))]
    set_names = [wish.name for wish in wishes if wish.value is not None]
    twice = dict.fromkeys(name for name in set_names if set_names.count(name) > 1)
    return faults + [f"{name} is set twice: give it once" for name in twice]


def _fault(wish: Wish, written: set[str]) -> str | None:
    key = BY_NAME.get(wish.name)
    if key is None and (wish.value or wish.name not in written):
        return f"invalid DHCP server parameter {wish.name}: `dhcpconfig -P` lists what is set, dhcpsvc.conf(4) all"
    if wish.value is None:
        return None if wish.name in written else f"DHCP server parameter {wish.name} is not set."
    if key is None:
        return None  # somebody wrote it into the file by hand: it may be looked at and deleted
    if key.show is Show.READ_ONLY:
        verb = "changed" if wish.value else "deleted"
        way = CHANGED_BY.get(wish.name, "-D")
        return f"the DHCP server parameter {wish.name} cannot be {verb}: dhcpconfig {way} sets it"
    if not wish.value:
        return None
    try:
        svcconf_keys.check_value(wish.name, wish.value)
    except ValueError as error:
        return f"the value is unacceptable for DHCP server parameter {wish.name}: {error}"
    if not wish.value.isprintable():
        return f"the value is unacceptable for DHCP server parameter {wish.name}: it holds a control character"
    return None


def changes(wishes: Iterable[Wish]) -> dict[str, str | None]:
    """What `svcconf.set_pairs` is to do; lists are written with commas."""
    return {
        wish.name: (",".join(wish.value.replace(",", " ").split()) if wish.name in LISTS else wish.value) or None
        for wish in wishes
        if wish.value is not None
    }


def listing(text: str) -> Mapping[str, str]:
    """What plain -P shows: every parameter of the file but the hidden ones, in the order of the file."""
    hidden = {name for name, key in BY_NAME.items() if key.show is Show.HIDDEN}
    return {name: svcconf_keys.shown(value) for name, value in svcconf.parse_pairs(text) if name not in hidden}
