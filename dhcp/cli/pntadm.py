"""pntadm: networks and their bindings, with the options, output and exit codes of pntadm(1M).

Two differences from Sun's command, both for the sake of two servers on one share. `-M` without `-s` leaves the owner
alone: Sun's code made the host where it was typed the owner, which moved bindings between servers by accident. And
the default owner of a new binding is never a loopback address (see `hostnames`).

`-h` and `-y` (with `-D`) keep host names in hosts(5), see `naming`.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence

from dhcp import svcconf_keys
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
from dhcp.cli.fields import read_client_id, read_flags, read_lease
from dhcp.cli.hostnames import address_of, default_server, network_number, server_address
from dhcp.cli.listing import as_json, lines
from dhcp.cli.naming import After, naming, unnaming
from dhcp.macros import MacroTable
from dhcp.networks import ALL_ONES, Network
from storage.records import (
    DYNAMIC,
    FREE_ID,
    MACRO,
    Binding,
    Outcome,
    Records,
    RecordsError,
    TabEntry,
    ipv4_int,
    ipv4_text,
)

PROGRAM = "pntadm"
DHCPTAB = "dhcptab"
SUBNET_OPTION = 1
UNKNOWN_MACRO = "UNKNOWN"

LETTERS = "CRLPBavxyA:M:D:c:e:f:h:i:m:n:s:" + PLACE_LETTERS
ONE = (1, 1)
FUNCTIONS = {
    "C": Function(operands=ONE),
    "A": Function(may="cefhiamys", operands=ONE),
    "M": Function(may="cefhiamysn", operands=ONE),
    "D": Function(may="y", operands=ONE),
    "R": Function(operands=ONE),
    "P": Function(may="vx", operands=ONE, long=("json",)),
    "L": Function(long=("json",)),
    "B": Function(may="v", operands=(0, 1)),
}

USAGE = """\
pntadm [-r resource] [-p path] [-u uninterpreted] [--config-file dhcpsvc.conf] function [network]

-C network              create the network's table
-A address network      add an address, which may be a host's name:
                            [-c comment] [-e mm/dd/yyyy | 0 | -1] [-f number | keyword+keyword]
                            [-h hostname] [-i clientid [-a]] [-m macro [-y]] [-s server]
-M address network      modify an address: options as with -A, and [-n newaddress]
-D address [-y] network delete an address; -y: its host names too
-R network              remove the network's table
-P [-v | -x] [--json] network
                        print the table; -v: names and times, -x: leases in seconds
