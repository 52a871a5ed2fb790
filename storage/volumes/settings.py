"""Where the stores are and how they are asked: frozen values, checked when a store is opened with them.

Commands of one networked store all run on one server: what two of them must not do at once is kept apart by locks in
`run_dir`.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from storage.volumes.names import BadNameError, iqn_authority
from storage.volumes.port import Chap, Outcome, VolumesError

T = TypeVar("T")

EXPORTERS = ("lio", "comstar", "tgt")
TRANSPORTS = ("rest", "ssh")
HEADS_MAX = 2
"""An appliance is one machine, or a cluster of two."""

_DATASET = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*", re.ASCII)
_POOL = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*", re.ASCII)
_PORTAL = re.compile(r"([0-9.]+|\[[0-9a-f:]+\]):[0-9]{1,5}", re.ASCII)
_HEAD = re.compile(r"([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-f:]+\])(:[0-9]{1,5})?", re.ASCII)
_SSH = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9.:-]*", re.ASCII)
_LINK = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]*", re.ASCII)


class LocalSettings(NamedTuple):
    """The embedded store: its directory (not on NFS: file locks), a directory that a boot empties,
    the site's part of IQNs, and `address:port`.
    """

    root: Path
    run_dir: Path
    authority: str
    portal: str = "127.0.0.1:3260"


class ZfsSettings(NamedTuple):
    """A ZFS host: this machine, or another by ssh.

    `dataset`: below it a project is a dataset and a volume a zvol, `tank/guests`. `exporter`: lio (Linux, targetcli),
    comstar (illumos, stmfadm and itadm) or tgt (this machine only). `ssh`: `user@host`, empty for this machine.
    `become`: words before every command, such as `sudo -n` or `pfexec`. `files`: volumes are files on datasets, for a
    ZFS without zvols (zfs-fuse). `quota_bytes`: of each new project, 0 for none. `chap`: the site's secret, needed to
    export again what was lost together with the target's own configuration.
    """

    dataset: str
    run_dir: Path
    authority: str
    portal: str
    exporter: str = "lio"
    ssh: str = ""
    become: tuple[str, ...] = ()
    files: bool = False
    quota_bytes: int = 0
    chap: Chap | None = None


class ZfssaSettings(NamedTuple):
    """An Oracle ZFS Storage Appliance, or a Unified Storage 7410 with software 2009.Q3 or later.

    `heads`: `HOST` or `HOST:PORT`, both of a cluster. `pool`: where projects are. `portal`: the data address, which
    moves with the pool at a takeover. `credentials`: a file of mode 0600, the user's name in its first line and the
    password in its second; ssh has a key and reads the first line only. `transport`: how heads are spoken to: rest
    (software 2013.1 and later) or ssh, the command line. `interfaces`: data links of targets, empty for all. `ca_file`:
    the certificate that the heads are verified by, None for the system's authorities.
    """

    heads: tuple[str, ...]
    pool: str
    run_dir: Path
    authority: str
    portal: str
    credentials: Path
    transport: str = "rest"
    interfaces: tuple[str, ...] = ()
    ca_file: Path | None = None


def checked_zfs(settings: ZfsSettings) -> ZfsSettings:
    """The settings with an absolute run directory; VolumesError INVALID for the first that cannot be."""
    _demand(
        {
            f"{settings.dataset}: name a dataset, such as tank/guests": _DATASET.fullmatch(settings.dataset),
            f"{settings.portal}: write the portal as ADDRESS:PORT, such as 192.168.78.10:3260": _PORTAL.fullmatch(
                settings.portal
            ),
            f"{settings.exporter}: an exporter is one of {', '.join(EXPORTERS)}": settings.exporter in EXPORTERS,
            f"{settings.ssh}: write USER@HOST": not settings.ssh or _SSH.fullmatch(settings.ssh),
            "tgt exports disks of this machine only: use lio or comstar by ssh": settings.exporter != "tgt"
            or not settings.ssh,
            "comstar exports zvols: leave files out": settings.exporter != "comstar" or not settings.files,
            f"{settings.quota_bytes}: a quota is a number of bytes, 0 for none": settings.quota_bytes >= 0,
        }
    )
    return settings._replace(run_dir=settings.run_dir.absolute(), authority=_authority(settings.authority))


def checked_zfssa(settings: ZfssaSettings) -> ZfssaSettings:
    """The settings with an absolute run directory; VolumesError INVALID for the first that cannot be."""
    _demand(
        {
            f"name 1 to {HEADS_MAX} heads as HOST or HOST:PORT": 1 <= len(settings.heads) <= HEADS_MAX
            and all(_HEAD.fullmatch(head) for head in settings.heads),
            f"{settings.pool}: name a pool, such as pool-0": _POOL.fullmatch(settings.pool),
            f"{settings.portal}: write the portal as ADDRESS:PORT, such as 192.168.78.10:3260": _PORTAL.fullmatch(
                settings.portal
            ),
            f"{settings.transport}: a transport is one of {', '.join(TRANSPORTS)}": settings.transport in TRANSPORTS,
            "interfaces are names of data links, such as ixgbe0": all(
                _LINK.fullmatch(link) for link in settings.interfaces
            ),
        }
    )
    return settings._replace(run_dir=settings.run_dir.absolute(), authority=_authority(settings.authority))


def _authority(text: str) -> str:
    return _or_invalid(iqn_authority, text)


def _or_invalid(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except BadNameError as error:
        raise VolumesError(Outcome.INVALID, str(error)) from error


def _demand(rules: Mapping[str, object]) -> None:
    for text, holds in rules.items():
        if not holds:
            raise VolumesError(Outcome.INVALID, text)
