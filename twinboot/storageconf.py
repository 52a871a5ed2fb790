"""[storage] of twinboot.toml: where this server keeps volumes, and how hypervisors reach them. No look at the machine.

A server without `storage.backend` keeps none. The local store lies beside the state directory, not in it: the state
belongs to the account of the services, and a process of root must not follow names that another account can change.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.volumes.local_target import SOCKET_PATH_BYTES_MAX
from storage.volumes.names import BadNameError, iqn_authority, site_authority
from storage.volumes.port import VolumesError
from storage.volumes.settings import (
    EXPORTERS,
    TRANSPORTS,
    ZfssaSettings,
    ZfsSettings,
    checked_zfs,
    checked_zfssa,
)
from twinboot import values
from twinboot.faults import Fault
from twinboot.keys import Key

__all__ = ["BACKENDS", "KEYS", "Storage", "faults", "storage"]

BACKENDS = ("local", "zfs", "zfssa")
SINCE = "2026-11"
PRIVATE_DOMAIN = "internal"
"""Top-level domain that ICANN keeps for private use (2024): for a site that has no domain of its own."""

KEYS: tuple[Key, ...] = (
    Key(
        "storage", "backend", values.choice(*BACKENDS), None, "where volumes are kept; if absent this server keeps none"
    ),
    Key(
        "storage",
        "root",
        values.path,
        None,
        "directory of volumes, on a local disk; else that of `server.state` and `-volumes`",
    ),
    Key("storage", "run", values.path, None, "directory of its daemons' sockets and views; else `.run` in `root`"),
    Key(
        "storage",
        "portal",
        values.portal,
        None,
        "address:port that hypervisors log in at; else `server.address` and 3260",
    ),
    Key(
        "storage", "since", values.month, SINCE, "month from which the site has had its domain, part of all iSCSI names"
    ),
    Key(
        "storage",
        "authority",
        values.text,
        None,
        "the site's part of iSCSI names; else iqn., `since` and `site.domain` reversed",
    ),
    Key("storage", "chap_user", values.text, None, "user that hypervisors prove themselves as (CHAP)"),
    Key("storage", "chap_secret_file", values.path, None, "file with that user's secret, readable by its owner only"),
    Key("storage.zfs", "dataset", values.text, None, "dataset that projects are made below, `tank/guests`; required"),
    Key(
        "storage.zfs", "exporter", values.choice(*EXPORTERS), "lio", "what exports: lio (Linux), comstar (illumos), tgt"
    ),
    Key("storage.zfs", "ssh", values.text, None, "USER@HOST of the ZFS host; if absent it is this machine"),
    Key("storage.zfs", "become", values.texts, (), 'words before each command: ["sudo", "-n"], ["pfexec"]'),
    Key(
        "storage.zfs", "files", values.switch, False, "volumes are files on datasets, where ZFS has no zvols (zfs-fuse)"
    ),
    Key("storage.zfs", "quota_bytes", values.integer(0, 2**60), 0, "quota of each new project, 0 for none"),
    Key("storage.zfssa", "heads", values.texts, (), "HOST or HOST:PORT of the appliance's heads, one or two; required"),
    Key("storage.zfssa", "pool", values.text, None, "pool that projects are in; required"),
    Key(
        "storage.zfssa",
        "credentials",
        values.path,
        None,
        "file of mode 0600: user, and for rest in line 2 the password; required",
    ),
    Key(
        "storage.zfssa",
        "transport",
        values.choice(*TRANSPORTS),
        "rest",
        "rest (software of 2013 and later) or ssh (the CLI)",
    ),
    Key("storage.zfssa", "interfaces", values.texts, (), "data links that targets listen on; if absent all"),
    Key("storage.zfssa", "ca_file", values.path, None, "certificate that the heads are verified by; else the system's"),
)

NEEDED = {"zfs": ("dataset",), "zfssa": ("heads", "pool", "credentials")}
"""Backend -> what its own section has to say."""


Tables = Mapping[str, Mapping[str, Any]]
"""Section -> its keys as read."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A checked [storage]; `zfs` and `zfssa` are given where that is the backend."""

    backend: str
    root: Path
    run: Path
    portal: str
    authority: str
    chap_user: str | None
    chap_secret_file: Path | None
    zfs: ZfsSettings | None = None
    zfssa: ZfssaSettings | None = None


def storage(tables: Tables) -> Storage | None:
    """The section as a value; None if this server keeps no volumes. Call it when `faults` found none."""
    table, server = tables["storage"], tables["server"]
    if table["backend"] is None:
        return None
    return Storage(
        backend=table["backend"],
        root=_root(table, server),
        run=_run(table, server),
        portal=_portal(table, server),
        authority=_authority(table, tables["site"]),
        chap_user=table["chap_user"],
        chap_secret_file=table["chap_secret_file"],
        zfs=_zfs(tables) if table["backend"] == "zfs" else None,
        zfssa=_zfssa(tables) if table["backend"] == "zfssa" else None,
    )


