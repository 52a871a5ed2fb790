"""What the stand-in's commands share: their options as the manuals have them, and how they refuse."""

import re
from collections.abc import Sequence

IQN = re.compile(r"iqn\.\d{4}-\d\d\.[a-z0-9.:-]+")


class RefusedError(Exception):
    """What the command prints when it fails, and exit code 1."""


def options(words: Sequence[str], takes: str, bare: str = "") -> tuple[dict[str, list[str]], list[str]]:
    """The options and the rest; an option that is not known fails the test."""
    found: dict[str, list[str]] = {}
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        assert option[1:] in {*takes.split(), *bare.split()}, f"no such option: {option}"
        found.setdefault(option[1:], []).append(rest.pop(0) if option[1:] in takes.split() else "")
    return found, rest
