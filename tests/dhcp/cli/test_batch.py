"""Lines of a batch file: comments, continuations, numbers, limits."""

import io
from pathlib import Path

import pytest

from dhcp.cli import batch, dhtadm, pntadm
from dhcp.cli.batch import commands
from dhcp.cli.common import CommandError
from storage.records import SunwFiles
from tests.dhcp.cli.conftest import Shell


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


def test_lines_use_the_datastore_of_the_batch_unless_they_name_one(tmp_path: Path) -> None:
    one, two, file = tmp_path / "one", tmp_path / "two", tmp_path / "batch"
    one.mkdir()
    two.mkdir()
    file.write_text(f"-C 10.0.0.0\n-p {two} -C 10.1.0.0\n")
    assert pntadm.main(["-B", "-r", "SUNWfiles", "-p", str(one), str(file)]) == 0
    file.write_text("-C\n")
    assert dhtadm.main(["-B", "-r", "SUNWfiles", "-p", str(two), str(file)]) == 0
    assert (SunwFiles(one).tables(), SunwFiles(two).tables()) == (["10.0.0.0"], ["10.1.0.0", "dhcptab"])


def test_a_table_may_be_removed_and_made_again_within_a_batch(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "batch"
    file.write_text("-C\n-A -m a -d ':LeaseNeg:'\n-R\n-C\n-A -m a -d ':LeaseNeg:'\n-A -m b -d ':LeaseNeg:'\n-R\n")
    shell.ok(f"dhtadm -B {file}")
    file.write_text(
        "-C 10.0.0.0\n-A 10.0.0.1 -s 10.0.0.9 10.0.0.0\n-R 10.0.0.0\n-C 10.0.0.0\n"
        "-A 10.0.0.1 -s 10.0.0.9 10.0.0.0\n-M 10.0.0.1 -f 2 10.0.0.0\n-D 10.0.0.1 10.0.0.0\n"
    )
    shell.ok(f"pntadm -B {file}")
    assert shell.rows("10.0.0.0") == {}
