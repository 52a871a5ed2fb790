"""A server that cannot see the share renews what it saw last, and promises only what holds whatever happened since."""

from pathlib import Path

import pytest

from dhcp import options as o
from storage.records import Binding, Change, Outcome
from tests.dhcp_pair import NETWORK, NOW_S, Pair, mac, renewal

LEASE_S = 600  # as the macro has it


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair("twinlog", tmp_path, [20])


@pytest.mark.parametrize("left_s", [5000, 550])
def test_no_more_is_promised_than_a_lease_from_the_last_look_on(pair: Pair, left_s: int) -> None:
    """The client may have released it since, and have it anew from the other server, for less than was left then."""
    ack = pair.lease(mac(1), pair.odd)
    row = pair.row(ack.yiaddr)
    pair.odd.records.commit([Change(NETWORK, row, row._replace(lease_s=int(NOW_S) + left_s))])
    assert pair.even.hear(renewal(mac(1), ack))  # it sees that, and may make it longer
    seen = pair.row(ack.yiaddr)
    assert isinstance(seen, Binding)
    pair.even.records.fail(Outcome.UNAVAILABLE, reads=False)
    pair.clock.now_s += 100
    (renewed,) = pair.even.hear(renewal(mac(1), ack))
    assert int.from_bytes(renewed.options[o.LEASE_TIME], "big") == LEASE_S - 100
    pair.clock.now_s += LEASE_S - 100
    assert not pair.even.hear(renewal(mac(1), ack))
    assert pair.even.events.of("dhcp.silent")[-1]["reason"] in ("frozen", "store-unavailable")