-L [--json]             list the networks
-B [-v] [batchfile]     run the commands of a file or of standard input; -v shows each"""

Value = int | str | bytes


class Pntadm:
    """One run of the command, with the tables it has open."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._batch = Options({})
        self._tables: dict[tuple[str, str], Table[Binding]] = {}
        self._macros: dict[str, tuple[frozenset[str], MacroTable]] = {}
        self._functions: Mapping[str, Callable[[Options, Records, str], After | None]] = {
            "C": lambda _, records, network: records.create(network),
            "R": lambda _, records, network: records.drop(network),
            "A": self._add,
            "M": self._modify,
            "D": self._delete,
            "P": self._print,
        }

    def execute(self, argv: Sequence[str]) -> int:
        """Carry out one command line and return its exit code. CommandError, RecordsError, ConfError."""
        options = parse(argv, LETTERS, ["json"]).within(self._batch)
        letter = choose(options, FUNCTIONS)
        _check_pairs(options)
        if letter == "B":
            self._batch = options
            return run_batch(PROGRAM, options, self.execute)
        after: After | None = None
        network = ""
        try:
            if options.operands:
                network = network_number(options.operands[0])
            with self._session.records(options) as records:
                if letter == "L":
                    _list(options, records)
                else:
                    after = self._functions[letter](options, records, network)
            if after:
                after()
        except ValueError as error:
            raise CommandError(str(error), Exit.NON_CRITICAL) from None
        except RecordsError as error:
            if error.outcome is not Outcome.NOT_FOUND:
                raise
            raise CommandError(
                f"there is no network {network}: create it with -C; -L lists all", Exit.NOT_FOUND
            ) from None
        return Exit.OK

    def _table(self, records: Records, network: str) -> Table[Binding]:
        place = (records.location, network)
        if place not in self._tables:
            self._tables[place] = Table(records, network, Binding)
        return self._tables[place]

    def _dhcptab(self, records: Records) -> tuple[frozenset[str], MacroTable]:
        """Names of all macros, and those in force; read once in a run."""
        if records.location not in self._macros:
            try:
                entries = [row for row in records.read(DHCPTAB).rows if isinstance(row, TabEntry)]
            except RecordsError as error:
                if error.outcome is not Outcome.NOT_FOUND:
                    raise
                entries = []
            names = frozenset(entry.name for entry in entries if entry.kind == MACRO)
            self._macros[records.location] = (names, MacroTable.load(entries))
        return self._macros[records.location]

    def _add(self, options: Options, records: Records, network: str) -> After | None:
        address = self._address(options.values["A"], records, network)
        fields = self._fields(options, records)
        if "owner" not in fields:
            fields["owner"] = default_server(_owners(options), network)
        row = _changed(Binding(address, FREE_ID, DYNAMIC, 0, 0, 0, UNKNOWN_MACRO, ""), fields)
        after = naming(options, address, address)
        self._table(records, network).add(row, f"{network} has {ipv4_text(address)} already: change it with -M")
        return after

    def _modify(self, options: Options, records: Records, network: str) -> After | None:
        old = new = address_of(options.values["M"])
        fields = self._fields(options, records)
        if "n" in options:
            fields["address"] = new = self._address(options.values["n"], records, network)
        if not fields and "h" not in options:
            raise UsageError("-M needs something to change; -s names another owner")
        after = naming(options, new, old)
        self._table(records, network).change(
            old,
            lambda row: _changed(row, fields),
            lambda row: [getattr(row, name) for name in fields],
            _absent(old, network),
        )
        return after

    def _delete(self, options: Options, records: Records, network: str) -> After | None:
        address = address_of(options.values["D"])
        self._table(records, network).change(
            address, lambda _: None, lambda row: row._replace(lease_s=0, signature=0), _absent(address, network)
        )
        return unnaming(options, address)

    def _print(self, options: Options, records: Records, network: str) -> None:
        table = self._table(records, network)
        rows = sorted(table.rows().values())
        if "json" in options:
            print(json.dumps([as_json(row) for row in rows], indent=2))
        else:
            for line in lines(rows, verbose="v" in options, raw="x" in options):
                print(line)
        sys.stdout.flush()
        for line in fault_lines(table.faults):
            complain(PROGRAM, line)

    def _address(self, text: str, records: Records, network: str) -> int:
        """An address that is to be in the network. ValueError if it is not, as far as its mask is known."""
        address = address_of(text)
        options = dict(self._dhcptab(records)[1].select("", (), network, "", b"").options)
        mask = int.from_bytes(options.get(SUBNET_OPTION, b""), "big")
        if mask and not Network(ipv4_int(network), mask).has_host(address):
            last = ipv4_text((ipv4_int(network) | (mask ^ ALL_ONES)) - 1)
            raise ValueError(f"{ipv4_text(address)} is no host's address in {network}: its last one is {last}")
        return address

    def _fields(self, options: Options, records: Records) -> dict[str, Value]:
        """The fields that the options set, checked. ValueError, CommandError."""
        fields: dict[str, Value] = {}
        for letter, (name, read) in _FIELDS.items():
            text = options.get(letter)
            if text is not None:
                fields[name] = read(text, "a" in options)
        if "y" in options and (macro := options.values["m"]) not in self._dhcptab(records)[0]:
            raise ValueError(f"there is no macro {macro} in the dhcptab: add it with dhtadm, or leave -y out")
        return fields


_FIELDS: Mapping[str, tuple[str, Callable[[str, bool], Value]]] = {
    "c": ("comment", lambda text, _: text),
    "e": ("lease_s", lambda text, _: read_lease(text)),
    "f": ("flags", lambda text, _: read_flags(text)),
    "i": ("client_id", lambda text, is_ascii: read_client_id(text, is_ascii=is_ascii)),
    "m": ("macro", lambda text, _: text),
    "s": ("owner", lambda text, _: server_address(text)),
}
"""By option: the field of a binding that it sets, and how its text is read."""


def _check_pairs(options: Options) -> None:
    if "a" in options and "i" not in options:
        raise UsageError("-a says that the client id is text: give it with -i")
    if "y" in options and "m" not in options and "D" not in options:
        raise UsageError("-y checks that the macro is there: name it with -m")
    if "v" in options and "x" in options:
        raise UsageError("give -v or -x, not both")


def _list(options: Options, records: Records) -> None:
    networks = sorted((name for name in records.tables() if name[0].isdigit()), key=ipv4_int)
    if "json" in options:
        print(json.dumps(networks))
    else:
        print("".join(f"{network}\n" for network in networks), end="")


def _changed(row: Binding, fields: Mapping[str, Value]) -> Binding:
    return row._replace(**fields)  # type: ignore[arg-type]  # `_FIELDS` reads each as what the field is


def _absent(address: int, network: str) -> str:
    return f"{network} has no {ipv4_text(address)}: add it with -A, or see the addresses with -P"


def _owners(options: Options) -> tuple[int, ...]:
    owners = conf_key(options, "OWNER_IP")
    return tuple(svcconf_keys.check_value("OWNER_IP", owners)) if owners else ()


def main(argv: Sequence[str] | None = None, session: Session | None = None) -> int:
    """Run pntadm and return its exit code."""
    command = Pntadm(session or Session())
    return run(PROGRAM, USAGE, lambda: command.execute(sys.argv[1:] if argv is None else argv))
