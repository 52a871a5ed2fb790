"""sysidcfg: the answers to the installer's questions about a machine's identity.

    file   = { keyword "=" value [ "{" { detail } "}" ] }
    detail = keyword "=" value { "," value } | word

Between the parts stand blanks, line ends and, in braces, commas; `#` begins a comment; a value may be in single or
double quotes. Keyword, `=` and value stand on one line without blanks between. The installer ignores the *whole*
file for one fault of syntax, which is why all of them are errors here.
"""

import bisect
import re
from dataclasses import dataclass

from jumpstart.language.faults import At, Faults, shown
from jumpstart.language.words import Line, Word

BLANKS = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
BLANKS_AND_COMMAS = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
SPACE = re.compile(r"[ \t]*")
KEY = re.compile(r"""[^\s={}#,"']+""")
QUOTED = re.compile(r"""(?:"([^"\n]*)"|'([^'\n]*)')""")
BARE = re.compile(r"""[^\s{}#"']+""")
BARE_IN_BLOCK = re.compile(r"""[^\s{}#"',]+""")
COMMA = re.compile(r"[ \t]*,[ \t\r\n]*+(?![A-Za-z0-9_+]+[ \t]*=|(?:dhcp|primary)\b|[}#])")  # another value follows
ANSWERS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """A keyword with its value. In braces: several values, or none where the word stands alone."""

    keyword: Word
    values: Line
    block: tuple["Answer", ...] | None = None

    @property
    def name(self) -> str:
        """The keyword as the table spells it."""
        return self.keyword.text.lower()

    @property
    def value(self) -> str:
        """The first value, empty when there is none."""
        return self.values[0].text if self.values else ""

    def detail(self, name: str) -> "Answer | None":
        """The first answer in its braces with this name."""
        return next((answer for answer in self.block or () if answer.name == name), None)


def parse_sysidcfg(text: str, faults: Faults) -> tuple[Answer, ...]:
    """Read a sysidcfg: what could be read of it. Whether answers are good is the judge's (`judge_sysidcfg.py`)."""
    reader = _Reader(text, faults)
    if "\r" in text:
        at = reader.place(text.index("\r"))
        faults.error(at, "lines end with a carriage return", "save the file with Unix line ends")
    return reader.answers(None)


class _Reader:
    """Reads from left to right; every step goes on or ends, whatever the text."""

    def __init__(self, text: str, faults: Faults) -> None:
        self.text = text
        self.faults = faults
        self.at_char = 0
        self.line_starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def answers(self, opened: int | None) -> tuple[Answer, ...]:
        """Answers up to the end of the file, or of the block that was `opened` at that character."""
        found: list[Answer] = []
        while len(found) < ANSWERS_MAX:
            self.skip(BLANKS if opened is None else BLANKS_AND_COMMAS)
            char = self.text[self.at_char : self.at_char + 1]
            if not char and opened is not None:
                self.faults.error(
                    self.place(opened), "{ is not closed", "add the } after the last keyword of the block"
                )
            if not char or (char == "}" and opened is not None):
                self.at_char += len(char)
                return tuple(found)
            key = KEY.match(self.text, self.at_char)
            if key is None:
                self.stray(char)
                continue
            word = self.word(key)
            if (answer := self.answer(word, in_block=opened is not None)) is not None:
                found.append(answer)
        self.faults.error(self.place(self.at_char), f"more than {ANSWERS_MAX} keywords", "split what is no sysidcfg")
        self.at_char = len(self.text)
        return tuple(found)

    def answer(self, key: Word, *, in_block: bool) -> Answer | None:
        before = self.skip(SPACE)
        if not self.text.startswith("=", self.at_char):
            return self.alone(key, in_block=in_block)
        self.at_char += 1
        after = self.skip(SPACE)
        if before or after:
            self.faults.warning(
                key.at, f"blanks stand around the = of {key.text}", f"write {key.text}=VALUE without them"
            )
        values = self.values(key, in_block=in_block)
        if not values or in_block:
            return Answer(key, values) if values else None
        end = self.at_char
        self.skip(BLANKS)
        if not self.text.startswith("{", self.at_char):
            self.at_char = end
            return Answer(key, values)
        self.at_char += 1
        return Answer(key, values, self.answers(self.at_char - 1))

    def alone(self, key: Word, *, in_block: bool) -> Answer | None:
        """A word without =: good in braces only."""
        end = self.at_char
        self.skip(BLANKS)
        if self.text.startswith("=", self.at_char):
            what = f"the = of {key.text} stands on another line"
            self.faults.error(key.at, what, f"write {key.text}=VALUE on one line")
            self.at_char += 1
            self.skip(SPACE)
            self.values(key, in_block=in_block)
            return None
        self.at_char = end
        if in_block:
            return Answer(key, ())
        self.faults.error(key.at, f"{shown(key.text)} has no =", f"write {shown(key.text)[1:-1]}=VALUE")
        self.skip(SPACE)
        rest = BARE.match(self.text, self.at_char)  # the value, where only the = is missing
        self.at_char = rest.end() if rest and "=" not in rest[0] else end
        return None

    def values(self, key: Word, *, in_block: bool) -> Line:
        found: list[Word] = []
        while True:
            value = QUOTED.match(self.text, self.at_char) or (BARE_IN_BLOCK if in_block else BARE).match(
                self.text, self.at_char
            )
            if value is None:
                what = f"{shown(key.text)} has no value"
                self.faults.error(key.at, what, f"write {shown(key.text)[1:-1]}=VALUE on one line")
                return tuple(found)
            found.append(self.word(value))
            comma = COMMA.match(self.text, self.at_char) if in_block else None
            if comma is None:
                return tuple(found)
            self.at_char = comma.end()

    def word(self, found: re.Match[str]) -> Word:
        self.at_char = found.end()
        text = next((group for group in found.groups() if group is not None), found[0])
        return Word(text, self.place(found.start()), found[0] != text)

    def stray(self, char: str) -> None:
        told = {
            "}": "without a { before it",
            "{": "without keyword=value before it",
            "=": "without a keyword before it",
        }
        what = f"{shown(char)} stands {told.get(char, 'where a keyword belongs')}"
        self.faults.error(self.place(self.at_char), what, "remove it")
        self.at_char += 1

    def skip(self, what: re.Pattern[str]) -> bool:
        """Go past `what`; whether there was any."""
        found = what.match(self.text, self.at_char)
        start, self.at_char = self.at_char, found.end() if found else self.at_char
        return self.at_char > start

    def place(self, char: int) -> At:
        line = bisect.bisect_right(self.line_starts, char)
        return At(line, char - self.line_starts[line - 1] + 1)
