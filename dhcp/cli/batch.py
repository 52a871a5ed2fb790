"""Batch files (`-B`): one command line on each line, all run in one process.

`#` in the first column makes a comment, a `\\` at the end goes on in the next line, blank lines count for nothing;
words are split and quoted as in a shell. The program's name may lead the line, as Sun's examples have it, or be left
out. A line that fails is named on stderr with its number, and the run goes on; the exit code is the gravest of all.
"""

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from dhcp.cli.common import CommandError, Exit, Options, complain, run

LINE_MAX_CHARS = 1 << 20
"""Of one line with its continuations: far above any command, it bounds what a wrong file can make us keep."""


def commands(stream: TextIO) -> Iterator[tuple[int, str]]:
    """The commands of a batch file, each with the number of its first line. CommandError if one has no end."""
    parts: list[str] = []
    first = length = 0
    for number, raw in enumerate(iter(lambda: stream.readline(LINE_MAX_CHARS), ""), start=1):
        line = raw.rstrip("\n")
        if not parts:
            if not line.strip() or line.startswith("#"):
                continue
            first, length = number, 0
        length += len(line)
        if length >= LINE_MAX_CHARS:
            raise CommandError(f"line {first} is longer than {LINE_MAX_CHARS} characters: this is no batch file")
        if line.endswith("\\"):
            parts.append(line[:-1])
            continue
        yield first, "".join([*parts, line])
        parts = []
    if parts:
        yield first, "".join(parts)


def run_batch(program: str, options: Options, execute: Callable[[Sequence[str]], int]) -> int:
    """Run every line of the file that is the operand, or of standard input. CommandError if it cannot be read."""
    name = options.operands[0] if options.operands else "standard input"
    worst: int = Exit.OK
    try:
        with contextlib.ExitStack() as stack:
            stream = (
                stack.enter_context(open(name, encoding="utf-8", errors="surrogateescape"))
                if options.operands
                else sys.stdin
            )
            for number, line in commands(stream):
                if "v" in options:
                    print(f"> {line}")
                code = run(program, "", lambda text=line: execute(_words(text, program)))  # type: ignore[misc]
                if code:
                    complain(program, f"{name}: line {number} failed with exit code {code}: {line}")
                worst = max(worst, code)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}: name a batch file that can be read") from error
    return worst


def _words(line: str, program: str) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise CommandError(f"{str(error).lower()}: close every quote, or put a backslash before it") from None
    if words[:1] == [program]:
        words = words[1:]
    elif words and not words[0].startswith("-"):
        raise CommandError(f"{words[0]} is no option: this file is for {program} commands")
    if any(word.startswith("-B") for word in words):
        raise CommandError("-B inside a batch: put the lines of that file here")
    return words
