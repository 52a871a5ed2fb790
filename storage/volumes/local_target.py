"""iSCSI targets by tgtd, a target daemon in user space: no kernel module, and no root with a port above 1023.

It is ours alone: its control socket lies in our run directory (`TGT_IPC_SOCKET`), so Debian's own tgtd, if there is
one, is neither needed nor touched. It keeps nothing over a restart, and its only answers are texts: what should stand
is in the store's book, what does stand is read from `tgtadm --op show`, and the difference is made good.

Facts about it: LUN 0 is always the controller, so the disk is LUN 1. SIGTERM is ignored while there are targets. A
target without ACL lets nobody in, so the ACL is bound last and a half-made target is closed. Accounts (CHAP) are known
by name to the whole daemon. Its SCSI ids are made of target numbers, which change over a restart: ours are made of
the IQN, because a hypervisor knows a disk by them.
"""

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from storage.volumes.local_tools import environment, failed, not_installed, os_failed, run
from storage.volumes.port import Access, Outcome, VolumesError

LUN = 1
CONTROL_PORT = 7
"""Of tgtadm's `-C`: a number in the name of the socket."""

SOCKET_PATH_BYTES_MAX = 107 - len(".7.lock")
START_TIMEOUT_S = 5.0
START_POLL_S = 0.02
PORTAL = re.compile(r"[0-9.]+:[0-9]+|\[[0-9a-f:]+\]:[0-9]+", re.ASCII)

_TARGET = re.compile(r"^Target (\d+): (\S+)$", re.ASCII)
_INITIATOR = re.compile(r"^\s+Initiator: (\S+) alias: ", re.ASCII)
_STORE = re.compile(r"^\s+Backing store path: (.+)$")


class Standing(NamedTuple):
    """A target as it stands: its number, the file behind it, who may log in, which CHAP users, who is logged in."""

    tid: int
    path: str
    initiators: tuple[str, ...]
    accounts: tuple[str, ...]
    users: tuple[str, ...]

    def serves(self, path: Path, access: Access) -> bool:
        """Whether it is what it should be."""
        accounts = (access.chap.user,) if access.chap else ()
        return (self.path, self.initiators, self.accounts) == (str(path), access.initiators, accounts)


class Targets(Protocol):
    """A target daemon."""

    portal: str

    lun: int
    """Number of the disk in each target."""

    def standing(self) -> dict[str, Standing]:
        """All targets by IQN; none if the daemon does not run."""

    def up(self, iqn: str, path: Path, access: Access) -> None:
        """Serve the file under that name, which is not standing; starts the daemon if need be. VolumesError."""

    def down(self, iqn: str, *, force: bool = False) -> None:
        """End a target; BUSY while somebody is logged in, unless forced. Nothing to do if it is not standing."""


