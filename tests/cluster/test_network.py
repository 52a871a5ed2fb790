from __future__ import annotations

from random import Random

import pytest

from twinboot.lab.simulate.clockwork import Clockwork
from twinboot.lab.simulate.network import Network


@pytest.mark.parametrize(("source", "target"), [("A", "one"), ("A", "*"), ("*", "one")])
def test_a_cut_of_one_direction_leaves_the_other(clockwork: Clockwork, source: str, target: str) -> None:
    heard: list[bytes] = []
    wire = Network(clockwork, Random(1))
    wire.attach("A", heard.append)
    wire.attach("one", heard.append)
    wire.cut(source, target, 10.0)
    wire.send("A", "one", b"there")
    wire.send("one", "A", b"back")
    clockwork.run(10.0)
    assert heard == [b"back"]
    wire.send("A", "one", b"later")
    clockwork.run(20.0)
    assert heard == [b"back", b"later"]
