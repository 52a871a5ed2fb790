"""The lab itself: what NFS promises between two hosts (and the product relies on), and a pair that serves."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.system.cluster.coherence import ROUND_S
from tests.system.cluster.site import SERVERS
from tests.system.cluster.trial import Trial
from twinboot.lab.cluster import CLIENTS, Cluster

pytestmark = [pytest.mark.root, pytest.mark.system]

SCRIPT = str(Path(__file__).with_name("coherence.py"))
ROUNDS, RACES = 8, 16
LEAD_S = 1.0
"""A guest's Python takes a while to start."""

VERSIONS = {"4.1": "/mnt/v41", "3": "/mnt/v3"}


def both(cluster: Cluster, roles: tuple[str, str], folder: str, rounds: int = ROUNDS) -> list[list[Any]]:
    """Play a role in each guest at the same time."""
    start = time.time() + LEAD_S
    waiting = [
        guest.begin(sys.executable, SCRIPT, role, folder, str(start), str(rounds))
        for guest, role in zip(cluster.guests.values(), roles, strict=True)
    ]
    told = [guest.result(one) for guest, one in zip(cluster.guests.values(), waiting, strict=True)]
    assert [one["code"] for one in told] == [0, 0], told
    return [json.loads(one["out"]) for one in told]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_one_host_replaces_the_other_opens_and_lists(cluster: Cluster, version: str) -> None:
    folder = f"{VERSIONS[version]}/seen{version}"
    cluster.guests["odd"].run("mkdir", folder)
    done, seen = both(cluster, ("write", "watch"), folder)
    opened = [when[0] - at for at, when in zip(done, seen, strict=True)]
    listed = [when[1] - at for at, when in zip(done, seen, strict=True)]
    assert max(opened) < ROUND_S, opened
    assert max(listed) < ROUND_S, listed
    assert min(when[0] for when in seen) > 0
    assert min(when[1] for when in seen) > 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", ["create", "link"])
def test_of_two_hosts_that_make_one_name_exactly_one_wins(cluster: Cluster, version: str, way: str) -> None:
    folder = f"{VERSIONS[version]}/race-{way}{version}"
    cluster.guests["odd"].run("mkdir", folder)
    first, second = both(cluster, (way, way), folder, RACES)
    assert sorted([*first, *second]) == list(range(RACES))


@pytest.mark.parametrize("resource", ["SUNWfiles", "twinlog"])
def test_a_pair_serves_and_keeps_what_it_acknowledged(cluster: Cluster, resource: str) -> None:
    with Trial(cluster, f"smoke-{resource}", resource=resource) as trial:
        trial.begin_load(fresh_per_s=60, residents=10, fixed=5)
        time.sleep(5)
        verdict = trial.finish(f"{resource}, no fault, NFS 4.1")
    assert verdict.faults == []
    assert verdict.acks > 50
    assert set(verdict.servers) == set(SERVERS.values())


def test_clients_have_no_way_to_the_storage(cluster: Cluster) -> None:
    assert "10.77.1" not in cluster.enclosure.run("ip", "-4", "addr", namespace=CLIENTS)
