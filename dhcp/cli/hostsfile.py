"""Host names in hosts(5), as `pntadm -h` keeps them where HOSTS_RESOURCE=files.

Lines that are not about the address in question stay as they are, byte for byte. The directory is locked meanwhile,
so that two commands at once do not undo one another.
"""

import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path

from storage.records import durable, ipv4_text

HOSTS_FILE = Path("/etc/hosts")
_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")


def check_name(name: str) -> None:
    """ValueError unless `name` may be a host's (RFC 1123 section 2.1)."""
    if len(name) > 255 or not _NAME.fullmatch(name):
        raise ValueError(f'"{name}" is no host name: use letters, digits and hyphens, with dots between words')


def owner_of(name: str) -> str:
    """The address, as written, that bears `name` now; "" if none does. OSError, ValueError."""
    for line in _lines():
        words = _words(line)
        if name.lower() in (word.lower() for word in words[1:]):
            return words[0]
    return ""


def set_name(address: int, name: str, old_address: int) -> None:
    """Let `address` bear `name` in place of what `old_address` was called; its aliases stay. OSError."""
    _rewrite(lambda lines: _named(lines, ipv4_text(address), name, ipv4_text(old_address)))


def remove(address: int) -> None:
    """Forget every name of the address. OSError."""
    text = ipv4_text(address)
    _rewrite(lambda lines: [line for line in lines if _words(line)[:1] != [text]])


def _named(lines: list[str], address: str, name: str, old_address: str) -> list[str]:
    for index, line in enumerate(lines):
        words = _words(line)
        if words[:1] == [old_address]:
            comment = "".join(line.partition("#")[1:])
            aliases = [word for word in words[2:] if word != name]
            entry = "\t".join(filter(None, [address, " ".join([name, *aliases]), comment]))
            return [*lines[:index], entry, *lines[index + 1 :]]
    return [*lines, f"{address}\t{name}"]


def _words(line: str) -> list[str]:
    return line.partition("#")[0].split()


def _lines() -> list[str]:
    try:
        lines = HOSTS_FILE.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as error:
        raise ValueError(f"{HOSTS_FILE}: byte {error.start} is not UTF-8 text: correct the file by hand") from None
    return lines[:-1] if lines[-1] == "" else lines


def _rewrite(edit: Callable[[list[str]], list[str]]) -> None:
    directory = os.open(HOSTS_FILE.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        lines = _lines()
        edited = edit(list(lines))
        if edited != lines:
            durable.replace(HOSTS_FILE.resolve(), "".join(line + "\n" for line in edited).encode())
    finally:
        os.close(directory)
