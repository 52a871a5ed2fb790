"""Lines and words of `rules` and of profiles, each word with the place it came from.

Rules of the room, as Sun's own reader has them: a `#` begins a comment anywhere on a line, even between quotes;
blank lines do not count; words are separated by blanks and tabs. In `rules` a backslash at the very end of a line
joins the next one that is not blank, and single quotes hold a value with blanks together. A profile has neither.

Characters that look right and are not (a dash or quotation mark pasted from a document, the carriage returns of
another system) are errors, and are read as what was meant, so that they do not cause ten others.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from jumpstart.language.faults import NOWHERE, At, Faults, shown

LOOKALIKES = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
    **dict.fromkeys("\u2018\u2019\u201c\u201d\u00b4", "'"),
    **dict.fromkeys("\u00a0\u2002\u2003\u2009\u200b\ufeff", " "),
}
"""What word processors put in place of plain characters."""

LINES_MAX = 20_000
"""Lines of one file that are looked at: twenty times a large site's rules."""

QUOTED_WORD = re.compile(r"(?:'[^']*'|[^ \t'])+|'[^ \t]*")
PLAIN_WORD = re.compile(r"[^ \t]+")


@dataclass(frozen=True, slots=True)
class Word:
    """One word without its quotes. Where it stood takes no part in comparisons."""

    text: str
    at: At = field(default=NOWHERE, compare=False)
    quoted: bool = field(default=False, compare=False)


Line = tuple[Word, ...]


def rule_lines(text: str, faults: Faults) -> Iterator[Line]:
    """The logical lines of `rules`: comments gone, continued lines joined. None of them is empty."""
    words: list[Word] = []
    continued = NOWHERE  # of the backslash that waits for its next line
    for number, line in _content(text, faults):
        body = line[:-1] if line.endswith("\\") else line
        continued = At(number, len(line)) if line.endswith("\\") else NOWHERE
        found = (_unquoted(match, number, faults) for match in QUOTED_WORD.finditer(body))
        words += (word for word in found if word.text != "\\")
        if not continued.line and words:
            yield tuple(words)
            words = []
    if continued.line:
        faults.error(continued, "the last line is continued by a backslash", "remove the backslash or add the rest")
    if words:
        yield tuple(words)


def profile_lines(text: str, faults: Faults) -> Iterator[Line]:
    """The lines of a profile: comments gone, one keyword each. None of them is empty."""
    for number, line in _content(text, faults):
        words = tuple(Word(found[0], At(number, found.start() + 1)) for found in PLAIN_WORD.finditer(line))
        last = words[-1]
        if last.text.endswith("\\"):
            faults.error(last.at, "a profile knows no continued lines", "write the whole of it on one line")
        yield words


def _content(text: str, faults: Faults) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is more than blanks and a comment."""
    for number, raw in enumerate(text.split("\n"), 1):
        if number > LINES_MAX:
            faults.error(At(number), f"more than {LINES_MAX} lines", "make it shorter; the rest was not looked at")
            return
        line = _plain(raw.partition("#")[0], number, faults)
        if line.strip(" \t"):
            yield number, line


def _plain(line: str, number: int, faults: Faults) -> str:
    """`line` in plain characters; each kind that was not is told once."""
    if line.isascii() and line.replace("\t", " ").isprintable():
        return line
    if line.endswith("\r"):
        faults.error(At(number), "the line ends with a carriage return", "save the file with Unix line ends")
        line = line.rstrip("\r")
    told: set[str] = set()
    for column, char in enumerate(line, 1):
        if (char not in LOOKALIKES and (char.isprintable() or char == "\t")) or char in told:
            continue
        told.add(char)
        name = f"{unicodedata.name(char, 'a control character')} (U+{ord(char):04X})"
        if char in LOOKALIKES:
            faults.error(At(number, column), f"{name} was pasted here", f"write a plain {shown(LOOKALIKES[char])}")
        else:
            faults.error(At(number, column), f"{name} is not text", "remove it")
    return "".join(LOOKALIKES.get(char, char) for char in line)


def _unquoted(found: re.Match[str], line: int, faults: Faults) -> Word:
    text, at = found[0], At(line, found.start() + 1)
    if text.count("'") % 2:
        faults.error(at, f"the quote of {shown(text)} is not closed on its line", "close it; a # ends even quoted text")
    elif text == "\\":
        faults.error(at, "a backslash continues a line only at its very end", "remove what follows the backslash")
    return Word(text.replace("'", ""), at, text.startswith("'"))
