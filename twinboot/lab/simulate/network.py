"""The wire between clients and servers: late, lost, doubled and overtaking packets, and cuts between two stations."""

from collections.abc import Callable
from random import Random

from twinboot.lab.simulate.clockwork import Clockwork

PACKET_LIFE_S = 3.0  # no packet is on the way for longer, however bad the weather

Receiver = Callable[[bytes], None]


class Network:
    """One broadcast domain. Stations are named; what the weather is like is set by the faults."""

    def __init__(self, clockwork: Clockwork, rng: Random) -> None:
        self.loss = 0.0  # the part of packets that vanish
        self.doubled = 0.0  # the part that arrive twice
        self.late_s = 0.0  # added to the delay, from nothing to so much: packets overtake one another
        self._cut: dict[tuple[str, str], float] = {}  # (source, target) -> until when nothing passes
        self.carried = 0
        self._clockwork = clockwork
        self._random = rng.random
        self._receivers: dict[str, Receiver] = {}

    def attach(self, name: str, receiver: Receiver) -> None:
        """Let a station receive."""
        self._receivers[name] = receiver

    def cut(self, source: str, target: str, until_s: float) -> None:
        """Let nothing pass that way until then; "*" stands for everybody."""
        self._cut[(source, target)] = until_s

    def mend(self) -> None:
        """End all that is wrong with the wire."""
        self.loss = self.doubled = self.late_s = 0.0
        self._cut.clear()

    def send(self, source: str, target: str, data: bytes) -> None:
        """Send a packet; it may arrive never, once or more than once."""
        if self._cut and self._is_cut(source, target):
            return
        draw = self._random
        copies = 1
        if self.loss and draw() < self.loss:
            return
        if self.doubled and draw() < self.doubled:
            copies = 2
        receiver = self._receivers[target]
        for _ in range(copies):
            delay_s = 0.0001 + 0.0009 * draw() + (self.late_s * draw() if self.late_s else 0.0)
            self.carried += 1
            self._clockwork.after(min(delay_s, PACKET_LIFE_S), receiver, data)

    def _is_cut(self, source: str, target: str) -> bool:
        until = self._cut.get
        until_s = max(until((source, target), 0.0), until((source, "*"), 0.0), until(("*", target), 0.0))
        return until_s > self._clockwork.now_s
