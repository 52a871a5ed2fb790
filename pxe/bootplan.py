"""The boot plan: what one machine gets at this boot, and the sentence that says why.

Pure. The local disk is the default: only a row that says *armed* leads to the installer, and loading the
installer's first file takes that row out of *armed*, so a machine that boots twice is never installed twice. An
install that began and never reported is not tried again by itself, because doing so would wipe a disk that may
hold the answer to what went wrong.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple

from storage.records import Install


class Kind(Enum):
    """What is booted. Rescue: nothing can be decided for this machine, so its screen says why, and then its disk."""

    INSTALL = "install"
    LOCAL = "local"
    RESCUE = "rescue"


class Plan(NamedTuple):
    """The decision and its reason, one sentence for `twinboot explain`, the journal and the machine's own screen."""

    kind: Kind
    reason: str


YEAR_9999_S = 253_402_300_799  # rows can be edited by hand; datetime ends here

UNKNOWN_MACHINE = Plan(Kind.RESCUE, "this machine is not known here; add it with `twinboot host add`")
NEVER_ARMED = Plan(Kind.LOCAL, "no install was ever armed for it")

BY_STATE: Mapping[str, tuple[Kind, str]] = {
    "armed": (Kind.INSTALL, "{target} was armed at {at}"),
    "installing": (
        Kind.LOCAL,
        "an install of {target} began at {at} and did not finish; `twinboot install {host}` arms it again",
    ),
    "installed": (Kind.LOCAL, "{target} was installed at {at}"),
    "failed": (
        Kind.LOCAL,
        "the install of {target} failed at {at} ({detail}); `twinboot install {host}` arms it again",
    ),
}


def utc_text(when_s: int) -> str:
    """Seconds since 1970 as people write them: `2026-03-01 12:00:00 UTC`."""
    return datetime.fromtimestamp(min(when_s, YEAR_9999_S), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def decide(host: str | None, install: Install | None) -> Plan:
    """Plan one boot of the host (None: no host file has this MAC) with its row of `installs` (None: never armed)."""
    if host is None:
        return UNKNOWN_MACHINE
    if install is None:
        return NEVER_ARMED
    if install.state not in BY_STATE:
        return Plan(
            Kind.LOCAL,
            f"its install row has the unknown state {install.state!r}; `twinboot install {host}` arms it again",
        )
    kind, text = BY_STATE[install.state]
    detail = _printable(install.detail) or "it gave no reason"
    at = utc_text(install.changed_s)
    return Plan(kind, text.format(target=_printable(install.target), at=at, host=host, detail=detail))


def _printable(text: str) -> str:
    """The text as it may stand in a sentence: a row that somebody edited must not take the machine's menu away."""
    return "".join(char if char.isprintable() else "?" for char in text)
