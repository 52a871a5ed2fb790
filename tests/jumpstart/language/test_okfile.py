from __future__ import annotations

import subprocess

import pytest

from jumpstart.language.okfile import fault_of, rules_ok, stripped, sysv_sum

RULES = b"""\
# who gets what

  \thostname hv1 - hv1 - # the first
arch i386 && \\
\t hostname b - p -
   # end
any - - p -"""


@pytest.mark.parametrize(
    ("data", "expected"), [(b"", 0), (b"a", 97), (b"abc\n", 304), (b"any - - any_machine -\n", 1749)]
)
def test_the_sum_of_system_v(data: bytes, expected: int) -> None:
    assert sysv_sum(data) == expected


@pytest.mark.parametrize("data", [b"\xff" * 300_000, bytes(range(256)) * 999, b"any - - any_machine -\n"])
def test_the_sum_is_that_of_the_tool(data: bytes) -> None:
    tool = subprocess.run(["sum", "-s"], input=data, capture_output=True, check=True).stdout
    assert sysv_sum(data) == int(tool.split()[0])


def test_comments_blank_lines_and_leading_blanks_go() -> None:
    expected = b"hostname hv1 - hv1 - \narch i386 && \\\nhostname b - p -\nany - - p -\n"
    assert stripped(RULES) == expected
    assert stripped(expected) == expected


def test_the_last_line_holds_the_sum_of_those_before() -> None:
    made = rules_ok(b"any - - any_machine -\n")
    assert made == b"any - - any_machine -\n# version=2 checksum=1749\n"
    assert fault_of(made, b"# all\n  any - - any_machine -\n") == ""


def test_a_found_file_is_judged() -> None:
    made = rules_ok(RULES)
    assert fault_of(made, RULES) == ""
    assert "older" in fault_of(made, RULES + b"\nany - - q -\n")
    assert "edited" in fault_of(made.replace(b"hv1", b"hv2"), RULES)
    assert "no checksum" in fault_of(stripped(RULES), RULES)
