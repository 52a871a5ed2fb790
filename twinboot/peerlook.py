"""Looking at this server for what it says of itself: configuration, records, mounts, room. Reads only.

`Look` is kept between two looks, so that records are read by what changed and a change of macros is dated.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from datetime import datetime
from ipaddress import IPv4Address
from pathlib import Path

from dhcp import svcconf, svcconf_file, svcconf_keys
from dhcp.sockets import SocketError
from dhcp.svcconf import ServiceConf
from storage.records import Binding, Key, Records, RecordsError, Row, TabEntry
from storage.records.twinlog_names import FOLDER as LOG_FOLDER
from storage.records.twinlog_names import numbered
from twinboot import __version__, leases, machine, stores
from twinboot.config import Config
from twinboot.peerfacts import Description, Mount
from twinboot.peermounts import find_mount

__all__ = ["Look"]

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MOUNTINFO = Path("/proc/self/mountinfo")
CONTAINER_PREFIX = "SUNWfiles"
TROUBLE_CHARS_MAX = 400


class _Table:
    """The rows of one table, kept current."""

    def __init__(self) -> None:
        self.version = 0
        self.rows: dict[Key, Row] = {}

    def follow(self, records: Records, name: str) -> bool:
        """Take over what changed; tell whether anything did. RecordsError."""
        delta = records.read(name, self.version)
        if delta.whole:
            self.rows.clear()
        for key in delta.gone:
            self.rows.pop(key, None)
        self.rows.update((row.key, row) for row in delta.rows)
        self.version = delta.version
        return delta.whole or bool(delta.gone or delta.rows)


class Look:
    """What this process knows of its server from one look to the next."""

    def __init__(self, config: Config, records: Records | None = None) -> None:
        """Use `records` where they are open already."""
        self.life = secrets.token_hex(8)
        self._config = config
        self._conf = svcconf_file.load(config.dhcpsvc)
        self._records = records
        self._tables: dict[str, _Table] = {}
        self._digest = ""
        self._digest_s = 0.0
        self._started_s = time.time()
        self._boot = BOOT_ID.read_text().strip()

    def describe(self) -> Description:
        """Look, and say what was seen. OSError, if the share cannot be asked for its room."""
        config, conf = self._config, self._settings()
        looked_s = time.time()
        networks, trouble = self._follow(looked_s)
        batch, commit = _last_commit(conf)
        mountinfo = MOUNTINFO.read_text(errors="surrogateescape")
        room = os.statvfs(config.share)
        return Description(
            name=config.server,
            address=str(config.address),
            addresses=self._addresses(conf),
            version=__version__,
            boot=self._boot,
            life=self.life,
            started_s=self._started_s,
            looked_s=looked_s,
            at_s=time.time(),
            stopped=False,
            resource=conf.resource,
            path=svcconf_keys.shown(conf.path),
            inode=_inode(conf.path),
            owner_ip=tuple(str(IPv4Address(one)) for one in conf.owner_ip),
            keys=_keys(config, conf),
            dhcptab=self._digest,
            dhcptab_since_s=self._digest_s,
            batch=batch,
            commit=commit,
            networks=networks,
            share=find_mount(mountinfo, os.path.realpath(config.share)),
            records=find_mount(mountinfo, os.path.realpath(conf.path)) if conf.path.startswith("/") else Mount("", ()),
            free_bytes=room.f_bavail * room.f_frsize,
            free_files=room.f_favail if room.f_files else -1,
            writable=os.access(config.share / "state", os.W_OK, effective_ids=True),
            trouble=trouble[:TROUBLE_CHARS_MAX],
        )

    def _settings(self) -> ServiceConf:
        """What dhcpsvc.conf says now, or while it is faulty what it said last."""
        with contextlib.suppress(svcconf.ConfError):  # the DHCP service and `twinboot status` tell its faults
            self._conf = svcconf_file.load(self._config.dhcpsvc)
        return self._conf

    def _addresses(self, conf: ServiceConf) -> tuple[str, ...]:
        try:
            return tuple(str(IPv4Address(one.address)) for one in machine.served(self._config, conf))
        except SocketError:
            return (str(self._config.address),)

    def _follow(self, now_s: float) -> tuple[dict[str, dict[str, int]], str]:
        """The counts of each network and what kept us from reading, if anything."""
        try:
            if self._records is None:
                self._records = stores.dhcp_records(self._config)
            names = self._records.tables()
            tab = self._tables.setdefault(stores.DHCPTAB, _Table())
            if stores.DHCPTAB in names and (tab.follow(self._records, stores.DHCPTAB) or not self._digest):
                self._date(_digest(tab), now_s)
            return {name: self._count(name, now_s) for name in names if name[:1].isdigit()}, ""
        except RecordsError as error:
            self._records = None
            self._tables.clear()
            return {}, str(error)

    def _date(self, digest: str, now_s: float) -> None:
        if digest != self._digest:
            self._digest, self._digest_s = digest, now_s

    def _count(self, name: str, now_s: float) -> dict[str, int]:
        assert self._records is not None
        table = self._tables.setdefault(name, _Table())
        table.follow(self._records, name)
        counts = dict.fromkeys(leases.STATES, 0)
        for row in table.rows.values():
            if isinstance(row, Binding):
                counts[leases.state(row, now_s)] += 1
        return counts


def _digest(tab: _Table) -> str:
    entries = sorted((row.name, row.kind, row.value) for row in tab.rows.values() if isinstance(row, TabEntry))
    return hashlib.sha256(repr(entries).encode()).hexdigest()[:16]


def _keys(config: Config, conf: ServiceConf) -> dict[str, str]:
    """What must be the same on all servers, so that a client gets the same answers from each."""
    return {
        "RESOURCE": conf.resource,
        "BOOTP_COMPAT": conf.bootp_compat or "",
        "ICMP_VERIFY": str(conf.icmp_verify).upper(),
        "LEASE_MIN_LRU": str(conf.lease_min_lru_s),
        "SECONDARY_SERVER_TIMEOUT": str(conf.secondary_server_timeout_s),
        "RELAY_HOPS": str(conf.relay_hops),
        "site.name": config.site,
        "site.domain": config.domain or "",
        "boot.transport": config.transport,
    }


def _inode(path: str) -> int:
    return os.stat(path).st_ino if path.startswith("/") and os.path.isdir(path) else 0


def _last_commit(conf: ServiceConf) -> tuple[int, str]:
    """Number of the last commit and the same in words, as far as the kind of datastore has such a thing. OSError."""
    if conf.resource == "twinlog" and os.path.isdir(log := os.path.join(conf.path, LOG_FOLDER)):
        number = max((found[0] for name in os.listdir(log) if (found := numbered(name))), default=0)
        return number, f"batch {number}"
    if conf.resource == "SUNWfiles" and os.path.isdir(conf.path):
        with os.scandir(conf.path) as entries:
            times = [entry.stat().st_mtime for entry in entries if entry.name.startswith(CONTAINER_PREFIX)]
        return 0, datetime.fromtimestamp(max(times)).astimezone().isoformat(" ", "seconds") if times else ""
    return 0, ""
