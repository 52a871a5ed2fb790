"""What this machine must offer before we serve: the share, a state directory, an account, devices. All faults at once.

Whatever touches the share is given SHARE_S: a dead NFS mount must become a sentence, not a hang. One that answers with
an error (EIO and ESTALE while its server restarts) is asked again before that becomes a sentence, too.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import TypeVar

from dhcp import svcconf, svcconf_file
from dhcp.sockets import Interface, SocketError, choose, list_interfaces
from storage.volumes.port import VolumesError
from twinboot.config import Config
from twinboot.faults import Fault, Stop
from twinboot.privileges import account

__all__ = ["SHARE_DIRECTORIES", "addresses", "check", "prepare_state", "served", "share_fault", "within"]

SHARE_S = 10.0
SHARE_TRIES = 3
SHARE_PAUSE_S = 1.0
SHARE_DIRECTORIES = ("dhcp", "hosts", "jumpstart", "boot", "state", "volumes")
SHARELESS = ("journal", "dhcp")  # of a relay: all that a host needs to run which does nothing else
ALONE = ("volumes",)  # these need neither share nor interface: disks come back while the file server is still down
NEEDED = ("dhcp", "hosts", "boot", "state")
T = TypeVar("T")


def within(seconds: float, work: Callable[[], T], late: T) -> T:
    """`work()`, or `late` when it has not answered in time (its thread is left behind: NFS cannot be interrupted).

    What `work` raises for people is raised here: OSError, Stop, VolumesError.
    """
    answer: list[T] = []
    failure: list[OSError | Stop | VolumesError] = []

    def run() -> None:
        try:
            answer.append(work())
        except (OSError, Stop, VolumesError) as error:
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    return answer[0] if answer else late


def share_fault(config: Config) -> Fault | None:
    """What is wrong with the share, or None."""
    late: Fault | None = Fault(str(config.path), "site.share", f"{config.share} does not answer: is its NFS server up?")
    for tries_left in reversed(range(SHARE_TRIES)):
        try:
            return within(SHARE_S, lambda: _share_fault(config), late)
        except OSError as error:
            broken = f"{config.share}: {error.strerror}: see to the mount, and to its file server"
        if tries_left:
            time.sleep(SHARE_PAUSE_S)
    return Fault(str(config.path), "site.share", broken)


def _share_fault(config: Config) -> Fault | None:
    if not config.share.is_dir():
        return Fault(str(config.path), "site.share", f"{config.share} is missing: mount it or create it")
    missing = [name for name in NEEDED if not (config.share / name).is_dir()]
    if missing:
        names = ", ".join(missing)
        return Fault(str(config.path), "site.share", f"{config.share} has no {names}: run `twinboot init` or mount it")
    return None


def served(config: Config, conf: svcconf.ServiceConf) -> list[Interface]:
    """The interfaces to serve: named in either file, else those with an address in a network. SocketError."""
    found = list_interfaces()
    names = config.interfaces or conf.interfaces
    if not names:
        names = tuple(one.name for one in found if config.network_of(IPv4Address(one.address)))
    return choose(names, found)


def addresses(config: Config, conf: svcconf.ServiceConf) -> list[str]:
    """Where TFTP and HTTP listen: the served interfaces' addresses and the one machines are told."""
    return list(dict.fromkeys([str(config.address), *(str(IPv4Address(one.address)) for one in served(config, conf))]))


def check(config: Config, service: str = "") -> list[str]:
    """Everything that keeps this machine from serving, or from running one service, one line each."""
    faults: list[str] = []
    try:
        account(config.user)
    except Stop as stop:
        faults += [f"{config.path}: {line}" for line in stop.lines]
    if service not in ALONE:
        faults += _network_faults(config, service)
    if not faults:
        faults += _state_faults(config)
    return faults


def _network_faults(config: Config, service: str) -> list[str]:
    faults: list[str] = []
    if not (service in SHARELESS and _relays(config)) and (fault := share_fault(config)):
        faults.append(str(fault))
    try:
        served(config, svcconf_file.load(config.dhcpsvc))
    except svcconf.ConfError as error:
        faults += [str(one) for one in error.faults]
    except SocketError as error:
        faults.append(f"{config.dhcpsvc}: {error}")
    return faults


def _relays(config: Config) -> bool:
    try:
        return bool(svcconf_file.load(config.dhcpsvc).relay_destinations)
    except svcconf.ConfError:
        return False  # its faults are told elsewhere


def _state_faults(config: Config) -> list[str]:
    try:
        prepare_state(config)
    except OSError as error:
        return [f"{config.path}: server.state: {config.state}: {error.strerror}: make it writable for this account"]
    return []


def prepare_state(config: Config) -> None:
    """Make the state directory and give it to the account that services run as. OSError if it is not writable."""
    config.state.mkdir(mode=0o750, parents=True, exist_ok=True)
    ids = account(config.user)
    if ids:
        for path in (config.state, *config.state.glob("journal.db*")):
            os.chown(path, *ids)
    elif not os.access(config.state, os.W_OK | os.X_OK):
        raise PermissionError(13, "not writable", str(config.state))
