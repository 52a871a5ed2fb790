"""Batches of dhtadm: what fails is named by its line, and warnings come once, at the end."""

import subprocess
from pathlib import Path

import pytest

from storage.records import Change, TabEntry
from tests.dhcp.cli.conftest import Shell, argv_of


def test_a_batch_goes_on_after_a_failure_and_exits_with_the_gravest(tab: Shell, tmp_path: Path) -> None:
    batch = tmp_path / "batch"
    batch.write_text(
        "# macros\n"
        "\n"
        "dhtadm -A -m a -d \\\n"
        "':LeaseNeg:'\n"
        "-A -m b -d ':Nonsense=1:'\n"
        "dhtadm -A -m a -d ':LeaseNeg:'\n"
        "-A -m 'c d' -d \":LeaseTim=60:\""
    )
    assert tab(f"dhtadm -B {batch} -v") == 3
    assert tab.out.splitlines() == [
        "> dhtadm -A -m a -d ':LeaseNeg:'",
        "> -A -m b -d ':Nonsense=1:'",
        "> dhtadm -A -m a -d ':LeaseNeg:'",
        "> -A -m 'c d' -d \":LeaseTim=60:\"",
    ]
    assert tab.err.splitlines() == [
        "dhtadm: macro b: symbol Nonsense is not defined: define it, or correct its name",
        f"dhtadm: {batch}: line 5 failed with exit code 3: -A -m b -d ':Nonsense=1:'",
        "dhtadm: macro a is there already: change it with -M",
        f"dhtadm: {batch}: line 6 failed with exit code 1: dhtadm -A -m a -d ':LeaseNeg:'",
    ]
    assert {name for name, _ in tab.rows("dhcptab")} == {"a", "c d"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-A -m 'x", "no closing quotation: close every quote"),
        ("-B other", "-B inside a batch"),
        ("pntadm -L", "pntadm is no option: this file is for dhtadm commands"),
        ("-Z", "option -Z not recognized"),
    ],
)
def test_a_batch_names_lines_that_are_no_commands(tab: Shell, tmp_path: Path, line: str, words: str) -> None:
    batch = tmp_path / "batch"
    batch.write_text(line)
    assert tab(f"dhtadm -B {batch}") == 4
    assert words in tab.err.splitlines()[0]
    assert len(tab.err.splitlines()) == 2  # no usage text for each line of a batch


def test_a_batch_from_standard_input_warns_once_at_its_end(conf: Path) -> None:
    text = "-C\n-A -m outer -d ':Include=inner:'\n-A -m inner -d ':LeaseNeg:'\n-A -m odd -d ':Include=gone:'\n-P\n"
    found = subprocess.run(
        [*argv_of("dhtadm"), "-B"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, len(found.stdout.splitlines())) == (0, 5)
    assert [line for line in found.stderr.splitlines() if "warning" in line] == [
        "dhtadm: warning: macro odd is disabled: Include=gone: macro gone is not defined: add it or correct the name"
    ]


def test_a_flood_of_warnings_is_cut_short(tab: Shell) -> None:
    rows = [TabEntry(f"m{number}", "m", 0, ":Include=base:") for number in range(50)]
    tab.records.commit([Change("dhcptab", None, row) for row in (*rows, TabEntry("base", "m", 0, ":LeaseNeg:"))])
    assert tab("dhtadm -D -m base") == 0
    assert len(tab.err.splitlines()) == 21
    assert tab.err.endswith("dhtadm: warning: 30 more are disabled: see -P\n")
