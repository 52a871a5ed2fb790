"""dhtadm: macros and symbols of the dhcptab, with the options, output and exit codes of dhtadm(1M).

A definition is checked before it is stored: its symbols, types and numbers of values (exit 3). What a change means
for *other* macros (a symbol or an included macro is gone) does not stop it, as with Sun; but macros that it disables
are named on stderr, and so is, by `-P`, every macro that is disabled.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from dhcp.cli import service
from dhcp.cli.batch import run_batch
from dhcp.cli.common import (
    PLACE_LETTERS,
    CommandError,
    Exit,
    Function,
    Options,
    Session,
    UsageError,
    choose,
    complain,
    conf_key,
    parse,
    run,
)
from dhcp.cli.edits import Table, fault_lines
from dhcp.cli.macroedit import check_definition, edit_macro, edited_symbol
from dhcp.macros import MacroFault, MacroTable
from dhcp.macrotext import read_items
from dhcp.symbols import BUILT_IN, Symbol, SymbolError, parse_symbol
from storage.records import MACRO, SYMBOL, Outcome, Records, RecordsError, TabEntry

PROGRAM = "dhtadm"
DHCPTAB = "dhcptab"
WARNINGS_MAX = 20  # one macro that everything includes must not hide what else was said
KINDS = {MACRO: "macro", SYMBOL: "symbol"}

LETTERS = "CRAMDPBgvs:m:d:e:n:" + PLACE_LETTERS
FUNCTIONS = {
    "C": Function(may="g"),
    "A": Function(needs="d", may="smg"),
    "M": Function(may="smdeng"),
    "D": Function(may="smg"),
    "R": Function(may="g"),
    "P": Function(may="g", long=("json",)),
    "B": Function(may="vg", operands=(0, 1)),
}

USAGE = """\
dhtadm [-r resource] [-p path] [-u uninterpreted] [--config-file dhcpsvc.conf] [-g] function

-C                    create the dhcptab
-A                    add a symbol or a macro:
                          {-s symbol | -m macro} -d definition
-M                    modify a symbol or a macro:
                          -s symbol {-n newname | -d definition}
                          -m macro {-n newname | -d definition | -e symbol=value}
-D                    delete a symbol or a macro:
                          {-s symbol | -m macro}
-R                    remove the dhcptab
-P [--json]           print the dhcptab
-B [-v] [batchfile]   run the commands of a file or of standard input; -v shows each
-g                    afterwards make the DHCP service read everything anew"""


class Dhtadm:
    """One run of the command: the tables it has open, and what was disabled in them before it changed them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._batch = Options({})
        self._tables: dict[str, Table[TabEntry]] = {}
        self._disabled: dict[str, frozenset[tuple[str, str]]] = {}
        self._functions: Mapping[str, Callable[[Options, Records], None]] = {
            "C": lambda _, records: records.create(DHCPTAB),
            "R": lambda _, records: records.drop(DHCPTAB),
            "A": self._add,
            "M": self._modify,
            "D": self._delete,
            "P": self._print,
        }

    def execute(self, argv: Sequence[str]) -> int:
        """Carry out one command line and return its exit code. CommandError, RecordsError, ConfError."""
        options = parse(argv, LETTERS, ["json"]).within(self._batch)
        letter = choose(options, FUNCTIONS)
        code: int = Exit.OK
        if letter == "B":
            self._batch = options
            code = run_batch(PROGRAM, options, self.execute)
        else:
            with self._session.records(options) as records:
                try:
                    self._functions[letter](options, records)
                except RecordsError as error:
                    if error.outcome is not Outcome.NOT_FOUND:
                        raise
                    raise CommandError("there is no dhcptab: create it with -C", Exit.NOT_FOUND) from None
        if "g" in options:
            offset = conf_key(options, "DEBUG_PORT_OFFSET")
            service.reload(service.port(f"DEBUG_PORT_OFFSET={offset}"))
        return code

    def warn(self) -> None:
        """Name each macro and symbol that was in force before this run and is not any more."""
        for place, before in self._disabled.items():
            with suppress(RecordsError):  # the dhcptab was removed in the same batch
                faults = MacroTable.load(self._tables[place].rows().values()).faults
                new = [fault for fault in faults if (fault.name, fault.kind) not in before]
                for fault in new[:WARNINGS_MAX]:
                    complain(PROGRAM, f"warning: {_fault_line(fault)}")
                if len(new) > WARNINGS_MAX:
                    complain(PROGRAM, f"warning: {len(new) - WARNINGS_MAX} more are disabled: see -P")

    def _open(self, records: Records) -> Table[TabEntry]:
        table = self._tables.setdefault(records.location, Table(records, DHCPTAB, TabEntry))
        if records.location not in self._disabled:
            faults = MacroTable.load(table.rows().values()).faults
            self._disabled[records.location] = frozenset((fault.name, fault.kind) for fault in faults)
        return table

    def _add(self, options: Options, records: Records) -> None:
        kind, name = _named(options)
        text = options.values["d"]
        table = self._open(records)
        _check(kind, name, text, table)
        table.add(TabEntry(name, kind, 0, text), f"{KINDS[kind]} {name} is there already: change it with -M")

    def _modify(self, options: Options, records: Records) -> None:
        kind, name = _named(options)
        ways = [letter for letter in "den" if letter in options]
        if len(ways) != 1 or (ways == ["e"] and kind == SYMBOL):
            raise UsageError("give one of -d, -n" + (" and -e" if kind == MACRO else "; -e edits macros only"))
        way, text = ways[0], options.values[ways[0]]
        table = self._open(records)
        absent = f"there is no {KINDS[kind]} {name}: add it with -A, or see the names with -P"
        if way == "e":
            symbols = _symbols(table)
            table.change((name, kind), lambda row: _edited(row, text, symbols), _value_of(text, symbols), absent)
        elif way == "d":
            if (name, kind) in table.rows():
                _check(kind, name, text, table)
            table.change((name, kind), lambda row: row._replace(value=text), lambda row: row.value, absent)
        else:
            if kind == SYMBOL and (row := table.rows().get((name, kind))):
                _check(kind, text, row.value, table)
            if (text, kind) in table.rows() and text != name:
                raise CommandError(f"{KINDS[kind]} {text} is there already: choose another name", Exit.EXISTS)
            table.change((name, kind), lambda row: row._replace(name=text), lambda row: row.name, absent)

    def _delete(self, options: Options, records: Records) -> None:
        kind, name = _named(options)
        absent = f"there is no {KINDS[kind]} {name}: see the names with -P"
        self._open(records).change((name, kind), lambda _: None, lambda row: row.value, absent)

    def _print(self, options: Options, records: Records) -> None:
        table = self._tables.setdefault(records.location, Table(records, DHCPTAB, TabEntry))
        rows = sorted(table.rows().values(), key=lambda row: (row.kind, row.name))
        faults = MacroTable.load(rows).faults
        if "json" in options:
            reasons = {(fault.name, fault.kind): fault.reason for fault in faults}
            print(json.dumps([_as_json(row, reasons.get(row.key)) for row in rows], indent=2))
        else:
            print(_line("Name", "Type", "Value") + "\n" + "=" * 50)
            for row in rows:
                print(_line(row.name, KINDS[row.kind].capitalize(), row.value))
        sys.stdout.flush()
        for line in fault_lines(table.faults):
            complain(PROGRAM, line)
        for fault in faults:
            complain(PROGRAM, _fault_line(fault))


