"""Rows as words, and words as wishes: whatever stands in a row is read, whatever is typed is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guests.domain import Kind
from guests.faults import Refused
from guests.guest import (
    MEMORY_MIB,
    Nic,
    Work,
    flaw,
    links_text,
    nics,
    one_of,
    read_count,
    read_kind,
    read_links,
    read_work,
    wish_of,
    work_text,
)
from storage.records import Guest
from tests.guests.conftest import BE, FE, Lab, clone, init

ROW = Guest("appl-1:vm-1", "defined", "m/o@1", "pv", "odd", 1024, 1, "hv1", "u-1", 0, "me@odd", 0, "fe0 be0", "")
words = st.text("abz019.:-", min_size=1, max_size=12)


@given(st.lists(st.builds(Nic, words, words, words, words), max_size=8))
def test_links_come_back_from_the_row(links):
    assert nics(ROW._replace(links=links_text(links))) == tuple(links)


@given(words, words, st.integers(0, 2**40), st.integers(0, 2**60), st.lists(words, max_size=6))
def test_work_comes_back_from_the_row(command, node, pid, began, steps):
    work = Work(command, node, pid, began, tuple(steps))
    assert read_work(work_text(work)) == work


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_in_a_row_is_too_much(links, work):
    row = ROW._replace(links=links, work=work)
    assert all(isinstance(nic, Nic) for nic in nics(row))
    assert (read_work(work) is None) == (not work.split())
    if not flaw(row):
        assert wish_of(row) is not None


@pytest.mark.parametrize(
    "fields",
    [{"guest": "no guest"}, {"state": "odd"}, {"domain_kind": "x"}, {"links": "a,b,c,d,e"}, {"links": "fe0,,nowhere"}],
)
def test_a_row_that_cannot_be_is_told_and_left_alone(fields):
    assert not flaw(ROW)
    assert flaw(ROW._replace(**fields))
    lab = Lab()
    lab.project()
    lab.do(clone())
    lab.do(init())
    lab.records.load("guests", [lab.guest(), ROW._replace(**{"guest": "appl-1:other", **fields})])
    assert list(lab.book().guests()) == ["appl-1:vm-1"]
    (found,) = lab.fsck()
    assert found.kind == "row"


def test_links_are_prefixes_of_networks():
    assert read_links("fe-be", ["fe", "be"]) == ("fe0", "be0")
    assert read_links("FE1,be", ["fe", "be"]) == ("fe1", "be0")
    for wrong in ("", "fe-", "xx", "fe-fe0", "-".join(["fe"] * 9)):
        with pytest.raises(Refused):
            read_links(wrong, ["fe", "be"])


@given(st.text(max_size=20))
def test_whatever_is_typed_is_a_value_or_one_line(text):
    for read in (
        lambda: read_kind(text),
        lambda: read_links(text, ["fe", "be"]),
        lambda: read_count(text, "memory", MEMORY_MIB),
        lambda: one_of(text, ["odd", "even"], "segment"),
    ):
        try:
            assert read() or True
        except Refused as error:
            assert all("\n" not in line for line in error.lines)  # noqa: PT017 - any text: most are refused


def test_kinds_and_numbers():
    assert (read_kind("PV"), read_kind("hvm")) == (Kind.PV, Kind.HVM)
    assert read_count("1024", "memory", MEMORY_MIB) == 1024
    for wrong in ("0x10", "1e3", "\u0661\u0660\u0662\u0664", "9" * 10, "15", "-1"):
        with pytest.raises(Refused):
            read_count(wrong, "memory", MEMORY_MIB)


def test_a_nic_knows_what_it_is_told():
    assert links_text([FE, BE._replace(mac="52:54:00:00:00:01")]) == (
        "fe0,,192.168.76.71,vm-host1 be0,52:54:00:00:00:01,192.168.78.71,vm-host1-be"
    )
