"""Which lease of one network ends first: addresses in the order in which their leases are to be looked at.

A renewal only makes a lease longer, as a rule, so it need not touch the queue: an entry may come too early, and is then
put off by who looks at it. An entry that came too late would be a lease that nobody ever takes back, so an earlier end
gets an entry of its own at once, and the address's older one no longer counts.
"""

import heapq
from typing import Any, Final

HEAP_SLACK: Final = 1024  # entries that no longer count, tolerated before the heap is rebuilt


class LeaseQueue:
    """A heap of (lease end or earlier, address)."""

    def __init__(self, ends: dict[int, int]) -> None:
        """Begin with the lease ends of these addresses, Unix seconds; the dict is the queue's from now on."""
        self._ends = ends  # address -> its entry that counts
        self._heap: list[tuple[int, int]] = []
        self._line_up()

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, address: Any, lease_s: Any) -> None:  # they stay the objects that they are: the row has them, too
        """See to it that an address comes first when its lease ends, or earlier."""
        known = self._ends.get(address)
        if known is not None and known <= lease_s:
            return
        self._ends[address] = lease_s
        if len(self._heap) > 2 * len(self._ends) + HEAP_SLACK:
            self._line_up()
        else:
            heapq.heappush(self._heap, (lease_s, address))

    def first(self, limit_s: int) -> tuple[int, int] | None:
        """Return the first entry, (lease end or earlier, address), if it is due by `limit_s`."""
        heap, ends = self._heap, self._ends
        while heap and heap[0][0] <= limit_s:
            entry = heap[0]
            if ends.get(entry[1]) == entry[0]:
                return entry
            heapq.heappop(heap)  # its address has an earlier one, too
        return None

    def put_off(self, lease_s: int) -> None:
        """Put the first entry off until the end of its lease, for that was found to be later."""
        address = self._heap[0][1]
        heapq.heapreplace(self._heap, (lease_s, address))
        self._ends[address] = lease_s

    def drop(self) -> None:
        """Take the first entry out, for its address has no lease that can end."""
        _, address = heapq.heappop(self._heap)
        del self._ends[address]

    def _line_up(self) -> None:
        """Make the heap anew of the entries that count."""
        self._heap = [(end_s, address) for address, end_s in self._ends.items()]
        heapq.heapify(self._heap)