def faults(file: str, tables: Tables, given: Mapping[str, Any]) -> Iterator[Fault]:
    """What does not fit together. `given` is the section as written; a faulty key reads as None."""
    table, server = tables["storage"], tables["server"]
    if "backend" not in given:
        for name in given:
            text = 'there is no storage.backend: add backend = "local", or take this out'
            yield Fault(file, f"storage.{name}", text)
        return
    room = SOCKET_PATH_BYTES_MAX - len("/tgt")
    is_own = table["run"] or table["root"]
    state_fits = server["state"] and len(os.fsencode(server["state"])) < room  # else the state's own fault says it
    if (is_own or state_fits) and len(os.fsencode(_run(table, server))) > room:
        yield Fault(file, "storage.run", f"longer than {room} bytes: a socket must fit; name a shorter path here")
    try:
        _authority(table, tables["site"])
    except BadNameError as error:
        yield Fault(file, "storage.authority" if table["authority"] else "storage.since", str(error))
    if ("chap_user" in given) != ("chap_secret_file" in given):
        lacking = "chap_secret_file" if "chap_user" in given else "chap_user"
        text = "missing: CHAP takes a user and the file with its secret; give both or none"
        yield Fault(file, f"storage.{lacking}", text)
    if server["state"] and server["address"]:
        yield from _backend_faults(file, tables, given)


def _backend_faults(file: str, tables: Tables, given: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with the section of the backend itself."""
    backend = tables["storage"]["backend"]
    for name in NEEDED:
        if name in given and backend not in (None, name):
            yield Fault(file, f"storage.{name}", f'storage.backend is "{backend}": take this out, or change that')
    own = tables.get(f"storage.{backend}", {})
    missing = [key for key in NEEDED.get(backend, ()) if not own[key]]
    for key in missing:
        wanted = next(one for one in KEYS if one.section == f"storage.{backend}" and one.name == key)
        inner = given.get(backend, {})
        if not isinstance(inner, dict) or key not in inner:  # else its own fault says what is wrong with it
            yield Fault(file, f"storage.{backend}.{key}", f"missing: {wanted.meaning}")
    if "portal" not in given and (backend == "zfssa" or own.get("ssh")):
        yield Fault(file, "storage.portal", "missing: address:port at which the ZFS host or appliance exports")
    elif backend in NEEDED and not missing:
        try:
            _zfs(tables) if backend == "zfs" else _zfssa(tables)
        except VolumesError as error:
            yield Fault(file, f"storage.{backend}", str(error))


def _zfs(tables: Tables) -> ZfsSettings:
    own = tables["storage.zfs"]
    settings = ZfsSettings(
        own["dataset"],
        *_common(tables),
        exporter=own["exporter"] or EXPORTERS[0],
        ssh=own["ssh"] or "",
        become=own["become"] or (),
        files=bool(own["files"]),
        quota_bytes=own["quota_bytes"] or 0,
    )
    return checked_zfs(settings)


def _zfssa(tables: Tables) -> ZfssaSettings:
    own = tables["storage.zfssa"]
    settings = ZfssaSettings(
        own["heads"],
        own["pool"],
        *_common(tables),
        credentials=own["credentials"],
        transport=own["transport"] or TRANSPORTS[0],
        interfaces=own["interfaces"] or (),
        ca_file=own["ca_file"],
    )
    return checked_zfssa(settings)


def _common(tables: Tables) -> tuple[Path, str, str]:
    """Run directory, authority and portal."""
    table, server = tables["storage"], tables["server"]
    try:
        authority = _authority(table, tables["site"])
    except BadNameError:  # its own fault says it
        authority = site_authority(PRIVATE_DOMAIN, SINCE)
    return _run(table, server), authority, _portal(table, server)


def _portal(table: Mapping[str, Any], server: Mapping[str, Any]) -> str:
    return table["portal"] or f"{server['address']}:{values.ISCSI_PORT}"


def _root(table: Mapping[str, Any], server: Mapping[str, Any]) -> Path:
    root: Path | None = table["root"]
    state: Path = server["state"]
    return root or state.with_name(state.name + "-volumes")


def _run(table: Mapping[str, Any], server: Mapping[str, Any]) -> Path:
    return table["run"] or _root(table, server) / ".run"


def _authority(table: Mapping[str, Any], site: Mapping[str, Any]) -> str:
    if table["authority"]:
        return iqn_authority(table["authority"])
    return site_authority(site["domain"] or f"{site['name'] or 'site'}.{PRIVATE_DOMAIN}", table["since"] or SINCE)
