"""The DHCP service of this host: whether it runs, and how it is started, stopped and told to read everything anew.

*Running* means that a process has UDP port 67 (plus DEBUG_PORT_OFFSET) open: `/proc/net/udp` tells the sockets,
`/proc/PID/fd` whose they are. No pid file is kept: this cannot be stale, works under systemd, under `twinboot serve`
and in the foreground, and tells several servers on one machine apart. Whoever may not look into another's process is
believed to look at ours; a holder that is plainly another program is not.

systemd does the starting and stopping where it has one of `UNITS` active or enabled. The unit with all services is
restarted instead, and then leaves DHCP out or not as DAEMON_ENABLED says. Without a unit, a service in the foreground
can be stopped and one under `twinboot serve` be restarted, but nothing is started: that is for whoever runs it.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from dhcp import svcconf
from dhcp.cli.common import CommandError, Exit
from dhcp.sockets import SERVER_PORT

PROC = Path("/proc")
UNITS: Mapping[str, Mapping[str, str]] = {
    "twinboot@dhcp.service": {"start": "start", "stop": "stop", "restart": "restart"},
    "twinboot.service": {"start": "restart", "stop": "restart", "restart": "restart"},
}
"""Unit -> what systemctl is told in order to start, stop or restart DHCP."""

SYSTEMCTL_S = 120  # above the units' own TimeoutStartSec
SETTLE_S = 15.0
POLL_S = 0.05
UNKNOWN_PID = 0


class Daemon(NamedTuple):
    """The running service: its pid, UNKNOWN_PID if it is not ours to see, and whether `twinboot serve` minds it."""

    pid: int
    supervised: bool


def port(conf_text: str) -> int:
    """The UDP port of the service that a dhcpsvc.conf is about."""
    offset = svcconf.get(conf_text, "DEBUG_PORT_OFFSET") or "0"
    return SERVER_PORT + (int(offset) if offset.isdigit() else 0)


def find(udp_port: int) -> Daemon | None:
    """The service that has the port open, or None."""
    inodes = set(_inodes(udp_port))
    if not inodes:
        return None
    links = {f"socket:[{inode}]" for inode in inodes}
    holders = [pid for pid in _pids() if links & set(_links(pid))]
    ours = [pid for pid in holders if _is_service(pid)]
    if holders and not ours:
        return None
    pid = min(ours, default=UNKNOWN_PID)
    return Daemon(pid, supervised=bool(pid) and _is_service(_parent(pid)))


def _inodes(udp_port: int) -> Iterator[str]:
    for line in (PROC / "net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == udp_port:
            yield fields[9]


def _pids() -> list[int]:
    return sorted(int(name) for name in os.listdir(PROC) if name.isdigit())


def _links(pid: int) -> Iterator[str]:
    try:
        handles = list((PROC / str(pid) / "fd").iterdir())
    except OSError:
        return  # it is another user's, or has ended
    for handle in handles:
        try:
            yield os.readlink(handle)
        except OSError:
            continue


def _is_service(pid: int) -> bool:
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"serve" in words and any(os.path.basename(word) == b"twinboot" for word in words)


def _parent(pid: int) -> int:
    try:
        status = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return UNKNOWN_PID
    return int(status.rpartition(")")[2].split()[1])


def unit() -> str | None:
    """The systemd unit that minds the service here, or None."""
    if shutil.which("systemctl") is None:
        return None
    asked = ((name, word) for name in UNITS for word in ("is-active", "is-enabled"))
    return next((name for name, word in asked if _systemctl(word, name).returncode == 0), None)


def _systemctl(word: str, name: str) -> subprocess.CompletedProcess[str]:
    command = ["systemctl", word, name]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SYSTEMCTL_S)
    except subprocess.TimeoutExpired:
        raise CommandError(f"systemctl {word} {name} did not end in {SYSTEMCTL_S:g} s: see what holds it up") from None


def _by_unit(name: str, action: str) -> None:
    word = UNITS[name][action]
    done = _systemctl(word, name)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        raise CommandError(f"systemctl {word} {name} failed: {reason}: see `systemctl status {name}`")


def start(udp_port: int) -> bool:
    """Start the service; False if nothing here starts it. CommandError if it cannot."""
    if find(udp_port):
        return True
    name = unit()
    if name is None:
        return False
    _by_unit(name, "start")
    return True


def stop(udp_port: int) -> bool:
    """Stop the service; False if it did not run. CommandError if it cannot be stopped."""
    daemon = find(udp_port)
    if daemon is None:
        return False
    name = unit()
    if name is not None:
        _by_unit(name, "stop")
    elif daemon.supervised or daemon.pid == UNKNOWN_PID:
        raise CommandError("the DHCP server runs under `twinboot serve`: end that, or start it anew, where it runs")
    else:
        _signal(daemon, signal.SIGTERM)
        _wait(lambda: find(udp_port) is None, "it did not stop")
    return True


def restart(udp_port: int) -> bool:
    """Restart the service, or start it; False if nothing here starts it. CommandError if it cannot."""
    daemon, name = find(udp_port), unit()
    if name is not None:
        _by_unit(name, "restart")
        return True
    if daemon is None:
        return False
    _signal(daemon, signal.SIGTERM)
    if not daemon.supervised:
        _wait(lambda: find(udp_port) is None, "it did not stop")
        return False
    gone = {daemon.pid, UNKNOWN_PID}  # while it ends, its socket is nobody's for a moment
    _wait(lambda: (new := find(udp_port)) is not None and new.pid not in gone, "it did not come back")
    return True


def reload(udp_port: int) -> None:
    """Make the service read everything anew (SIGHUP). CommandError (exit 3) if it cannot be told."""
    daemon = find(udp_port)
    why = "it does not run here" if daemon is None else ""
    try:
        if daemon:
            _signal(daemon, signal.SIGHUP)
    except CommandError as error:
        why = str(error)
    if why:
        text = f"Unable to signal the daemon to reload the dhcptab: {why}; edits are seen at the next packet anyhow"
        raise CommandError(text, Exit.NON_CRITICAL)


def _signal(daemon: Daemon, number: signal.Signals) -> None:
    try:
        if daemon.pid == UNKNOWN_PID:
            raise PermissionError
        os.kill(daemon.pid, number)
    except PermissionError:
        raise CommandError("it is another user's process: repeat the command as root") from None
    except ProcessLookupError:
        return  # it has just ended by itself


def _wait(done: Callable[[], bool], complaint: str) -> None:
    give_up_at = time.monotonic() + SETTLE_S
    while not done():
        if time.monotonic() > give_up_at:
            raise CommandError(f"{complaint} in {SETTLE_S:g} s: see `twinboot events --kind service`")
        time.sleep(POLL_S)
