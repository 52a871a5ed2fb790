"""A machine's serial console as lines of plain text: terminal control codes out, so that people and tests can read."""

from __future__ import annotations

import re
from pathlib import Path

_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|[\r\x00-\x08\x0b-\x1f]")


def lines(serial: Path) -> list[str]:
    """Return the console's lines so far; an absent file is an empty console."""
    try:
        raw = serial.read_bytes()
    except FileNotFoundError:
        return []
    return _CONTROL.sub(b"", raw).decode("utf-8", "replace").split("\n")


def find(serial: Path, pattern: str) -> str:
    """Return the first console line that matches the regular expression, or an empty string."""
    wanted = re.compile(pattern)
    return next((line.strip() for line in lines(serial) if wanted.search(line)), "")
