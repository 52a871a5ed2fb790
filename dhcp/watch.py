"""The service's look at both clocks, its own and the store's: `dhcp.clocks` says what to make of them."""

from dhcp.clocks import Herald, judge
from dhcp.outside import Clock
from dhcp.tally import Emit
from dhcp.world import World
from storage.records import Records


class Watch:
    """What time it was at the last look, in Unix seconds."""

    def __init__(self, clock: Clock, records: Records, emit: Emit) -> None:
        self.now_s = 0
        self._clock = clock
        self._records = records
        self._herald = Herald(emit)

    def look(self, world: World) -> None:
        """Look at the clocks, and let `world` know how far they are apart."""
        own_s, epoch = self._clock.time(), self._records.epoch()
        store_s = None if epoch is None else epoch.unix_s + self._clock.monotonic()
        self.now_s, skew_s, unsure_s = judge(own_s, store_s, 0.0 if epoch is None else epoch.behind_s)
        if skew_s != world.skew_s and store_s is not None:
            world.skew_s = skew_s
            self._herald.tell(own_s, store_s, skew_s)
        if unsure_s != world.unsure_s:
            world.unsure_s = unsure_s
            self._herald.tell_unsure(unsure_s)

    def latest_s(self) -> float:
        """Return how late it may be by the store; 0.0 where that has no clock."""
        epoch = self._records.epoch()
        return 0.0 if epoch is None else epoch.unix_s + self._clock.monotonic() + epoch.behind_s
