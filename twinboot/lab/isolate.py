"""Run a command inside namespaces of its own, so that nothing it makes can outlive it.

unshare(1) gives the child a network, a mount table and a process table of its own. `--kill-child` ends the child with
its parent, and the end of a process table's first process ends all the others (pid_namespaces(7)); an empty network
namespace takes its bridges and taps with it (network_namespaces(7)). An ordinary user gets the same by a user namespace
(user_namespaces(7)) where the kernel allows it.
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

INSIDE = "TWINBOOT_LAB_INSIDE"
"""Set to 1 in the environment of everything that runs inside a lab."""

_NAMESPACES = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


class LabError(Exception):
    """The lab cannot be built on this machine; the text is one line that says why and what to do."""


def inside() -> bool:
    """Say whether this process already runs inside a lab."""
    return os.environ.get(INSIDE) == "1"


def command(argv: Sequence[str], *, root: bool, accounts: bool = False) -> list[str]:
    """Return the command line that runs `argv` inside fresh namespaces; `root` is False for an ordinary user.

    With `accounts` he brings the accounts that /etc/subuid gives him (newuidmap(1)): libvirtd gives up groups.
    """
    user = () if root else ("--user", "--map-root-user", *(["--map-auto"] if accounts else []))
    return ["unshare", *user, *_NAMESPACES, "--", *argv]


def run(argv: Sequence[str], *, accounts: bool = False) -> int:
    """Run `argv` inside a lab and return its exit code. Ctrl-C reaches the child, which decides that code."""
    why = _obstacle(accounts=accounts)
    if why:
        raise LabError(why)
    child = subprocess.Popen(command(argv, root=os.geteuid() == 0, accounts=accounts), env={**os.environ, INSIDE: "1"})
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue  # the terminal sent the same signal to the child; its exit is what we wait for


def private_run_directory() -> None:
    """Give the lab a /run of its own: `ip netns` keeps its names there, and services what only they should find."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "twinboot-lab", "/run"], check=True)


def unmount_below(directory: Path) -> None:
    """Take away all that is mounted below `directory`, in use or not: its owner could not remove it otherwise."""
    targets = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    paths = [re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), target) for target in targets]  # proc(5)
    below = [path for path in paths if path.startswith(f"{directory}/")]
    for path in reversed(below):
        subprocess.run(["umount", "--lazy", path], capture_output=True, check=False)


def may_become(account: str) -> bool:
    """Say whether a process in here can become `account`: an ordinary user's lab holds one account, its own root."""
    uid = pwd.getpwnam(account).pw_uid
    ranges = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(first <= uid < first + count for first, _outside, count in ranges)


def _obstacle(*, accounts: bool) -> str:
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "the lab needs /dev/net/tun for its machines' network cards: run it as root, or `modprobe tun`"
    probe = subprocess.run(
        command(["true"], root=os.geteuid() == 0, accounts=accounts),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    if probe.returncode:
        reason = (probe.stderr.strip().splitlines() or ["unshare failed"])[-1]
        needs = "private network namespaces" + (" and a range of accounts in /etc/subuid" if accounts else "")
        return f"the lab needs {needs}, which this machine refuses ({reason}): run it as root"
    return ""
