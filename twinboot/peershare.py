"""What the servers say on the share, of themselves and of boots: one writes, all read. On a hung share each call hangs.

A file is replaced by a rename and read by opening it anew, so it is whole and current on NFS as well. A description's
stamp is when the share wrote it down, which is why a write that took long is repeated: its stamp would say little.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from storage.records.files import Files, LocalFiles
from twinboot import peerstory
from twinboot.config import Config
from twinboot.peerfacts import Description, Sighting, decode, encode

__all__ = ["Found", "Unreadable", "files_of", "find", "forget", "publish", "stories", "tell"]

FOLDER = "servers"
SUFFIX = ".json"
STORY_SUFFIX = ".events"
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
    for _ in range(TRIES):
        said = describe()
        began = time.monotonic()
        _replace(files, said.name, SUFFIX, said.life, encode(said))
        if time.monotonic() - began < SLOW_S:
            return


def tell(files: Files, name: str, life: str, story: bytes) -> None:
    """Put what this server saw of boots in place of what it told last; OSError. `life` is its process's id."""
    _replace(files, name, STORY_SUFFIX, life, story)


def _replace(files: Files, server: str, suffix: str, life: str, data: bytes) -> None:
    if FOLDER not in files.names():
        with contextlib.suppress(FileExistsError):
            files.make(FOLDER)
    new = f"{FOLDER}/.{server}{suffix}.{life}"
    with contextlib.suppress(FileNotFoundError):
        files.remove(new)
    files.write(new, [data])
    files.rename(new, _name(server, suffix))


def find(files: Files, own_name: str) -> Found:
    """Read what is there; OSError if the share itself fails."""
    own: Sighting | None = None
    peers: list[Sighting] = []
    unreadable: list[Unreadable] = []
    for server in _servers(files, SUFFIX):
        try:
            sighting = _read(files, server)
        except FileNotFoundError:
            continue  # it was forgotten meanwhile
        except (ValueError, OSError) as error:
            why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
            unreadable.append(
                Unreadable(server, f"{files.location}/{_name(server)} {why}: remove it if nobody writes it")
            )
            continue
        if server == own_name:
            own = sighting
        else:
            peers.append(sighting)
    return Found(own, tuple(peers), tuple(unreadable))


def stories(files: Files, own_name: str) -> dict[str, list[dict[str, Any]]]:
    """What the other servers saw of boots, by their names, in this server's time; OSError if the share itself fails.

    A server whose file cannot be read is left out.
    """
    found = find(files, own_name)
    ahead_s = {peer.said.name: peer.offset_s - found.own.offset_s for peer in found.peers} if found.own else {}
    told: dict[str, list[dict[str, Any]]] = {}
    for server in _servers(files, STORY_SUFFIX):
        if server == own_name:
            continue
        with contextlib.suppress(OSError, ValueError):
            events = peerstory.decode(files.read(_name(server, STORY_SUFFIX)))
            told[server] = [{**event, "at": event["at"] - ahead_s.get(server, 0.0)} for event in events]
    return told


def _servers(files: Files, suffix: str) -> list[str]:
    names = files.names(FOLDER) if FOLDER in files.names() else []
    found = (name.removesuffix(suffix) for name in names if name.endswith(suffix) and not name.startswith("."))
    return sorted(found)[:SERVERS_MAX]


def _read(files: Files, server: str) -> Sighting:
    """One description with its stamp: the same before and after, or it was replaced in between and is read again."""
    name = _name(server)
    for _ in range(TRIES):
        before = files.stat(name)
        said = decode(files.read(name))
        if files.stat(name) == before:
            break
    if name != _name(said.name):
        raise ValueError(f"is by a server named {said.name}")
    return Sighting(said, before.mtime_ns / 1e9)


def forget(share: Path, name: str) -> None:
    """Remove what a server that is gone for good said; FileNotFoundError, OSError."""
    if "/" in name:
        raise FileNotFoundError(name)
    files = LocalFiles(share / "state")
    files.remove(_name(name))
    with contextlib.suppress(FileNotFoundError):
        files.remove(_name(name, STORY_SUFFIX))


def _name(server: str, suffix: str = SUFFIX) -> str:
    return f"{FOLDER}/{server}{suffix}"
