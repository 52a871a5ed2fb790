"""Macros of the dhcptab: which of them apply to a client, and what they add up to.

A macro with a fault is disabled, and so is each macro that includes it; all others load. (Solaris refuses
the whole table for an undefined `Include`; one slip of the pen must not stop a site from booting.) `MacroTable.faults`
names them.

The order of merging is class, user class, network, address, client id; later wins. *Options leave in the order in
which Solaris sends them*, for clients exist that depend on it: merging puts a new option in front of the list and
replaces a known one where it stands, and an empty list takes the other's order over. A dict kept back to front does
just that, so `_Bundle.values` is Solaris' list reversed. At the end Router goes behind Subnet (RFC 2132 section 3.3).

Supersets of Solaris: the class macro is the one with the longest prefix of the client's class cut at `:`, and clients
of user class `iPXE` get the macro `iPXE`. Not copied: an including macro there loses included vendor options.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import Final, NamedTuple, Self, TypeVar

from dhcp.macrotext import Include, Setting, Step, check_macro
from dhcp.options import LEASE_TIME, ROUTER, SUBNET_MASK, VENDOR_SPECIFIC
from dhcp.symbols import BUILT_IN, Category, Symbol, SymbolError, parse_symbol
from storage.records.rows import TabEntry

INCLUDE_DEPTH_MAX: Final = 20
SELECT_CACHE_ENTRIES: Final = 8192
VENDOR_AREA_BYTES: Final = 255
USER_CLASS_MACROS: Final = frozenset({"iPXE"})

_CLIENT_MACRO: Final = re.compile("(?:[0-9A-F]{2})+")

_FIELD_CODES: Final = {name: BUILT_IN[name].code for name in ("BootSrvA", "BootSrvN", "BootFile")}
_INTERNAL_CODES: Final = {row.name: row.code for row in BUILT_IN.values() if row.category is Category.INTERNAL}

K = TypeVar("K")
_Key = tuple[bool, int]  # (an option to send, its code): packet fields and internal symbols have codes of their own


class MacroFault(NamedTuple):
    """A macro or symbol that is not in force: its name, one sentence why, and its kind ("m" or "s")."""

    name: str
    reason: str
    kind: str = "m"


class Selected(NamedTuple):
    """What the macros say for one client. `options` are in the order to send, option 43 last; never 53 or 54.

    `lease_s` repeats option 51. `vendor` are the suboptions inside option 43, `dropped` those that did not fit its 255
    octets. `names` are the macros used, in order of merging; `disabled` those that would apply but have a fault.
    """

    options: tuple[tuple[int, bytes], ...]
    boot_file: str
    boot_server: int | None
    boot_server_name: str
    boot_path: str
    hostname: bool
    lease_negotiable: bool
    echo_class: bool
    lease_s: int | None
    vendor: tuple[tuple[int, bytes], ...]
    dropped: tuple[int, ...]
    names: tuple[str, ...]
    disabled: tuple[str, ...]


class _Bundle:
    """Values of one macro or of several merged; see the module's docstring for why the dict runs back to front."""

    __slots__ = ("depth", "values", "vendor")

    def __init__(self) -> None:
        self.values: dict[_Key, bytes] = {}
        self.vendor: dict[str, dict[int, bytes]] = {}
        self.depth = 0  # of includes below this macro

    def apply(self, setting: Setting) -> None:
        """Set or take back one value."""
        symbol, value = setting
        if symbol.category is Category.VENDOR:
            for name in symbol.classes:
                _put(self.vendor.setdefault(name, {}), symbol.code, value)
        else:
            sent = symbol.category not in (Category.FIELD, Category.INTERNAL)
            _put(self.values, (sent, symbol.code), value)

    def merge(self, other: "_Bundle") -> None:
        """Let the values of `other` win."""
        _merge(self.values, other.values)
        for name, options in other.vendor.items():
            _merge(self.vendor.setdefault(name, {}), options)


def _put(values: dict[K, bytes], key: K, value: bytes | None) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value


def _merge(values: dict[K, bytes], other: dict[K, bytes]) -> None:
    values.update(reversed(other.items()) if values else other)


