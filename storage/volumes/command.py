"""A command as a value: what pure tables make and runners run."""

from typing import NamedTuple


class Command(NamedTuple):
    """`given`: its standard input. `codes`: exit codes that are no failure. `unless`: words of a failure that says
    that there was nothing to do. `patience_s`: for how long it is tried again while something is said to be busy.
    """

    argv: tuple[str, ...]
    given: str = ""
    codes: tuple[int, ...] = (0,)
    unless: str = ""
    patience_s: float = 0


def command(*argv: str, given: str = "", codes: tuple[int, ...] = (0,), unless: str = "") -> Command:
    """A command of these words."""
    return Command(argv, given, codes, unless)
