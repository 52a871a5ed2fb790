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
from twinboot import values
from twinboot.faults import Fault
from twinboot.keys import Key

__all__ = ["BACKENDS", "KEYS", "Storage", "faults", "storage"]

BACKENDS = ("local",)
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
)


@dataclass(frozen=True, slots=True)
class Storage:
    """A checked [storage]."""

    backend: str
    root: Path
    run: Path
    portal: str
    authority: str
    chap_user: str | None
    chap_secret_file: Path | None


def storage(table: Mapping[str, Any], site: Mapping[str, Any], server: Mapping[str, Any]) -> Storage | None:
    """The section as a value; None if this server keeps no volumes. Call it when `faults` found none."""
    if table["backend"] is None:
        return None
    root = _root(table, server)
    return Storage(
        backend=table["backend"],
        root=root,
        run=_run(table, server),
        portal=table["portal"] or f"{server['address']}:{values.ISCSI_PORT}",
        authority=_authority(table, site),
        chap_user=table["chap_user"],
        chap_secret_file=table["chap_secret_file"],
    )


def faults(
    file: str, table: Mapping[str, Any], site: Mapping[str, Any], server: Mapping[str, Any], given: Mapping[str, Any]
) -> Iterator[Fault]:
    """What does not fit together. `given` is the section as written; a faulty key reads as None."""
    if "backend" not in given:
        for name in table:
            if name in given:
                yield Fault(
                    file, f"storage.{name}", 'there is no storage.backend: add backend = "local", or take this out'
                )
        return
    room = SOCKET_PATH_BYTES_MAX - len("/tgt")
    is_own = table["run"] or table["root"]
    state_fits = server["state"] and len(os.fsencode(server["state"])) < room  # else the state's own fault says it
    if (is_own or state_fits) and len(os.fsencode(_run(table, server))) > room:
        yield Fault(file, "storage.run", f"longer than {room} bytes: a socket must fit; name a shorter path here")
    try:
        _authority(table, site)
    except BadNameError as error:
        yield Fault(file, "storage.authority" if table["authority"] else "storage.since", str(error))
    if ("chap_user" in given) != ("chap_secret_file" in given):
        lacking = "chap_secret_file" if "chap_user" in given else "chap_user"
        yield Fault(
            file, f"storage.{lacking}", "missing: CHAP takes a user and the file with its secret; give both or none"
        )


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
