"""Clocks that are wrong by hours: nothing is given away early, whatever a server's or the share's clock shows."""

from __future__ import annotations

import pytest

from twinboot.lab.simulate import faults, tell
from twinboot.lab.simulate.cluster import Cluster, Parts
from twinboot.lab.simulate.scenario import draw

HOURS = 0.2
KINDS = ("clock", "storage failover", "kill", "pause", "hung share", "packets late", "packet loss", "server cut off")


@pytest.mark.parametrize(("server_s", "share_s"), [(7200.0, 0.0), (20.0, 900.0)])
def test_no_clock_doubles_an_address(server_s: float, share_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "FAULTS", {kind: faults.FAULTS[kind] for kind in KINDS})
    for seed in range(4):
        scenario = draw(seed, HOURS)._replace(
            is_local=False, clock_error_max_s=server_s, share_error_max_s=share_s, fault_every_s=10.0
        )
        cluster = Cluster(scenario, Parts(), traced=True)
        verdict = cluster.run()
        assert not verdict.violations, tell.story(verdict)
        assert cluster.faults["clock"]
