"""dhcpsvc.conf as dhcpconfig changes it: read, edited and replaced in one step, with two commands kept apart."""

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dhcp import svcconf_file
from dhcp.cli.common import CommandError, Options, complain, conf_path

PROGRAM = "dhcpconfig"


def configured(options: Options) -> Path:
    """Where the configuration of this server is. CommandError if there is none."""
    path = conf_path(options)
    if not path.exists():
        raise CommandError(f"DHCP service is not configured on this server ({path}): execute `dhcpconfig -D` first")
    return path


def edit(path: Path, change: Callable[[str], str]) -> str:
    """Replace the file's text by what `change` makes of it; return the new text. CommandError, ConfError."""
    with explained(path), locked(path):
        old = svcconf_file.read_text(path)
        new = change(old)
        if new != old:
            svcconf_file.write(path, new)
    return new


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other runs of dhcpconfig from the file for a while: the lock is on its directory, for files are replaced."""
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the file system refuses about `path`, or a temporary file beside it, into one line."""
    try:
        yield
    except OSError as error:
        hint = ": run this as root" if isinstance(error, PermissionError) else ""
        raise CommandError(f"{path}: {error.strerror}{hint}") from error


def warn(text: str) -> None:
    """One line on stderr about something that works all the same."""
    complain(PROGRAM, f"warning: {text}")


def confirm(question: str) -> None:
    """Go on only if a person types Y. CommandError otherwise."""
    print(f"{question} (Y/N): ", end="", flush=True)
    line = sys.stdin.readline()
    if not line.endswith("\n"):
        print()
    if line.strip().upper() != "Y":
        raise CommandError("nothing was changed: type Y to go on, or give -f to be asked nothing")
