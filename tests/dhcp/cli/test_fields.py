"""What is typed reads back as what is shown, in every time zone."""

import os
import time
from collections.abc import Iterator
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhcp.cli.fields import flag_letters, flag_names, lease_text, read_client_id, read_flags, read_lease
from storage.records import FOREVER_S


@pytest.fixture(params=["UTC0", "EST5EDT", "Asia/Kolkata", "America/Sao_Paulo"], autouse=True, scope="module")
def _zone(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@settings(max_examples=100)
@given(st.dates(date(1970, 1, 2), date(2106, 2, 6)))
def test_a_day_reads_back(day: date) -> None:
    text = day.strftime("%m/%d/%Y")
    assert lease_text(read_lease(text)) == text


def test_leases_without_a_day() -> None:
    assert [(lease_text(lease), lease_text(lease, raw=True)) for lease in (0, FOREVER_S)] == [
        ("Zero", "0"),
        ("Forever", "-1"),
    ]
    assert lease_text(FOREVER_S - 1, raw=True) == "4294967294"


def test_flags_read_back() -> None:
    for flags in range(16):
        assert read_flags("+".join(flag_names(flags))) == read_flags(f"{flags:02}") == flags
        assert len(flag_letters(flags)) == max(1, flags.bit_count())


@settings(max_examples=100)
@given(st.binary(min_size=1, max_size=64))
def test_client_ids_read_back(client_id: bytes) -> None:
    assert read_client_id(client_id.hex().upper(), is_ascii=False) == client_id


@settings(max_examples=100)
@given(st.text(max_size=140))
def test_any_text_is_read_or_refused_with_words(text: str) -> None:
    for read in (read_flags, read_lease, lambda typed: read_client_id(typed, is_ascii=len(typed) % 2 == 0)):
        try:
            read(text)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - either outcome is fine, an error must have words
