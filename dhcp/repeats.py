"""Which REQUESTs to another server of ours are repeats: a sign that it is dead, for it would have answered the first.

A client that has accepted an offer asks that server, by option 54, until it gives up some fifteen seconds later. RFC
2131 has no other server answer, because none could know. Here all servers know: whoever commits the binding
gives it, and the commit is refused if anybody else has it. So a repeat may be finished by whoever hears it.

The first hearing is the other server's. So is a copy that comes within `AGAIN_S`: a packet doubled on the way, or a
client in a hurry. Real ones wait for 0.9 s at the least, and the first may have waited here before it was heard. What
was first heard more than `MEMORY_S` ago counts as new: xids come around. At most `HEARD_MAX` are remembered; the oldest
goes.
"""

from collections import OrderedDict

AGAIN_S = 0.6
MEMORY_S = 30.0
HEARD_MAX = 16384


class Repeats:
    """When each request to another server was first heard."""

    def __init__(self) -> None:
        self._heard: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._heard)

    def hear(self, key: bytes, now: float) -> bool:
        """Note a request by what tells it from others; True if it is a repeat. `now` is monotonic."""
        first = self._heard.get(key)
        if first is not None and now - first <= MEMORY_S:
            return now - first >= AGAIN_S
        self._heard[key] = now
        self._heard.move_to_end(key)
        if len(self._heard) > HEARD_MAX:
            self._heard.popitem(last=False)
        return False
