"""What can break, breaks, under load: never is an address doubled, never is an acknowledged binding lost.

The first assertion of every trial is safety. Then: whoever is left serves, and the pair recovers by itself. Each trial
leaves the lab as it found it: both guests up, storage serving.
"""

import time

import pytest

from tests.system.cluster.checker import Verdict
from tests.system.cluster.site import SERVERS
from tests.system.cluster.trial import Trial
from twinboot.lab.cluster import Cluster

pytestmark = [pytest.mark.root, pytest.mark.system, pytest.mark.cluster]

BEFORE_S = 3.0
"""Load before the fault, so that there is something to lose."""

RECOVERED_ACKS = 30
RECOVER_S = 25.0
versions = pytest.mark.parametrize("version", ["4.1", "3"])


def begin(trial: Trial) -> None:
    """Ordinary load, and a while for the fault to find something."""
    trial.begin_load(fresh_per_s=60, residents=20, fixed=10)
    time.sleep(BEFORE_S)
    assert trial.acks() > 0, "nobody was served before the fault"


def recovered(trial: Trial, *names: str) -> None:
    """Wait until each of these servers acknowledges again."""
    before = {name: trial.served_by(name) for name in names}
    end = time.monotonic() + RECOVER_S
    while any(trial.served_by(name) < count + RECOVERED_ACKS for name, count in before.items()):
        assert time.monotonic() < end, f"no recovery within {RECOVER_S:.0f} s: {before}, then {trial.log_tails()}"
        time.sleep(0.2)


def safe(verdict: Verdict) -> None:
    assert verdict.faults == []


def fixed_were_renewed(verdict: Verdict) -> None:
    """A reserved address needs nothing written: its client is answered while the share is away. And an answer that the
    share has held up promises no more than what is in the files.
    """
    assert verdict.overlong == []
    assert [kind for kind in verdict.gave_up if kind.startswith("fixed")] == []


def fixed_renewals(trial: Trial, began: float, ended: float) -> int:
    """How many clients with a reservation were renewed in that time."""
    told = [event for event in trial.events if event["event"] == "served" and began <= event["t"] <= ended]
    return sum(event["kind"] == "fixed" and event["doing"] == "renew" for event in told)


def assert_others_were_served(verdict: Verdict) -> None:
    """Who had an address kept it, and what a dead server had offered the other one gave, but for one in a thousand: on
    a machine that is too busy, both servers may have been killed before either has heard a client twice.
    """
    assert set(verdict.gave_up) <= {"fresh-request"}
    assert verdict.gave_up.get("fresh-request", 0) <= verdict.clients // 1000
    assert verdict.silence_s < 2.0


@versions
def test_daemon_killed(cluster: Cluster, version: str) -> None:
    with Trial(cluster, f"kill{version}", version=version) as trial:
        begin(trial)
        for name in (*SERVERS, *SERVERS):
            trial.kill_daemon(name)
            time.sleep(1.0)
            trial.begin_daemon(name)
            trial.await_daemon(name)
            time.sleep(1.0)
        recovered(trial, *SERVERS)
        verdict = trial.finish(f"daemon killed -9 four times, NFS {version}")
    safe(verdict)
    assert_others_were_served(verdict)


@versions
def test_power_cut(cluster: Cluster, version: str) -> None:
    with Trial(cluster, f"power{version}", version=version) as trial:
        begin(trial)
        cluster.guests["odd"].cut_power()
        time.sleep(4.0)
        trial.reboot("odd")
        recovered(trial, *SERVERS)
        verdict = trial.finish(f"power cut of a server, NFS {version}")
    safe(verdict)
    assert_others_were_served(verdict)


@versions
def test_partition_from_the_storage(cluster: Cluster, version: str) -> None:
    guest = cluster.guests["odd"]
    with Trial(cluster, f"parted{version}", version=version) as trial:
        begin(trial)
        guest.plug(guest.be, is_in=False)
        time.sleep(10.0)
        guest.plug(guest.be, is_in=True)
        recovered(trial, *SERVERS)
        verdict = trial.finish(f"server cut off from the storage 10 s, NFS {version}")
    safe(verdict)
    assert verdict.silence_s < 2.0


def test_pause(cluster: Cluster) -> None:
    guest = cluster.guests["odd"]
    with Trial(cluster, "pause", lease_s=6) as trial:
        begin(trial)
        guest.pause()
        time.sleep(20.0)  # longer than leases, their quarantine, and the NFS server's patience
        guest.resume()
        recovered(trial, *SERVERS)
        verdict = trial.finish("server stopped 20 s with leases of 6 s, NFS 4.1")
    safe(verdict)
    assert verdict.silence_s < 2.0


@pytest.mark.parametrize(("version", "down_s"), [("4.1", 1), ("3", 1), ("4.1", 5)])
def test_storage_killed(cluster: Cluster, version: str, down_s: int) -> None:
    with Trial(cluster, f"nfs{version}-{down_s}", version=version) as trial:
        begin(trial)
        cluster.storage.kill()
        time.sleep(down_s)
        cluster.storage.start()
        recovered(trial, *SERVERS)
        verdict = trial.finish(f"NFS server killed, back after {down_s} s, NFS {version}")
    safe(verdict)
    fixed_were_renewed(verdict)


@versions
def test_storage_fails_over(cluster: Cluster, version: str) -> None:
    with Trial(cluster, f"head{version}", version=version) as trial:
        begin(trial)
        began = time.time()
        cluster.storage.fail_over()
        recovered(trial, *SERVERS)
        ended = time.time()
        verdict = trial.finish(f"storage head failover, NFS {version}")
    safe(verdict)
    fixed_were_renewed(verdict)
    assert fixed_renewals(trial, began, ended) > 0


def test_full_disk(cluster: Cluster) -> None:
    filler = str(cluster.storage.path("small", "filler"))
    with Trial(cluster, "full", export="small", free=600) as trial:
        begin(trial)
        cluster.enclosure.run("sh", "-c", f"cat /dev/zero > {filler} 2>/dev/null; sync; test -s {filler}")
        time.sleep(5.0)
        cluster.enclosure.run("rm", filler)
        recovered(trial, *SERVERS)
        verdict = trial.finish("disk full for 5 s, NFS 4.1")
    safe(verdict)
    fixed_were_renewed(verdict)


def test_read_only_export(cluster: Cluster) -> None:
    with Trial(cluster, "readonly") as trial:
        begin(trial)
        cluster.storage.kill()
        cluster.storage.start("RO")
        time.sleep(6.0)
        cluster.storage.kill()
        cluster.storage.start("RW")
        recovered(trial, *SERVERS)
        verdict = trial.finish("export read-only for 6 s, NFS 4.1")
    safe(verdict)
    fixed_were_renewed(verdict)


def test_clock_an_hour_ahead(cluster: Cluster) -> None:
    guest = cluster.guests["odd"]
    with Trial(cluster, "clock", lease_s=300) as trial:
        begin(trial)
        guest.run("date", "-s", "+1 hour")
        time.sleep(6.0)
        recovered(trial, *SERVERS)
        guest.run("date", "-s", "-1 hour")
        verdict = trial.finish("clock of a server 1 h ahead, NFS 4.1")
    safe(verdict)
    assert verdict.silence_s < 2.0
