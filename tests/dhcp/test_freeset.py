"""The free addresses of a network against a plain set."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dhcp.freeset import FreeSet
from dhcp.networks import network

NET = network("10.0.0.0/16")


@settings(max_examples=150, deadline=None)
@given(st.sets(st.integers(1, 65534), max_size=40), st.sets(st.integers(1, 65534)), st.integers(0, 2**32))
def test_the_free_set_picks_the_next_member_and_goes_round(hosts: set[int], removed: set[int], seed: int) -> None:
    free = FreeSet(NET)
    for host in hosts:
        free.cover(NET.number + host)
        free.add(NET.number + host)
    for host in removed:
        free.discard(NET.number + host)
    left = sorted(hosts - removed)
    picked = free.pick(seed)
    if not left:
        assert picked is None
        return
    start = min(hosts) + seed % (max(hosts) - min(hosts) + 1)
    assert picked == NET.number + next((host for host in left if host >= start), left[0])
    assert all((NET.number + host in free) == (host in left) for host in hosts | removed)
