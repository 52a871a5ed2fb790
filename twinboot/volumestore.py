"""The store of volumes as this server's configuration says, opened for whoever may use it.

One line in `OPENERS` for each backend. The local store belongs to whoever made it: its disks, its target daemon and its
views (a FUSE mount answers nobody but the user who made it) are one user's, root's or another's. So whoever opens it
is that user, or is told who it is; that holds for the service that tends it and for every `domu-` command.
"""

from __future__ import annotations

import importlib
import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path

from storage.records.remote import remote_kind
from storage.volumes import Access, Chap, Volumes, VolumesError
from storage.volumes.port import check_access
from storage.volumes.settings import LocalSettings, ZfssaSettings, ZfsSettings
from twinboot.config import Config
from twinboot.faults import ConfigError, Fault, Stop
from twinboot.storageconf import Storage

__all__ = ["OPENERS", "chap", "open_volumes"]

Settings = LocalSettings | ZfsSettings | ZfssaSettings
ROOT_MODE = 0o700
SECRET_BYTES_MAX = 4096


def open_volumes(config: Config) -> Volumes:
    """The store that [storage] names. Stop if this server keeps none or this user may not; VolumesError."""
    if config.storage is None:
        raise Stop(
            f'{config.path}: storage.backend: this server keeps no volumes: add [storage] and backend = "local", '
            "or use the command on the server that has them"
        )
    return OPENERS[config.storage.backend](config, config.storage)


def chap(config: Config) -> Chap | None:
    """What hypervisors have to prove themselves by; None if nothing. ConfigError if the secret is not to be had."""
    found = config.storage
    if found is None or found.chap_user is None or found.chap_secret_file is None:
        return None
    path = found.chap_secret_file
    try:
        with path.open("rb") as file:
            open_to_all = stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077
            secret = file.read(SECRET_BYTES_MAX).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _fault(config, "chap_secret_file", f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if open_to_all:
        raise _fault(
            config, "chap_secret_file", f"{path}: others can read it: chmod 600 {path}, and choose a new secret"
        )
    wanted = Chap(found.chap_user, secret)
    try:
        check_access(Access(("iqn.2026-11.example:any",), wanted))
    except VolumesError as error:
        raise _fault(config, "chap_secret_file", f"{path}: {error}") from error
    return wanted


def _open_local(config: Config, storage: Storage) -> Volumes:
    root = storage.root
    nearest = next(one for one in (root, *root.parents) if one.is_dir())
    kind = remote_kind(nearest)
    if kind:
        text = f"{root} is on {kind}: file locks and disks of guests need a local one: name another directory"
        raise _fault(config, "root", text)
    _owned(config, root)
    settings = LocalSettings(root, storage.run, storage.authority, storage.portal)
    return _kind("storage.volumes.local:LocalVolumes")(settings)


def _owned(config: Config, root: Path) -> None:
    """Make the directory this user's, or see that it is."""
    try:
        root.mkdir(mode=ROOT_MODE, parents=True, exist_ok=True)
        owner = root.stat().st_uid
    except OSError as error:
        text = f"{root}: {error.strerror}: run this as root, or name a directory of your own"
        raise _fault(config, "root", text) from error
    if owner != os.geteuid():
        raise Stop(f"{root}: the volumes are {_who(owner)}'s: run this as {_who(owner)} (sudo -u {_who(owner)} ...)")


def _who(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def _fault(config: Config, key: str, reason: str) -> ConfigError:
    return ConfigError((Fault(str(config.path), f"storage.{key}", reason),))


def _open_zfs(config: Config, storage: Storage) -> Volumes:
    assert storage.zfs is not None
    _owned(config, storage.root)
    return _kind("storage.volumes.zfs:ZfsVolumes")(storage.zfs._replace(chap=chap(config)))


def _open_zfssa(config: Config, storage: Storage) -> Volumes:
    assert storage.zfssa is not None
    _owned(config, storage.root)
    return _kind("storage.volumes.zfssa:ZfssaVolumes")(storage.zfssa)


def _kind(where: str) -> Callable[[Settings], Volumes]:
    """A store that is loaded only where it is used."""
    module, _, name = where.partition(":")
    found: Callable[[Settings], Volumes] = getattr(importlib.import_module(module), name)
    return found


OPENERS: dict[str, Callable[[Config, Storage], Volumes]] = {
    "local": _open_local,
    "zfs": _open_zfs,
    "zfssa": _open_zfssa,
}
