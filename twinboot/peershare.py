"""The descriptions of all servers on the share: one written, all read. On a hung share each of these calls hangs.

A description is replaced by a rename and read by opening it anew, so it is whole and current on NFS as well. Its stamp
is when the share wrote it down, which is why a write that took long is repeated: its stamp would say little.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from storage.records.files import Files, LocalFiles
from twinboot.config import Config
from twinboot.peerfacts import Description, Sighting, decode, encode

__all__ = ["Found", "Unreadable", "files_of", "find", "forget", "publish"]

FOLDER = "servers"
SUFFIX = ".json"
SERVERS_MAX = 64
SLOW_S = 1.0
TRIES = 3


class Unreadable(NamedTuple):
    """A description that cannot be read, and why."""

    name: str
    reason: str


class Found(NamedTuple):
    """What all servers say, this one's own words apart."""

    own: Sighting | None
    peers: tuple[Sighting, ...]
    unreadable: tuple[Unreadable, ...]


def files_of(config: Config) -> LocalFiles:
    """Where descriptions are: below `<share>/state`."""
    return LocalFiles(config.share / "state")


def publish(files: Files, describe: Callable[[], Description]) -> None:
    """Put a description in place of the last one; OSError. `describe` is asked again after a slow write."""
    if FOLDER not in files.names():
        with contextlib.suppress(FileExistsError):
            files.make(FOLDER)
    for _ in range(TRIES):
        said = describe()
        began = time.monotonic()
        _replace(files, said)
        if time.monotonic() - began < SLOW_S:
            return


def _replace(files: Files, said: Description) -> None:
    new = f"{FOLDER}/.{said.name}.{said.life}"
    with contextlib.suppress(FileNotFoundError):
        files.remove(new)
    files.write(new, [encode(said)])
    files.rename(new, _name(said.name))


def find(files: Files, own_name: str) -> Found:
    """Read what is there; OSError if the share itself fails."""
    own: Sighting | None = None
    peers: list[Sighting] = []
    unreadable: list[Unreadable] = []
    names = files.names(FOLDER) if FOLDER in files.names() else []
    for name in sorted(name for name in names if name.endswith(SUFFIX) and not name.startswith("."))[:SERVERS_MAX]:
        server = name.removesuffix(SUFFIX)
        try:
            sighting = _read(files, _name(server))
        except FileNotFoundError:
            continue  # it was forgotten meanwhile
        except (ValueError, OSError) as error:
            why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
            unreadable.append(
                Unreadable(server, f"{files.location}/{FOLDER}/{name} {why}: remove it if nobody writes it")
            )
            continue
        if server == own_name:
            own = sighting
        else:
            peers.append(sighting)
    return Found(own, tuple(peers), tuple(unreadable))


def _read(files: Files, name: str) -> Sighting:
    """One description with its stamp: the same before and after, or it was replaced in between and is read again."""
    for _ in range(TRIES):
        before = files.stat(name)
        said = decode(files.read(name))
        if files.stat(name) == before:
            break
    if name != _name(said.name):
        raise ValueError(f"is by a server named {said.name}")
    return Sighting(said, before.mtime_ns / 1e9)


def forget(share: Path, name: str) -> None:
    """Remove the description of a server that is gone for good; FileNotFoundError, OSError."""
    if "/" in name:
        raise FileNotFoundError(name)
    LocalFiles(share / "state").remove(_name(name))


def _name(server: str) -> str:
    return f"{FOLDER}/{server}{SUFFIX}"
