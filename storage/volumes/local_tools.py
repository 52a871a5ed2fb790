"""Running the programs that the local store stands on: bounded in time, last words turned into the port's outcomes."""

import os
import subprocess
from collections.abc import Mapping, Sequence

from storage.volumes.port import Outcome, VolumesError

TOOL_TIMEOUT_S = 60
"""For what takes milliseconds: a share that hangs, or a machine that swaps."""

WORDS_CHARS_MAX = 300

PACKAGES = {
    "qemu-img": "qemu-utils",
    "qemu-storage-daemon": "qemu-utils",
    "tgtd": "tgt",
    "tgtadm": "tgt",
    "zfs": "zfsutils-linux",
    "targetcli": "targetcli-fb",
    "ssh": "openssh-client",
}

SAYINGS = (
    ("No space left on device", Outcome.FULL, "free some space"),
    ("Disk quota exceeded", Outcome.FULL, "raise the quota or free some space"),
    ('Failed to get "write" lock', Outcome.BUSY, "another process has this disk open: end it first"),
    ('Failed to get shared "write" lock', Outcome.BUSY, "another process has this disk open: end it first"),
    ("this target is still active", Outcome.BUSY, "shut the guest down first"),
    ("dataset already exists", Outcome.EXISTS, "choose another name or destroy it first"),
    ("dataset does not exist", Outcome.NOT_FOUND, "look at the list of those there are"),
    ("has dependent clones", Outcome.IN_USE, "destroy its clones first"),
    ("has children", Outcome.IN_USE, "destroy what is in it first"),
    ("dataset is busy", Outcome.BUSY, "something has it open: shut the guest down, or end what else uses it"),
    ("resource busy", Outcome.BUSY, "shut the guest down first"),
    ("out of space", Outcome.FULL, "free some space"),
    ("quota exceeded", Outcome.FULL, "raise the quota or free some space"),
    ("property value too long", Outcome.INVALID, "name fewer initiators"),
    ("value is too long", Outcome.INVALID, "name fewer initiators"),
    ("permission denied", Outcome.DENIED, "run this as root, or let this user (zfs allow, sudo, pfexec)"),
    ("Directory not empty", Outcome.IN_USE, "look what is in it: something is being made there, or is not ours"),
    ("No such file or directory", Outcome.NOT_FOUND, "it has just gone: look again"),
    ("Permission denied", Outcome.DENIED, "give this user read and write access to it"),
    ("Read-only file system", Outcome.DENIED, "mount it read-write"),
)
"""What the programs say -> what it means, and what to do."""


def run(argv: Sequence[str], env: Mapping[str, str] | None = None, timeout_s: float = TOOL_TIMEOUT_S) -> str:
    """What the program printed; VolumesError when it fails, hangs or is not installed."""
    done = attempt(argv, env, timeout_s)
    if done.returncode:
        raise failed(argv[0], done.stderr.decode(errors="replace") or f"exit code {done.returncode}")
    return done.stdout.decode(errors="replace")


def attempt(
    argv: Sequence[str],
    env: Mapping[str, str] | None = None,
    timeout_s: float = TOOL_TIMEOUT_S,
    given: str = "",
) -> "subprocess.CompletedProcess[bytes]":
    """How the program ended, `given` on its standard input; VolumesError when it hangs or is not installed."""
    try:
        return subprocess.run(
            argv,
            input=given.encode(),
            capture_output=True,
            env=environment(env),
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise not_installed(argv[0]) from error
    except subprocess.TimeoutExpired as error:
        raise VolumesError(
            Outcome.UNAVAILABLE, f"{argv[0]} did not end within {timeout_s:g} s: see to the disk"
        ) from error


def environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """Ours with `extra`; messages in English, because `SAYINGS` reads them; and where daemons are, for every user."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return {**os.environ, "LC_ALL": "C", "PATH": path, **(extra or {})}


def not_installed(program: str) -> VolumesError:
    """The refusal when a program is not there."""
    package = PACKAGES.get(program, program)
    return VolumesError(Outcome.UNAVAILABLE, f"{program} is not on the PATH: install the package {package}")


def failed(program: str, words: str) -> VolumesError:
    """The port's error for a program's last words."""
    line = " ".join(words.split())[-WORDS_CHARS_MAX:]
    for saying, outcome, advice in SAYINGS:
        if saying in words:
            return VolumesError(outcome, f"{line}: {advice}")
    return VolumesError(Outcome.UNAVAILABLE, f"{program}: {line}")


def os_failed(error: OSError, what: object) -> VolumesError:
    """The port's error for a failed system call on `what`."""
    return failed(str(what), f"{what}: {error.strerror or error}")
