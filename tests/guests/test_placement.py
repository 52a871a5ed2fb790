"""Which host a guest goes to: the rule, and a reason for each host that is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guests.domain import HostInfo
from guests.faults import Refused
from guests.hypervisor import Place
from guests.placement import Candidate, place, why_not
from guests.site import Host
from tests.guests.conftest import WISH

FEW, MOST = 4, 6


def candidate(
    name: str, guests: int = 0, free_mib: int = 8192, *, segment: str = "odd", promised: int = 0
) -> Candidate:
    host = Host(name, segment, frozenset(), Place(name, "", "", "", Path("/")))
    return Candidate(host, HostInfo(16384, free_mib, 8, ("be0", "fe0"), ""), "", guests, promised)


candidates = st.lists(
    st.builds(
        lambda guests, free, promised, segment: candidate("x", guests, free, segment=segment, promised=promised),
        st.integers(0, 8),
        st.integers(0, 4096),
        st.integers(0, 2048),
        st.sampled_from(["odd", "even"]),
    ),
    min_size=1,
    max_size=8,
).map(lambda found: [one._replace(host=one.host._replace(name=f"hv{n}")) for n, one in enumerate(found)])


@given(candidates)
def test_the_rule_holds_for_any_rack(found):
    by_name = {one.host.name: one for one in found}
    fit = [one for one in found if not why_not(one, WISH, MOST)]
    try:
        chosen = by_name[place(found, WISH, FEW, MOST).name]
    except Refused as error:
        assert not fit
        assert len(error.lines) == 1 + len(found)  # noqa: PT017 - any rack: some have no room
        return
    assert chosen in fit
    assert chosen.guests < MOST
    assert chosen.room_mib >= WISH.memory_mib
    assert chosen.host.segment == WISH.segment
    fewer = [one for one in fit if one.guests < FEW]
    assert not fewer or chosen in fewer
    assert all(one.room_mib <= chosen.room_mib for one in fewer or fit)


def test_hosts_are_filled_to_four_before_any_gets_a_fifth():
    full, roomy = candidate("hv1", 3, 2000), candidate("hv2", 4, 9000)
    assert place([full, roomy], WISH, FEW, MOST).name == "hv1"
    assert place([full._replace(guests=4), roomy], WISH, FEW, MOST).name == "hv2"


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (candidate("a", 6), "has 6 guests, and 6 are the most"),
        (candidate("a", free_mib=1023), "1023 MiB are left of 16384, 1024 are wanted"),
        (candidate("a", promised=8000), "192 MiB are left"),
        (candidate("a", segment="even"), "on segment even"),
        (candidate("a")._replace(facts=None, trouble="a: no answer"), "a: no answer"),
        (candidate("a")._replace(facts=HostInfo(1, 1, 1, ("fe0",), "")), "has no link be0: its links are fe0"),
    ],
)
def test_each_host_that_is_passed_over_says_why(one, words):
    with pytest.raises(Refused) as caught:
        place([one], WISH, FEW, MOST)
    assert words in caught.value.lines[1]


def test_who_is_named_may_have_more():
    assert place([candidate("hv1", 9)], WISH, FEW, MOST, named=True).name == "hv1"
