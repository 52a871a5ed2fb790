"""dhcpconfig: the DHCP service of this server, with the options, output and exit codes of dhcpconfig(1M).

Exit codes are 0 and 255; `-S -q` alone tells the state by 0 to 3. Option letters mean different things in different
functions, so the function is found first, and then its own letters are read.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence

from dhcp import svcconf, svcconf_file, svcconf_keys
from dhcp.cli import service
from dhcp.cli.common import (
    PLACE_LETTERS,
    CommandError,
    Exit,
    Function,
    Options,
    Session,
    UsageError,
    choose,
    parse,
    run,
)
from dhcp.cli.config_convert import convert
from dhcp.cli.config_exchange import export_data, import_data
from dhcp.cli.config_file import PROGRAM, configured, edit, warn
from dhcp.cli.config_network import add_network
from dhcp.cli.config_pairs import changes, check_wishes, listing, read_wishes
from dhcp.cli.config_relay import configure_relay
from dhcp.cli.config_remove import unconfigure
from dhcp.cli.config_setup import configure
from dhcp.svcconf import ConfError

FAILED = 255
WORDS_MAX = 64  # operands of -P: more than there are parameters

FUNCTIONS: Mapping[str, tuple[str, Function]] = {
    "D": ("D" + PLACE_LETTERS + "l:nd:a:h:y:", Function(needs="rp", may="lndahy")),
    "R": ("R:", Function()),
    "U": ("U" + PLACE_LETTERS + "fxh", Function(may="fxh")),
    "N": ("N:" + PLACE_LETTERS + "m:t:y:a:bg", Function(may="mtyabg")),
    "C": ("C" + PLACE_LETTERS + "fk", Function(needs="rp", may="fk")),
    "X": ("X:" + PLACE_LETTERS + "m:o:a:fxg", Function(may="moafxg")),
    "I": ("I:" + PLACE_LETTERS + "fg", Function(may="fg")),
    "P": ("P", Function(operands=(0, WORDS_MAX), long=("json",))),
    "S": ("Sfedrq", Function(may="fedrq", long=("json",))),
}
"""Function -> its option letters for getopt, and what goes with it."""

USAGE = """\
dhcpconfig [--config-file dhcpsvc.conf] function

-D -r resource -p path   configure the DHCP service:
                             [-l seconds] [-n] [-d domain -a servers]
                             [-h files|dns|nisplus [-y domain]] [-u text]
-R servers               configure a relay agent instead: addresses or names of servers, with , between
-N network               configure one more network:
                             [-m netmask] [-t routers] [-b] [-y nisdomain -a servers] [-g]
-U [-f] [-x] [-h]        unconfigure the service; -x deletes its tables
-C -r resource -p path   convert to another datastore: [-f] [-k] [-u text]; -k keeps the old one
-X file                  export: [-m macros|ALL] [-o options|ALL] [-a networks|ALL] [-f] [-x] [-g];
                             -f overwrites the file, -x deletes what was exported
-I file                  import: [-f] [-g]; -f replaces what is there with other data
-P [--json]              print the parameters of the service
-P name                  print one parameter
-P name=value,...        set parameters; an empty value deletes one
-S {-e|-d|-r|-q}         enable, disable, restart or query the service

-f asks nothing, -g makes the service read everything anew"""


def _parameters(options: Options, session: Session) -> int:
    """-P: print, set and delete parameters; all are checked before any is changed."""
    del session
    path = configured(options)
    text = svcconf_file.read_text(path)
    if not options.operands:
        _print_all(listing(text), as_document="json" in options)
        return 0
    try:
        wishes = read_wishes(options.operands)
    except ValueError as error:
        raise CommandError(str(error)) from None
    faults = check_wishes(wishes, text)
    if faults:
        raise CommandError("\n".join(faults))
    wanted = changes(wishes)
    if wanted:
        text = edit(path, lambda old: svcconf.set_pairs(old, wanted))
        _tell_consequences(text, set(wanted))
    asked = {wish.name: svcconf_keys.shown(svcconf.get(text, wish.name) or "") for wish in wishes if wish.value is None}
    if "json" in options:
        _print_all(asked, as_document=True)
    else:
        print("".join(f"{value}\n" for value in asked.values()), end="")
    return 0


def _print_all(pairs: Mapping[str, str], *, as_document: bool) -> None:
    if as_document:
        print(json.dumps(pairs, indent=2))
    else:
        print("".join(f"{name} {value}\n" for name, value in pairs.items()), end="")


def _tell_consequences(text: str, names: set[str]) -> None:
    try:
        warnings: Sequence[str] = svcconf.check(text).warnings
    except ConfError as error:
        warnings = [str(fault) for fault in error.faults]
        names = {fault.key for fault in error.faults}  # the file was bad before: none of ours is among them
    for line in warnings:
        if any(f" {name}:" in line for name in names):
            warn(line)
    if service.find(service.port(text)):
        warn("the DHCP service takes it over when it is restarted: `dhcpconfig -S -r`")


def _service(options: Options, session: Session) -> int:
    """-S: enable, disable, restart or query."""
    del session
    asked = [letter for letter in "edrq" if letter in options]
    if len(asked) != 1:
        raise UsageError("-S: give one of -e -d -r -q")
    path = configured(options)
    if asked == ["q"]:
        return _query(svcconf_file.read_text(path), as_document="json" in options)
    if "json" in options:
        raise UsageError("--json does not go with -S but for -q")
    enabled = asked != ["d"]
    text = edit(path, lambda old: svcconf.set_pairs(old, {"DAEMON_ENABLED": str(enabled).upper()}))
    print(f"DHCP server {'enabled' if enabled else 'disabled'}.")
    port = service.port(text)
    if not enabled:
        print("DHCP server shutdown." if service.stop(port) else "DHCP server not running.")
    elif (service.restart if asked == ["r"] else service.start)(port):
        print("DHCP server started.")
    else:
        print("`twinboot serve` starts it.")
    return 0


def _query(text: str, *, as_document: bool) -> int:
    enabled = (svcconf.get(text, "DAEMON_ENABLED") or "TRUE").upper() != "FALSE"
    running = service.find(service.port(text)) is not None
    if as_document:
        print(json.dumps({"enabled": enabled, "running": running}))
    else:
        print(f"DHCP server {'enabled' if enabled else 'disabled'}.")
        print(f"DHCP server {'running' if running else 'stopped'}.")
    return enabled + 2 * running


RUN: Mapping[str, Callable[[Options, Session], int]] = {
    "D": configure,
    "R": configure_relay,
    "U": unconfigure,
    "N": add_network,
    "C": convert,
    "X": export_data,
    "I": import_data,
    "P": _parameters,
    "S": _service,
}


def execute(argv: Sequence[str], session: Session) -> int:
    """Carry out one command line. CommandError, RecordsError, ConfError."""
    found = [match[1] for word in argv if (match := re.match("-([A-Z])", word)) and match[1] in FUNCTIONS]
    if not found:
        raise UsageError(f"give one of {' '.join(f'-{letter}' for letter in FUNCTIONS)}")
    letters, function = FUNCTIONS[found[0]]
    options = parse(argv, letters, ["json"])
    choose(options, {found[0]: function})
    code = RUN[found[0]](options, session)
    if "g" in options:
        service.reload(service.port(svcconf_file.read_text(configured(options))))
    return code


def main(argv: Sequence[str] | None = None, session: Session | None = None) -> int:
    """Run dhcpconfig and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    code = run(PROGRAM, USAGE, lambda: execute(words, session or Session()))
    return FAILED if isinstance(code, Exit) and code else code