def _named(options: Options) -> tuple[str, str]:
    """Kind and name of the entry that -s or -m is about. UsageError; CommandError for a name that no line can hold."""
    given = [(kind, options.values[letter]) for letter, kind in (("s", SYMBOL), ("m", MACRO)) if letter in options]
    if len(given) != 1:
        raise UsageError("give a symbol's name with -s or a macro's name with -m" + (", not both" if given else ""))
    for name in (given[0][1], options.get("n") or ""):
        if any(ord(letter) < 32 for letter in name):
            raise CommandError(
                f"name {name!r}: it has a control character (a line feed?): take it out", Exit.NON_CRITICAL
            )
    return given[0]


def _symbols(table: Table[TabEntry]) -> Mapping[str, Symbol]:
    """All symbols that a macro may use: the built-in ones and those of the dhcptab that have no fault."""
    symbols = dict(BUILT_IN)
    for row in table.rows().values():
        if row.kind == SYMBOL:
            try:
                symbols[row.name] = parse_symbol(row.name, row.value)
            except SymbolError:
                continue  # macros that use it are then told that it is not defined
    return symbols


def _check(kind: str, name: str, text: str, table: Table[TabEntry]) -> None:
    try:
        if kind == SYMBOL:
            parse_symbol(name, text)
        else:
            check_definition(text, _symbols(table))
    except SymbolError as error:
        raise CommandError(f"{KINDS[kind]} {name}: {error}", Exit.NON_CRITICAL) from None


def _edited(row: TabEntry, edit: str, symbols: Mapping[str, Symbol]) -> TabEntry:
    try:
        return row._replace(value=edit_macro(row.value, edit, symbols))
    except SymbolError as error:
        raise CommandError(f"macro {row.name}: {error}", Exit.NON_CRITICAL) from None


def _value_of(edit: str, symbols: Mapping[str, Symbol]) -> Callable[[TabEntry], object]:
    """What a macro says about the symbol that an edit is about: if that changed meanwhile, edits are in conflict."""

    def value(row: TabEntry) -> object:
        name = edited_symbol(edit)
        try:
            return [item for item in read_items(row.value, symbols) if item.name == name]
        except SymbolError:
            return row.value

    return value


def _line(name: str, kind: str, value: str) -> str:
    return f"{name:<20}\t{kind:<8}\t{value}"


def _fault_line(fault: MacroFault) -> str:
    return f"{KINDS[fault.kind]} {fault.name} is disabled: {fault.reason}"


def _as_json(row: TabEntry, fault: str | None) -> dict[str, str | None]:
    return {"name": row.name, "type": KINDS[row.kind], "value": row.value, "fault": fault}


def main(argv: Sequence[str] | None = None, session: Session | None = None) -> int:
    """Run dhtadm and return its exit code."""
    command = Dhtadm(session or Session())

    def whole() -> int:
        try:
            return command.execute(sys.argv[1:] if argv is None else argv)
        finally:
            command.warn()

    return run(PROGRAM, USAGE, whole)
