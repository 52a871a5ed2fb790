"""TFTP options: what a client asks for, and what it gets. One row for each option.

RFC 2347: an option that is unknown, or whose value the server does not like, is left out of the OACK,
and the transfer goes on without it; a client that cannot live without it sends ERROR 8. We never send
ERROR 8 ourselves: `blksize=abc` costs the client its block size, not its boot. (tftpd-hpa does the same
with values that are no numbers.) A number above the range is answered with the most we give, where the
RFC lets the server answer with less: blksize (RFC 2348) and windowsize (RFC 7440). The first of two
options with one name counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

MIN_BLKSIZE = 8
DEFAULT_BLKSIZE = 512  # RFC 1350
MAX_BLKSIZE = 65464  # RFC 2348
MAX_TIMEOUT_S = 255  # RFC 2349
DEFAULT_TIMEOUT_S = 1  # as tftpd-hpa: on a LAN a second without an answer is a lost packet
MAX_WINDOWSIZE = 32767  # RFC 7440 allows 65535; half the number space keeps old ACKs apart from new
MAX_WINDOW_BYTES = 1 << 20  # what one ACK may set off: 64 blocks of 8 KiB twice over, 1 ms at 10 Gbit/s
MAX_VALUE_CHARS = 20  # digits of a 64-bit number


class Terms(NamedTuple):
    """What one transfer runs on. `accepted` goes into the OACK; none of it, no OACK."""

    blksize: int = DEFAULT_BLKSIZE
    windowsize: int = 1
    timeout_s: int = DEFAULT_TIMEOUT_S
    accepted: tuple[tuple[str, str], ...] = ()


def _blksize(asked: int, _size: int) -> int | None:
    return min(asked, MAX_BLKSIZE) if asked >= MIN_BLKSIZE else None


def _timeout(asked: int, _size: int) -> int | None:
    return asked if 1 <= asked <= MAX_TIMEOUT_S else None


def _tsize(_asked: int, size: int) -> int | None:
    return size or None  # of an empty file: left out, because curl takes `tsize` 0 for a fault and stops


def _windowsize(asked: int, _size: int) -> int | None:
    return min(asked, MAX_WINDOWSIZE) if asked >= 1 else None


# option -> (number asked, size of the content in bytes) -> number granted, or None: left out
OPTIONS: dict[str, Callable[[int, int], int | None]] = {
    "blksize": _blksize,
    "timeout": _timeout,
    "tsize": _tsize,
    "windowsize": _windowsize,
}


def negotiate(options: tuple[tuple[str, str], ...], size: int) -> Terms:
    """The terms for content of `size` bytes. Never fails: what cannot be granted is left out."""
    granted: dict[str, int] = {}
    spelled: dict[str, str] = {}
    for name, value in options:
        key = name.lower()
        if key not in OPTIONS or key in granted or not _is_number(value):
            continue
        number = OPTIONS[key](int(value), size)
        if number is not None:
            granted[key] = number
            spelled[key] = name
    blksize = granted.get("blksize", DEFAULT_BLKSIZE)
    if "windowsize" in granted:  # bounded last: the block size may come after it
        granted["windowsize"] = max(1, min(granted["windowsize"], MAX_WINDOW_BYTES // blksize))
    return Terms(
        blksize,
        granted.get("windowsize", 1),
        granted.get("timeout", DEFAULT_TIMEOUT_S),
        tuple((spelled[key], str(number)) for key, number in granted.items()),
    )


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= MAX_VALUE_CHARS