class MacroTable:
    """All macros of a dhcptab, checked and with their includes resolved. Never changes once loaded."""

    def __init__(self, bundles: dict[str, _Bundle], symbols: dict[str, Symbol], faults: tuple[MacroFault, ...]) -> None:
        """Use `load`; the parts are as it makes them."""
        self.symbols: Mapping[str, Symbol] = symbols
        self.faults = faults
        self._bundles = bundles
        self._disabled = frozenset(fault.name for fault in faults if fault.kind == "m")
        self._vendor_classes = frozenset(name for bundle in bundles.values() for name in bundle.vendor)
        self._names = self._bundles.keys() | self._disabled
        self.clients: Mapping[bytes, str] = {
            bytes.fromhex(name): name for name in self._names if _CLIENT_MACRO.fullmatch(name)
        }
        self._compose: Callable[..., Selected] = lru_cache(SELECT_CACHE_ENTRIES)(self._composed)

    @classmethod
    def load(cls, entries: Iterable[TabEntry]) -> Self:
        """Read all symbols, then all macros; whatever has a fault is left out and named in `faults`."""
        rows = sorted(entries, key=lambda entry: entry.name)
        symbols = dict(BUILT_IN)
        faults: list[MacroFault] = []
        for row in rows:
            if row.kind == "s":
                try:
                    symbols[row.name] = parse_symbol(row.name, row.value)
                except SymbolError as error:
                    faults.append(MacroFault(row.name, str(error), "s"))
        macros: dict[str, tuple[Step, ...] | None] = {}
        for row in rows:
            if row.kind == "m":
                try:
                    macros[row.name] = check_macro(row.value, symbols)
                except SymbolError as error:
                    macros[row.name] = None
                    faults.append(MacroFault(row.name, str(error)))
        bundles = _resolve(macros, faults)
        return cls(bundles, symbols, tuple(faults))

    def __contains__(self, name: str) -> bool:
        """Whether a macro of this name is in force."""
        return name in self._bundles

    def select(
        self, class_id: str, user_classes: Sequence[str], network: str, macro: str, client_id: bytes
    ) -> Selected:
        """Merge the macros that apply to one client.

        `class_id` is option 60's text, `network` a network number, `macro` the binding's macro; a client's macro is
        named by its id in upper-case hexadecimal. Names without a macro count for nothing. The answers are cached by
        what has an effect only, so that clients cannot wear the cache out with words of their own.
        """
        class_macro = self._class_macro(class_id) if class_id else ""
        users = tuple(name for name in user_classes if name in USER_CLASS_MACROS) if user_classes else ()
        names = self._names
        return self._compose(
            class_macro,
            class_id if class_id in self._vendor_classes else class_macro,
            users,
            network if network in names else "",
            macro if macro in names else "",
            self.clients.get(client_id, ""),
        )

    def _class_macro(self, class_id: str) -> str:
        """Name of the macro with the longest prefix of the class, cut at a colon; "" if there is none.

        One with a fault is found too: a shorter prefix is about other machines.
        """
        name = class_id
        while name and name not in self._names:
            name = name.rpartition(":")[0]
        return name

    def _composed(self, class_macro: str, vendor_class: str, users: tuple[str, ...], *later: str) -> Selected:
        bundle = _Bundle()
        names: list[str] = []
        disabled: list[str] = []
        for name in (class_macro, *users, *later):
            if name in self._bundles:
                bundle.merge(self._bundles[name])
                names.append(name)
            elif name in self._disabled:
                disabled.append(name)
        vendor = tuple(reversed(bundle.vendor.get(vendor_class, {}).items()))
        return _selected(bundle.values, vendor, tuple(names), tuple(disabled))


