"""The report a machine posts when its install is over, or on the way: what it may say, and how much of it.

The body is lines `key=value` in UTF-8. `outcome` is required and is `installed`, `failed` or `progress` (which ends
nothing); `reason` says why it failed; every other line is a fact that the machine saw (`xen_version`, `dom0_mem_kib`,
one `link` for each link) and may repeat its key. Everything is bounded, because whoever holds a token can send
anything. Values are facts to show, never commands, paths or markup.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

BODY_BYTES_MAX = 64 * 1024
FACTS_MAX = 256
KEY = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
VALUE_CHARS_MAX = 1024
OUTCOMES: Mapping[str, bool | None] = {"installed": True, "failed": False, "progress": None}


class ReportError(Exception):
    """A report that breaks its form; `str()` is one line that says how to write it."""


class Report(NamedTuple):
    """A well-formed report: whether the install succeeded (None: it goes on), and its other lines in their order."""

    success: bool | None
    reason: str
    facts: tuple[tuple[str, str], ...]

    @property
    def detail(self) -> str:
        """One line for people: the reason of a failure first, then the facts."""
        facts = " ".join(f"{key}={value}" for key, value in self.facts)
        return f"{self.reason}; {facts}" if self.reason and facts else self.reason or facts


def parse(body: bytes) -> Report:
    """Read a posted report; ReportError names the first line that is not as it should be."""
    if len(body) > BODY_BYTES_MAX:
        raise ReportError(f"the report is longer than {BODY_BYTES_MAX} bytes")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ReportError(f"byte {error.start} of the report is not UTF-8") from None
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) > FACTS_MAX:
        raise ReportError(f"the report has more than {FACTS_MAX} lines")
    facts = [_fact(number, line.rstrip("\r")) for number, line in lines]
    named = dict(facts)
    outcome = named.get("outcome", "")
    if outcome not in OUTCOMES:
        raise ReportError("the report has no outcome; send a line `outcome=installed` or `outcome=failed`")
    others = tuple((key, value) for key, value in facts if key not in ("outcome", "reason"))
    return Report(OUTCOMES[outcome], named.get("reason", ""), others)


def _fact(number: int, line: str) -> tuple[str, str]:
    key, equals, value = line.partition("=")
    if not equals or not KEY.fullmatch(key):
        raise ReportError(f"line {number} of the report is not key=value with a key of a-z, 0-9 and _.-")
    if len(value) > VALUE_CHARS_MAX:
        raise ReportError(f"line {number} of the report is longer than {VALUE_CHARS_MAX} characters")
    # Kernel texts hold tabs and escape codes; they are shown on terminals, so nothing but print may remain.
    return key, "".join(char if char.isprintable() else "?" for char in value).strip()
