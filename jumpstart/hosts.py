"""The directory of host files: read whole, judged file by file, and again only where it changed.

Rules: a broken file is a fault and the others load. The file name is the host's name. A MAC or IPv4 address claimed
by two files puts *both* hosts out of service, because either could be the stale copy and an install wipes disks;
both servers reach the same verdict from the same files, whatever they read before. A file that was good and was
edited into a bad one keeps its last good content in force, and its fault is shown. A file that was removed is gone.
The share may be away: the last good hosts stay, with one fault that says so.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from jumpstart.hostfile import HostError, from_toml
from jumpstart.model import HostFault, Hypervisor

SUFFIX = ".toml"
FILE_MAX_BYTES = 64 * 1024
HOSTS_MAX = 4096

Stamp = tuple[int, int, int, int]  # inode, size, mtime and ctime in ns: changes with every write or rename
Loader = Callable[[Path], Hypervisor]


@dataclass(frozen=True)
class Hosts:
    """What is in force: hosts by name and by every MAC address of theirs, and everything that is wrong."""

    by_name: Mapping[str, Hypervisor] = field(default_factory=lambda: MappingProxyType({}))
    by_mac: Mapping[str, Hypervisor] = field(default_factory=lambda: MappingProxyType({}))
    faults: tuple[HostFault, ...] = ()


def load_host(path: Path) -> Hypervisor:
    """Read one host file. HostError holds every fault, also those of the file itself (unreadable, too large)."""
    try:
        text = _read(path)
    except OSError as error:
        raise HostError(
            [HostFault(str(path), "", f"cannot be read: {error.strerror}; check its permissions")]
        ) from None
    except UnicodeDecodeError as error:
        raise HostError(
            [HostFault(str(path), "", f"byte {error.start} is not UTF-8; save the file as UTF-8")]
        ) from None
    except ValueError as error:
        raise HostError([HostFault(str(path), "", str(error))]) from None
    host = from_toml(text, str(path))
    if host.name != path.stem:
        reason = f"{host.name!r} is not the file's name; rename the file to {host.name}{SUFFIX} or write {path.stem!r}"
        raise HostError([HostFault(str(path), "name", reason)])
    return host


def _read(path: Path) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO left here must not hang a menu
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("not a regular file; move it out of the hosts directory")
        data = file.read(FILE_MAX_BYTES + 1)
    if len(data) > FILE_MAX_BYTES:
        raise ValueError(f"larger than {FILE_MAX_BYTES} bytes; a host file is a page of text")
    return data.decode()


class _Known(NamedTuple):
    """What one file last gave: its good content if it ever had any, and its present faults."""

    stamp: Stamp
    host: Hypervisor | None
    faults: tuple[HostFault, ...]


class HostsCache:
    """The hosts of a directory, kept up to date at the price of one `stat` for each file."""

    def __init__(self, directory: Path, load: Loader = load_host) -> None:
        self.directory = directory
        self._load = load
        self._known: dict[str, _Known] = {}
        self._hosts = Hosts()

    def get(self) -> Hosts:
        """The hosts in force now: the same object as before as long as no file changed. Never raises for bad files."""
        try:
            stamps = _scan(self.directory)
        except OSError as error:
            reason = f"cannot be listed: {error.strerror}; the last good hosts stay, check that the share is mounted"
            return Hosts(self._hosts.by_name, self._hosts.by_mac, (HostFault(str(self.directory), "", reason),))
        if stamps != {name: known.stamp for name, known in self._known.items()}:
            self._known = {name: self._refresh(name, stamp) for name, stamp in sorted(stamps.items())}
            self._hosts = _judge(self.directory, self._known)
        return self._hosts

    def _refresh(self, name: str, stamp: Stamp) -> _Known:
        known = self._known.get(name)
        if known is not None and known.stamp == stamp:
            return known
        try:
            return _Known(stamp, self._load(self.directory / name), ())
        except HostError as error:
            return _Known(stamp, known.host if known else None, error.faults)


def load_hosts(directory: Path) -> Hosts:
    """Read every host file of a directory once. A directory that cannot be listed is a fault, not an exception."""
    return HostsCache(directory).get()


def _scan(directory: Path) -> dict[str, Stamp]:
    stamps: dict[str, Stamp] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) and not entry.name.startswith("."):
                stamps[entry.name] = _stamp(entry.path)
            if len(stamps) > HOSTS_MAX:
                raise OSError(errno.E2BIG, f"more than {HOSTS_MAX} host files")
    return stamps


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:  # a dangling link, or removed since it was listed: reading it names the fault
        return (0, 0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _judge(directory: Path, known: Mapping[str, _Known]) -> Hosts:
    faults = [fault for one in known.values() for fault in one.faults]
    hosts = [one.host for one in known.values() if one.host is not None]
    disputed = tuple(_disputes(directory, hosts))
    faults += disputed
    out = {fault.file for fault in disputed}
    served = [host for host in hosts if _file(directory, host) not in out]
    return Hosts(
        MappingProxyType({host.name: host for host in served}),
        MappingProxyType({link.mac: host for host in served for link in host.links}),
        tuple(faults),
    )


def _file(directory: Path, host: Hypervisor) -> str:
    return str(directory / f"{host.name}{SUFFIX}")


def _disputes(directory: Path, hosts: Iterable[Hypervisor]) -> Iterable[HostFault]:
    claims: dict[tuple[str, str], list[tuple[Hypervisor, str]]] = {}
    for host in hosts:
        for link in host.links:
            for key, value in (("mac", link.mac), ("address", link.address)):
                if value:
                    claims.setdefault((key, value), []).append((host, link.name))
    for (key, value), claimants in claims.items():
        for host, link_name in claimants:
            others = sorted({_file(directory, other) for other, _ in claimants if other is not host})
            if others:
                reason = f"{value} is also in {', '.join(others)}; none of these hosts is served until only one has it"
                yield HostFault(_file(directory, host), f"links.{link_name}.{key}", reason)
