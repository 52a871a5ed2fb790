"""Whatever a container can hold comes back out of the file of -X."""

from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dhcp.cli.exchange import ExchangeError, parse, render
from storage.records import (
    Binding,
    Change,
    MemoryRecords,
    Outcome,
    TabEntry,
)
from tests.dhcp.cli.dhcpconfig.conftest import NET

WORDS = st.text(st.characters(exclude_characters="\n\r\0", codec="utf-8"), max_size=12).map(
    lambda text: text.rstrip("\\")
)
OTHER_BYTES = st.binary(min_size=1, max_size=6).map(lambda data: data.decode("utf-8", "surrogateescape"))
TEXTS = (WORDS | OTHER_BYTES).filter(
    lambda text: not any(char in text for char in "\n\r\0") and not text.endswith("\\")
)
NAMES = TEXTS.filter(lambda text: text[:1] not in ("", "#"))
BINDINGS = st.builds(
    Binding,
    st.integers(0xC0A84C00, 0xC0A84CFF),
    st.binary(min_size=1, max_size=64),
    st.integers(0, 15),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    TEXTS,
    TEXTS,
)
TAB_ENTRIES = st.builds(TabEntry, NAMES, st.sampled_from("ms"), st.integers(0, 2**64 - 1), TEXTS)


@given(
    st.lists(BINDINGS, max_size=6, unique_by=lambda row: row.key),
    st.lists(TAB_ENTRIES, max_size=6, unique_by=lambda row: row.key),
)
@settings(max_examples=150, deadline=None)
def test_rows_survive_the_file(bindings: list[Binding], entries: list[TabEntry]) -> None:
    wanted = MemoryRecords()
    for table, rows in ((NET, bindings), ("dhcptab", entries)):
        wanted.create(table)
        results = wanted.commit([Change(table, None, row) for row in rows])
        assert all(result.outcome in (Outcome.STORED, Outcome.INVALID) for result in results)
    tables = {table: list(wanted.read(table).rows) for table in (NET, "dhcptab")}
    data = render(tables)
    found = parse(data)
    assert {table: {row.key: row for row in rows} for table, rows in found.items()} == {
        table: {row.key: row._replace(signature=0) for row in rows} for table, rows in tables.items()
    }
    assert render(found) == data


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_no_file_can_do_more_than_be_refused(data: bytes) -> None:
    with suppress(ExchangeError):
        parse(b"# twinboot exchange 1\n[dhcptab]\n" + data)


def test_the_example_of_the_documentation_is_a_good_file() -> None:
    text = (Path(__file__).parents[4] / "docs" / "exchange.md").read_text()
    example = text.partition("## The form\n\n")[2].partition("\n\n*")[0]
    data = "\n".join(line.removeprefix("    ") for line in example.split("\n")) + "\n"
    assert render(parse(data.encode())) == data.encode()
