"""What a seed stands for: how many servers, clients and addresses, what kind of share, how harsh the faults."""

from random import Random
from typing import NamedTuple

LEASES_S = (60, 60, 120, 240, 600)
CLIENTS_MIN, CLIENTS_MAX = 4, (20, 60, 120)
CLOCK_ERROR_MAX_S = 20.0  # between a clock and the truth, where people look after it
CLOCKS_S = ((20.0, 0.0), (20.0, 600.0), (7200.0, 0.0))
"""How wrong the servers' clocks and the share's may be. Not both by minutes: then nothing on earth knows the time."""


class Scenario(NamedTuple):
    """The parameters of one run. Times in seconds."""

    seed: int
    faults_s: float  # how long things go wrong
    servers: int
    clients: int
    reserved: int  # clients of these that have a reservation of their own
    addresses: int  # for the others
    lease_s: int
    lease_min_lru_s: int
    rescan_min: int
    is_local: bool  # all servers' processes on one local disk instead of hosts on NFS
    deadline_s: float  # of operations on the share, 0: none
    travel_s: float  # to the share
    fault_every_s: float  # on average
    clock_error_max_s: float  # of a server's clock
    share_error_max_s: float  # of the share's clock, which may be another one after a failover

    @property
    def settle_s(self) -> float:
        """How long the run goes on without faults: every lease of a client that is gone ends, and then some."""
        return 2.0 * self.lease_s + self.lease_min_lru_s + 240.0

    @property
    def clocks_agree(self) -> bool:
        """Whether leases end about when the servers say. Else some end late: their addresses rest longer."""
        return max(self.clock_error_max_s, self.share_error_max_s) <= CLOCK_ERROR_MAX_S

    @property
    def spare(self) -> int:
        """Addresses that are left when every client has one; negative if there are not enough."""
        return self.addresses - (self.clients - self.reserved)

    def __str__(self) -> str:
        place = "one local disk" if self.is_local else "NFS" + (" behind a deadline" if self.deadline_s else "")
        wrong_s = max(self.clock_error_max_s, self.share_error_max_s)
        return (
            f"{self.servers} servers on {place}, {self.clients} clients ({self.reserved} reserved), "
            f"{self.addresses} addresses, leases of {self.lease_s} s, clocks up to {wrong_s:.0f} s wrong, "
            f"a fault every {self.fault_every_s:.0f} s for {self.faults_s / 3600:g} h"
        )


def draw(seed: int, hours: float) -> Scenario:
    """Return the scenario of a seed."""
    rng = Random(f"{seed}/scenario")
    clients = rng.randint(CLIENTS_MIN, rng.choice(CLIENTS_MAX))
    reserved = rng.randint(0, clients // 5)
    is_local = rng.random() < 0.2
    dynamic = clients - reserved
    server_error_s, share_error_s = Random(f"{seed}/clocks").choice(CLOCKS_S)
    return Scenario(
        seed=seed,
        faults_s=hours * 3600,
        servers=rng.choice((2, 2, 2, 3)),
        clients=clients,
        reserved=reserved,
        addresses=max(2, int(dynamic * rng.choice((0.6, 0.9, 1.2, 1.5, 3.0))) + 1),
        lease_s=rng.choice(LEASES_S),
        lease_min_lru_s=60,
        rescan_min=rng.choice((0, 1, 1, 5)),
        is_local=is_local,
        deadline_s=0.0 if is_local else rng.choice((0.0, 1.0, 5.0)),
        travel_s=0.00005 if is_local else rng.choice((0.0002, 0.001, 0.005, 0.02)),
        fault_every_s=rng.choice((15.0, 40.0, 120.0, 400.0)),
        clock_error_max_s=server_error_s,
        share_error_max_s=share_error_s,
    )
