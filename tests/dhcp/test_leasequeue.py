"""The queue of leases against the ends that they have."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dhcp.leasequeue import HEAP_SLACK, LeaseQueue

ENDS = st.dictionaries(st.integers(1, 9), st.integers(0, 99), max_size=9)
NEWS = st.lists(st.tuples(st.integers(1, 9), st.one_of(st.none(), st.integers(0, 99))), max_size=60)


def first(queue: LeaseQueue, ends: dict[int, int], limit_s: int) -> tuple[int, int] | None:
    """Look as the view does: entries that come too early are put off, those of leases that are gone are dropped."""
    while (entry := queue.first(limit_s)) is not None:
        end_s = ends.get(entry[1])
        if end_s is None:
            queue.drop()
        elif end_s > entry[0]:
            queue.put_off(end_s)
        else:
            return entry
    return None


@settings(max_examples=200, deadline=None)
@given(ENDS, NEWS, st.integers(0, 99))
def test_the_lease_that_ended_first_is_found_whatever_happened(
    ends: dict[int, int], news: list[tuple[int, int | None]], limit_s: int
) -> None:
    queue = LeaseQueue(dict(ends))
    for address, end_s in news:
        if end_s is None:
            ends.pop(address, None)
        else:
            ends[address] = end_s
            queue.put(address, end_s)
        due = [(end_s, address) for address, end_s in ends.items() if end_s <= limit_s]
        assert first(queue, ends, limit_s) == min(due, default=None)


def test_the_heap_does_not_grow_with_ends_that_come_earlier_and_stays_in_order() -> None:
    ends = dict.fromkeys(range(10), 9999)
    queue = LeaseQueue(dict(ends))
    for number in range(9000):
        address = number * 7 % 10
        ends[address] = 9998 - number
        queue.put(address, ends[address])
        assert queue.first(9999) == (ends[address], address)
    assert len(queue) <= HEAP_SLACK + 21
    found = []
    while (entry := queue.first(9999)) is not None:
        found.append(entry)
        queue.drop()
    assert found == sorted((end_s, address) for address, end_s in ends.items())
