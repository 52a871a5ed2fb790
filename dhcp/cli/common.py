"""What Sun's commands have in common: options, the datastore they mean, errors and exit codes.

* Exit codes are Sun's (`Exit`); an error is one line on stderr, `dhtadm: what is wrong: how to put it right`; wrong
  usage adds a blank line and the usage text. No traceback.
* `dhcpsvc.conf` says where the datastore is: `--config-file`, else the variable DHCPSVC_CONF, else the first of
  `CONF_PATHS` that exists. `-r resource -p path` override it key by key; `-u` is for the datastore itself and means
  nothing to text files.
* Sun's commands demand root. These demand what the datastore demands: read and write access to it. Root acts on the
  datastore as the owner of its directory (`acting_for`), so that the daemons, which run as that account, can go on
  writing what root made.
"""

import getopt
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from dhcp import svcconf, svcconf_file
from storage.records import Outcome, Records, RecordsError, open_records

CONF_VARIABLE = "DHCPSVC_CONF"
CONF_PATHS = (Path("/etc/twinboot/dhcpsvc.conf"), Path("/etc/inet/dhcpsvc.conf"))
CONFIG_FILE = "config-file"
PLACE_LETTERS = "r:p:u:"
"""The getopt letters that `Place` understands, for every command."""


class Exit(IntEnum):
    """Exit codes of dhtadm and pntadm. dhcpconfig knows 0 and 255 only."""

    OK = 0
    EXISTS = 1
    NOT_FOUND = 2
    NON_CRITICAL = 3
    CRITICAL = 4


class CommandError(Exception):
    """Why a command ends; the text may have several lines, one for each fault."""

    def __init__(self, text: str, code: Exit = Exit.CRITICAL) -> None:
        super().__init__(text)
        self.code = code


class UsageError(CommandError):
    """The command was not typed as it must be; the usage text is printed after this."""


@dataclass(frozen=True)
class Options:
    """A command line taken apart: values by letter ("" for a bare flag; long options by name), and the operands."""

    values: Mapping[str, str]
    operands: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def get(self, name: str) -> str | None:
        """The value of an option, or None if it was not given."""
        return self.values.get(name)

    def within(self, batch: "Options") -> "Options":
        """These options, with the datastore that `batch` was given where they name none themselves."""
        place = {name: batch.values[name] for name in ("r", "p", "u", CONFIG_FILE) if name in batch}
        return Options({**place, **self.values}, self.operands)


def parse(argv: Sequence[str], letters: str, long: Sequence[str] = ()) -> Options:
    """Take a command line apart by getopt's rules, operands anywhere. UsageError; an option given twice is one.

    `letters` as for getopt(3). `config-file=` is added to the long options of every command.
    """
    try:
        pairs, operands = getopt.gnu_getopt(list(argv), letters, [*long, f"{CONFIG_FILE}="])
    except getopt.GetoptError as error:
        raise UsageError(str(error)) from None
    values: dict[str, str] = {}
    for flag, value in pairs:
        name = flag.lstrip("-")
        if name in values:
            raise UsageError(f"{flag} is given twice: give it once")
        values[name] = value
    return Options(values, tuple(operands))


class Function(NamedTuple):
    """One of a command's functions: letters of options it needs and may have, number of operands, long options."""

    needs: str = ""
    may: str = ""
    operands: tuple[int, int] = (0, 0)
    long: tuple[str, ...] = ()


def choose(options: Options, functions: Mapping[str, Function]) -> str:
    """The letter of the one function that was asked for, its options checked. UsageError."""
    chosen = [name for name in options.values if name in functions]
    if len(chosen) != 1:
        letters = " ".join(f"-{letter}" for letter in functions)
        raise UsageError(f"give one of {letters}" + (f", not {len(chosen)}" if chosen else ""))
    letter = chosen[0]
    function = functions[letter]
    missing = [name for name in function.needs if name not in options]
    if missing:
        raise UsageError(f"-{letter} needs -{missing[0]}")
    legal = {letter, *function.needs, *function.may, *function.long, *PLACE_LETTERS.replace(":", ""), CONFIG_FILE}
    strange = [name for name in options.values if name not in legal]
    if strange:
        dashes = "-" if len(strange[0]) == 1 else "--"
        raise UsageError(f"{dashes}{strange[0]} does not go with -{letter}")
    low, high = function.operands
    if not low <= len(options.operands) <= high:
        wanted = ("no" if high == 0 else str(low) if low == high else f"{low} to {high}") + " operand"
        raise UsageError(f"-{letter} takes {wanted}{'' if high == 1 else 's'}, not {len(options.operands)}")
    return letter


