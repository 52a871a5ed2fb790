"""Fixed bindings while the share is away, read-only or full: every renewal is answered."""

from __future__ import annotations

import pytest

from twinboot.lab.simulate import faults, tell
from twinboot.lab.simulate.client import Client, State
from twinboot.lab.simulate.cluster import Cluster, Parts
from twinboot.lab.simulate.scenario import draw

KINDS = ("hung share", "storage failover", "read-only export", "full disk")


@pytest.mark.parametrize("seed", range(4))
def test_no_renewal_of_a_fixed_binding_fails(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "FAULTS", {kind: faults.FAULTS[kind] for kind in KINDS})
    scenario = draw(seed, 0.5)._replace(
        clients=20, reserved=20, addresses=2, lease_s=60, deadline_s=1.5, is_local=False, fault_every_s=20.0
    )
    end_s = scenario.faults_s + scenario.settle_s  # then all servers are killed
    lost = []
    discover = Client._discover

    def noticed(client: Client) -> None:
        if client.state in (State.RENEWING, State.REBINDING) and client._clockwork.now_s < end_s:
            lost.append(client.mac)
        discover(client)

    monkeypatch.setattr(Client, "_discover", noticed)
    cluster = Cluster(scenario, Parts(), traced=True)
    verdict = cluster.run()
    assert not verdict.violations, tell.story(verdict)
    assert verdict.exchanges > 500
    assert cluster.faults["storage failover"]
    assert not lost
