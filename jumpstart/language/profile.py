"""A profile: what to install and how to lay out the disks, one keyword with its values on each line."""

from dataclasses import dataclass

from jumpstart.language.faults import Faults
from jumpstart.language.words import Line, Word, profile_lines


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a profile."""

    keyword: Word
    values: Line

    @property
    def name(self) -> str:
        """The keyword as the table spells it."""
        return self.keyword.text.lower()

    @property
    def texts(self) -> tuple[str, ...]:
        """The values without their places."""
        return tuple(word.text for word in self.values)


def parse_profile(text: str, faults: Faults) -> tuple[Entry, ...]:
    """Read a profile: its lines in order. Whether they are good is the judge's (`judge_profile.py`)."""
    return tuple(Entry(line[0], line[1:]) for line in profile_lines(text, faults))