def conf_path(options: Options) -> Path:
    """Where dhcpsvc.conf is, or, if there is none yet, where it belongs."""
    said = options.get(CONFIG_FILE) or os.environ.get(CONF_VARIABLE)
    if said:
        return Path(said)
    return next((path for path in CONF_PATHS if path.exists()), CONF_PATHS[0])


def conf_key(options: Options, name: str) -> str:
    """One key of dhcpsvc.conf as written; "" if there is no such key, or no such file (-r and -p do without it)."""
    try:
        return svcconf.get(svcconf_file.read_text(conf_path(options)), name) or ""
    except svcconf.ConfError:
        return ""


class Place(NamedTuple):
    """Which datastore is meant: the name of its kind and its path."""

    resource: str
    path: str


def find_place(options: Options) -> Place:
    """The datastore that a command line means. CommandError or ConfError if neither it nor dhcpsvc.conf tells."""
    resource, path = options.get("r"), options.get("p")
    if resource is None or path is None:
        file = conf_path(options)
        text = svcconf_file.read_text(file)
        version = svcconf.get(text, "CONVER")
        if version not in (None, "1"):
            raise CommandError(
                f"There is a version mismatch: {file} says CONVER={version}, this command keeps version 1: "
                "convert the containers on the old host (dhcpconfig -C), then set CONVER=1"
            )
        resource = resource or _key(text, file, "RESOURCE")
        path = path or _key(text, file, "PATH")
    return Place(resource, path)


def _key(text: str, file: Path, name: str) -> str:
    value = svcconf.get(text, name)
    if not value:
        option = {"RESOURCE": "-r", "PATH": "-p"}[name]
        raise CommandError(f"{file}: {name} is not set: add a line {name}=, or give {option}")
    return value


@contextmanager
def acting_for(directory: str | os.PathLike[str]) -> Iterator[None]:
    """As root, be the owner of `directory` for a while; otherwise, or if root owns it or it is not there, nothing."""
    try:
        owner = os.stat(directory)
    except OSError:
        owner = None  # whoever opens it says what is wrong
    if owner is None or owner.st_uid == 0 or os.geteuid() != 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([owner.st_gid])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


class Session:
    """The datastores one run has opened: a batch of a thousand lines opens each of them once."""

    def __init__(self, opener: Callable[[str, str], Records] = open_records) -> None:
        self._opener = opener
        self._opened: dict[Place, Records] = {}

    @contextmanager
    def records(self, options: Options) -> Iterator[Records]:
        """The datastore that a command line means, with the rights of its owner. CommandError, ConfError."""
        place = find_place(options)
        with acting_for(place.path):
            if place not in self._opened:
                try:
                    self._opened[place] = self._opener(*place)
                except RecordsError as error:
                    raise CommandError(f"cannot open the datastore {place.resource}: {error}") from error
            yield self._opened[place]


_CODES = {
    Outcome.STORED: Exit.OK,
    Outcome.EXISTS: Exit.EXISTS,
    Outcome.NOT_FOUND: Exit.NOT_FOUND,
    Outcome.DENIED: Exit.CRITICAL,  # where Sun's commands say "you must be root"
}


def exit_code(outcome: Outcome) -> Exit:
    """Sun's exit code for what became of a change or a call."""
    return _CODES.get(outcome, Exit.NON_CRITICAL)


def complain(program: str, text: str) -> None:
    """Print an error, each line with the program's name before it."""
    for line in text.splitlines():
        print(f"{program}: {line}", file=sys.stderr)


def run(program: str, usage: str, command: Callable[[], int]) -> int:
    """Run a command, print what goes wrong, and return its exit code (an `Exit` for every failure).

    An empty `usage` is not printed after wrong usage.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")  # a comment's bytes may be in any encoding
    try:
        code = command()
        sys.stdout.flush()
    except UsageError as error:
        complain(program, str(error))
        if usage:
            print(f"\n{usage}", file=sys.stderr)
        return Exit.CRITICAL
    except CommandError as error:
        complain(program, str(error))
        return error.code
    except RecordsError as error:
        complain(program, str(error))
        return exit_code(error.outcome)
    except svcconf.ConfError as error:
        complain(program, str(error))
        return Exit.CRITICAL
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes what is left once more at exit
        if isinstance(error, BrokenPipeError):
            return Exit.OK  # the reader has seen enough
        complain(program, f"{error.filename or 'standard output'}: {error.strerror}: see to it and repeat the command")
        return Exit.CRITICAL
    except KeyboardInterrupt:
        complain(program, "interrupted")
        return Exit.CRITICAL
    return code
