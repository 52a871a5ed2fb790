"""How the words after a keyword go together: forms, matched word by word, and the same forms as text.

A keyword has one or more forms. With several, the first word chooses: the first form whose first argument takes it.
A form is arguments in order, perhaps followed by one of several tails (the sources of a package), perhaps by options
(`retry 5`) in any order. What is left over is a fault whose severity the keyword says.
"""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from jumpstart.language.faults import At, Faults, Severity, shown, suggestion
from jumpstart.language.shapes import Shape
from jumpstart.language.words import Word


class Need(Enum):
    """How often an argument stands."""

    ONE = "once"
    MAYBE = "once or not at all"
    MANY = "once or more"


class Arg(NamedTuple):
    """One argument: its name in messages and in the reference, its shape, how often it stands."""

    name: str
    shape: Shape
    need: Need = Need.ONE


class Option(NamedTuple):
    """A word that may follow the arguments, with arguments of its own; one that ends with = is only begun so."""

    word: str
    args: tuple[Arg, ...] = ()


class Form(NamedTuple):
    """One way to write a keyword. With `tails`, one of them follows; it must, unless `tail_maybe`."""

    args: tuple[Arg, ...] = ()
    tails: tuple["Form", ...] = ()
    options: tuple[Option, ...] = ()
    tail_maybe: bool = False


def form_text(form: Form) -> str:
    """The form as people read it: `DISK TYPE SIZE`, `[size BLOCKS]`."""
    parts = [_arg_text(arg) for arg in form.args]
    if form.tails:
        tails = " | ".join(form_text(tail) for tail in form.tails)
        parts.append(f"[{tails}]" if form.tail_maybe else f"({tails})" if len(form.tails) > 1 else tails)
    parts += (f"[{' '.join((option.word, *map(_arg_text, option.args)))}]" for option in form.options)
    return " ".join(parts)


def _arg_text(arg: Arg) -> str:
    return {Need.ONE: arg.name, Need.MAYBE: f"[{arg.name}]", Need.MANY: f"{arg.name}..."}[arg.need]


def _option(options: Sequence[Option], text: str) -> Option | None:
    """The option that `text` begins."""
    return next(
        (
            option
            for option in options
            if text == option.word or (text.startswith(option.word) and option.word.endswith("="))
        ),
        None,
    )


def fit(keyword: Word, words: Sequence[Word], forms: Sequence[Form], extra: Severity, faults: Faults) -> None:
    """Tell where `words` are none of the `forms` of `keyword`; `extra` is how bad words too many are."""
    _Fit(keyword, words, forms, faults).judge(extra)


class _Fit:
    """One line against its forms, left to right."""

    def __init__(self, keyword: Word, words: Sequence[Word], forms: Sequence[Form], faults: Faults) -> None:
        self.keyword = keyword
        self.words = words
        self.forms = forms
        self.faults = faults
        self.next = 0

    def judge(self, extra: Severity) -> None:
        if self.alternatives(self.forms) and self.next < len(self.words):
            left = self.words[self.next]
            what = f"{self.keyword.text} takes no more: {shown(left.text)} is left over"
            self.faults.add(extra, left.at, what, self.usage())

    def usage(self) -> str:
        name = self.keyword.text.lower()
        return "write " + " or ".join(f"{name} {form_text(form)}".rstrip() for form in self.forms)

    def alternatives(self, forms: Sequence[Form], *, maybe: bool = False, before: Sequence[Arg] = ()) -> bool:
        """Take the words of the form that the next word chooses; False when it was none, which is told.

        `before` are arguments that could have stood here instead.
        """
        first = self.peek()
        if maybe and first is None:
            return True
        if len(forms) == 1:
            return self.form(forms[0])
        if first is None:
            return self.missing(" or ".join(dict.fromkeys(form.args[0].name for form in forms)))
        chosen = next((form for form in forms if form.args[0].shape.takes(first.text)), None)
        if chosen is not None:
            return self.form(chosen)
        leads = [*before, *(form.args[0] for form in forms)]
        choices = [choice for lead in leads for choice in lead.shape.choices]
        what = f"{self.keyword.text}: {shown(first.text)} is not {' or '.join(lead.shape.what for lead in leads)}"
        self.faults.error(first.at, what, suggestion(first.text, choices) if choices else self.usage())
        return False

    def form(self, form: Form) -> bool:
        if not all(self.argument(arg, form) for arg in form.args):
            return False
        first = self.peek()
        option_next = first is not None and _option(form.options, first.text) is not None
        tail_wanted = form.tails and not (form.tail_maybe and option_next)
        # One word was taken for each argument so far: what is left was let out.
        skipped = [arg for arg in form.args[self.next :] if arg.need is Need.MAYBE]
        if tail_wanted and not self.alternatives(form.tails, maybe=form.tail_maybe, before=skipped):
            return False
        return self.options(form.options)

    def options(self, options: Sequence[Option]) -> bool:
        left = list(options)
        while (word := self.peek()) is not None and (option := _option(left, word.text)) is not None:
            self.next += 1
            left.remove(option)
            if not all(self.argument(arg, Form()) for arg in option.args):
                return False
        return True

    def argument(self, arg: Arg, form: Form) -> bool:
        """Take the words of one argument; False when the line cannot be read on, which is told."""
        word = self.peek()
        if word is None:
            return arg.need is Need.MAYBE or self.missing(arg.name)
        if arg.shape.takes(word.text):
            self.next += 1
            while arg.need is Need.MANY and (more := self.peek()) is not None and arg.shape.takes(more.text):
                self.next += 1
            return True
        if arg.need is Need.MAYBE and (form.tails or _option(form.options, word.text) is not None):
            return True
        self.wrong(word, arg.shape)
        self.next += 1
        return arg.need is not Need.MANY  # where the many end cannot be told any more

    def wrong(self, word: Word, shape: Shape) -> None:
        what = f"{self.keyword.text}: {shown(word.text)} is not {shape.what}"
        near = suggestion(word.text, shape.choices) if shape.choices else f"write it such as {shape.example}"
        self.faults.error(word.at, what, near)

    def missing(self, name: str) -> bool:
        last = self.words[-1] if self.words else self.keyword
        at = At(last.at.line, last.at.column + len(last.text))
        self.faults.error(at, f"{self.keyword.text} lacks {name}", self.usage())
        return False

    def peek(self) -> Word | None:
        return self.words[self.next] if self.next < len(self.words) else None