class Tgt:
    """tgtd, with its control socket and log in `run_dir`."""

    lun = LUN

    def __init__(self, run_dir: Path, portal: str) -> None:
        self.portal = portal
        self._dir = run_dir
        self._socket = run_dir / "tgt"
        self._daemon: subprocess.Popen[bytes] | None = None
        if not PORTAL.fullmatch(portal):
            raise VolumesError(
                Outcome.INVALID, f"{portal}: write the portal as ADDRESS:PORT, such as 192.168.78.10:3260"
            )
        if len(os.fsencode(self._socket)) > SOCKET_PATH_BYTES_MAX:
            raise VolumesError(
                Outcome.INVALID, f"{run_dir}: too long for a socket: choose a run directory with a shorter path"
            )

    def standing(self) -> dict[str, Standing]:
        """What `tgtadm --op show` says."""
        if self._daemon is not None:
            self._daemon.poll()  # or it stays a zombie
        if not self._socket.with_name(f"{self._socket.name}.{CONTROL_PORT}").exists():
            return {}  # it never ran here; tgt may not even be installed
        try:
            return parse_show(self._adm("target", "show"))
        except VolumesError as error:
            if "Transport endpoint is not connected" in str(error):
                return {}
            raise

    def up(self, iqn: str, path: Path, access: Access) -> None:
        """Make the target; the ACL comes last."""
        self._start()
        there = self.standing()
        taken = {one.tid for one in there.values()}
        tid = str(next(number for number in range(1, len(taken) + 2) if number not in taken))
        digest = hashlib.sha256(iqn.encode()).hexdigest()
        self._adm("target", "new", "--tid", tid, "--targetname", iqn)
        self._adm("logicalunit", "new", "--tid", tid, "--lun", str(LUN), "--backing-store", str(path))
        shown = f"vendor_id=TWINBOOT,product_id={iqn.rpartition(':')[2][:16]}"
        shown += f",scsi_id={digest[:24]},scsi_sn={digest[:32]},thin_provisioning=1"
        self._adm("logicalunit", "update", "--tid", tid, "--lun", str(LUN), "--params", shown)
        if access.chap:
            user = access.chap.user
            if not any(user in one.accounts for one in there.values()):  # what an earlier target left
                self._adm("account", "delete", "--user", user, unless="can't find")
                self._adm("account", "new", "--user", user, "--password", access.chap.secret, unless="already exists")
            self._adm("account", "bind", "--tid", tid, "--user", user)
        for name in access.initiators:
            self._adm("target", "bind", "--tid", tid, "--initiator-name", name)

    def down(self, iqn: str, *, force: bool = False) -> None:
        """Delete the target."""
        found = self.standing().get(iqn)
        if found is not None:
            self._adm("target", "delete", "--tid", str(found.tid), *(["--force"] if force else []))

    def stop(self) -> None:
        """End the daemon, targets and all."""
        for iqn in self.standing():
            self.down(iqn, force=True)
        self._adm("system", "delete", unless="not connected")
        if self._daemon is not None:
            self._daemon.wait(START_TIMEOUT_S)

    def _start(self) -> None:
        """Start the daemon unless it answers; it outlives us."""
        if self._answers():
            return
        try:
            self._dir.mkdir(parents=True, exist_ok=True)
            with (self._dir / "tgtd.log").open("wb") as log:
                argv = ["tgtd", "-D", "-C", str(CONTROL_PORT), "--iscsi", f"portal={self.portal}"]
                self._daemon = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment(self._env),
                    start_new_session=True,
                )
        except FileNotFoundError as error:
            raise not_installed("tgtd") from error
        except OSError as error:
            raise os_failed(error, self._dir) from error
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if time.monotonic() > deadline or self._daemon.poll() is not None:
                words = (self._dir / "tgtd.log").read_text(errors="replace")
                raise failed("tgtd", f"did not start on {self.portal}: {words}")
            time.sleep(START_POLL_S)

    def _answers(self) -> bool:
        try:
            self._adm("target", "show")
        except VolumesError as error:
            if error.outcome is Outcome.UNAVAILABLE and "not on the PATH" not in str(error):
                return False
            raise
        return True

    @property
    def _env(self) -> Mapping[str, str]:
        return {"TGT_IPC_SOCKET": str(self._socket)}

    def _adm(self, mode: str, op: str, *arguments: str, unless: str = "") -> str:
        """One request; a failure that says `unless` is none."""
        argv = ["tgtadm", "-C", str(CONTROL_PORT), "--lld", "iscsi", "--mode", mode, "--op", op, *arguments]
        try:
            return run(argv, self._env)
        except VolumesError as error:
            if unless and unless in str(error):
                return ""
            raise


def parse_show(text: str) -> dict[str, Standing]:
    """The targets in the text of `tgtadm --mode target --op show`, whose indentation tells what belongs to what."""
    found: dict[str, Standing] = {}
    iqn, section = "", ""
    for line in text.splitlines():
        if match := _TARGET.match(line):
            iqn = match[2]
            found[iqn] = Standing(int(match[1]), "", (), (), ())
        elif iqn and line.startswith("    ") and not line.startswith("     "):
            section = line.strip()
        elif iqn:
            found[iqn] = _told(found[iqn], section, line)
    return found


def _told(target: Standing, section: str, line: str) -> Standing:
    if section == "I_T nexus information:" and (match := _INITIATOR.match(line)):
        return target._replace(users=tuple(sorted({*target.users, match[1]})))
    if section == "LUN information:" and (match := _STORE.match(line)) and match[1] != "None":
        return target._replace(path=match[1])
    if section == "Account information:":
        return target._replace(accounts=tuple(sorted({*target.accounts, line.strip()})))
    if section == "ACL information:":
        return target._replace(initiators=tuple(sorted({*target.initiators, line.strip()})))
    return target
