"""Which bindings a client may have: another client's only when its lease is over for certain."""

from dhcp.asking import runs
from dhcp.world import Asked
from storage.records import BOOTP, FREE_ID, MANUAL, PERMANENT, UNUSABLE, Binding


def is_available(asked: Asked, row: Binding) -> bool:
    """Tell whether the client may have this binding: its own, or one that is free, or whose lease is over."""
    if not asked.view.is_ours(row) or row.flags & (UNUSABLE | BOOTP):
        return False
    if asked.view.offered_to(row.address) not in (None, asked.client_id):
        return False
    if row.client_id == asked.client_id:
        return True
    if row.flags & MANUAL:
        return False
    # an ended lease waits for LEASE_MIN_LRU, whoever asks: clocks differ, and a client counts from its own request
    return row.client_id == FREE_ID or not (row.flags & PERMANENT or runs(row, reclaimable_s(asked)))


def reclaimable_s(asked: Asked) -> int:
    """Return the time by which a lease must have ended to be given to another client: by all clocks, and rested."""
    return asked.over_s - asked.world.conf.lease_min_lru_s
