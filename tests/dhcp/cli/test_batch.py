"""Lines of a batch file: comments, continuations, numbers, limits."""

import io

import pytest

from dhcp.cli import batch
from dhcp.cli.batch import commands
from dhcp.cli.common import CommandError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("# comment\n\n  \n", []),
        ("-P\n", [(1, "-P")]),
        ("-P", [(1, "-P")]),
        ("#\n-P\n\n-L\n", [(2, "-P"), (4, "-L")]),
        ("-A \\\n-m x \\\n-d y\n-P\n", [(1, "-A -m x -d y"), (4, "-P")]),
        ("-A \\\n# not a comment here\n", [(1, "-A # not a comment here")]),
        ("-P\\", [(1, "-P")]),
        ("-P \\\n\n-L\n", [(1, "-P "), (3, "-L")]),
    ],
)
def test_lines_become_commands(text: str, found: list[tuple[int, str]]) -> None:
    assert list(commands(io.StringIO(text))) == found


@pytest.mark.parametrize("text", ["x" * 100, "x\\\n" * 100])
def test_a_line_without_an_end_is_no_batch_file(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(batch, "LINE_MAX_CHARS", 50)
    with pytest.raises(CommandError, match="line 1 is longer than 50 characters"):
        list(commands(io.StringIO(text)))