def _resolve(macros: Mapping[str, tuple[Step, ...] | None], faults: list[MacroFault]) -> dict[str, _Bundle]:
    """Merge includes, innermost first and without recursion, so that no table can exhaust the stack."""
    includes = {
        name: {step.name for step in steps or () if isinstance(step, Include)} for name, steps in macros.items()
    }
    sorter = TopologicalSorter({name: wanted & macros.keys() for name, wanted in includes.items()})
    with suppress(CycleError):  # the macros outside the circle can still be resolved; the others are named below
        sorter.prepare()
    bundles: dict[str, _Bundle] = {}
    reached: set[str] = set()
    while sorter.is_active():
        for name in sorter.get_ready():
            sorter.done(name)
            reached.add(name)
            steps = macros[name]
            if steps is None:
                continue
            try:
                bundles[name] = _bundle(steps, bundles, macros)
            except SymbolError as error:
                faults.append(MacroFault(name, str(error)))
    for name in sorted(macros.keys() - reached):
        if macros[name] is not None:
            circle = ", ".join(sorted(includes[name] - reached))
            faults.append(MacroFault(name, f"includes itself, or a macro that does ({circle}): take an Include out"))
    return bundles


def _bundle(steps: tuple[Step, ...], bundles: Mapping[str, _Bundle], macros: Mapping[str, object]) -> _Bundle:
    bundle = _Bundle()
    for step in steps:
        if isinstance(step, Setting):
            bundle.apply(step)
            continue
        included = bundles.get(step.name)
        if included is None:
            why = (
                "is disabled: correct that macro"
                if step.name in macros
                else "is not defined: add it or correct the name"
            )
            raise SymbolError(f"Include={step.name}: macro {step.name} {why}")
        bundle.merge(included)
        bundle.depth = max(bundle.depth, included.depth + 1)
    if bundle.depth > INCLUDE_DEPTH_MAX:
        raise SymbolError(
            f"includes are nested more than {INCLUDE_DEPTH_MAX} deep: include fewer macros in one another"
        )
    return bundle


def _selected(
    values: dict[_Key, bytes], vendor: tuple[tuple[int, bytes], ...], names: tuple[str, ...], disabled: tuple[str, ...]
) -> Selected:
    """Sort merged values into options and fields."""
    options = [(code, value) for (sent, code), value in reversed(values.items()) if sent]
    codes = [code for code, _ in options]
    if SUBNET_MASK in codes and ROUTER in codes:
        router, subnet = codes.index(ROUTER), codes.index(SUBNET_MASK)
        if router < subnet:
            options[router], options[subnet] = options[subnet], options[router]
    area, dropped = _vendor_area(vendor)
    area = area or values.get((True, VENDOR_SPECIFIC), b"")
    if area:
        options = [pair for pair in options if pair[0] != VENDOR_SPECIFIC] + [(VENDOR_SPECIFIC, area)]
    fields = {code: value for (sent, code), value in values.items() if not sent}
    text = {name: fields.get(code, b"").decode("utf-8", "surrogateescape") for name, code in _FIELD_CODES.items()}
    server = fields.get(_FIELD_CODES["BootSrvA"])
    lease = values.get((True, LEASE_TIME))
    return Selected(
        options=tuple(options),
        boot_file=text["BootFile"],
        boot_server=None if server is None else int.from_bytes(server, "big"),
        boot_server_name=text["BootSrvN"],
        boot_path=fields.get(_INTERNAL_CODES["BootPath"], b"").decode("utf-8", "surrogateescape"),
        hostname=_INTERNAL_CODES["Hostname"] in fields,
        lease_negotiable=_INTERNAL_CODES["LeaseNeg"] in fields,
        echo_class=_INTERNAL_CODES["EchoVC"] in fields,
        lease_s=None if lease is None else int.from_bytes(lease, "big"),
        vendor=vendor,
        dropped=dropped,
        names=names,
        disabled=disabled,
    )


def _vendor_area(vendor: tuple[tuple[int, bytes], ...]) -> tuple[bytes, tuple[int, ...]]:
    """Encode option 43 without an end mark, whole suboptions only; return it and the codes that found no room."""
    area = b""
    for index, (code, value) in enumerate(vendor):
        if len(area) + 2 + len(value) > VENDOR_AREA_BYTES:
            return area, tuple(left for left, _ in vendor[index:])
        area += bytes((code, len(value))) + value
    return area, ()
