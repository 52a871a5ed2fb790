"""While a commit is under way: who waits for it, for how long, and what is not done meanwhile."""

from collections.abc import Callable

import pytest

from dhcp import options as o
from dhcp import underway
from dhcp.options import MessageType
from storage.records import ipv4_int
from tests.dhcp.conftest import make_packet
from tests.dhcp.overlap.conftest import ONE, THREE, TWO, Site, free, kinds, leased, renewal, request


def test_a_machine_whose_change_is_under_way_waits_and_so_do_its_later_packets(site: Callable[..., Site]) -> None:
    here = site()
    offer = here.offer(ONE)
    here.hear(request(ONE, offer))
    again = make_packet(MessageType.DISCOVER, ONE)
    assert here.hear(request(ONE, offer), again) == []
    sent = here.end()
    assert kinds(sent)[0] == (ONE, MessageType.ACK)
    here.service.finish()
    assert kinds([packet for _, packet in here.sent]) == [(ONE, MessageType.ACK)] * 2 + [(ONE, MessageType.OFFER)]
    assert {packet.yiaddr for _, packet in here.sent} == {offer.yiaddr}


def test_a_machine_waits_also_about_another_address(site: Callable[..., Site]) -> None:
    here = site(free(20), leased(21, TWO))
    assert here.hear(renewal(TWO, 21)) == []
    other_system = make_packet(MessageType.DISCOVER, TWO, options={o.CLIENT_ID: b"\0loader"})
    assert here.hear(other_system) == []
    assert kinds(here.end()) == [(TWO, MessageType.ACK), (TWO, MessageType.OFFER)]


def test_two_machines_with_one_client_id_do_not_share_a_commit(site: Callable[..., Site]) -> None:
    here = site(leased(21, TWO))
    both = {o.CLIENT_ID: leased(21, TWO).client_id}
    assert here.hear(renewal(TWO, 21)) == []
    assert here.hear(make_packet(MessageType.REQUEST, THREE, ciaddr="10.0.0.21", options=both)) == []
    assert here.service._underway.gathered == []
    assert (TWO, MessageType.ACK) in kinds(here.end())


def test_a_release_that_waited_too_long_for_a_commit_does_not_count(site: Callable[..., Site]) -> None:
    here = site(free(20), leased(21, TWO))
    offer = here.offer(ONE)
    here.hear(request(ONE, offer))
    here.hear(renewal(TWO, 21), make_packet(MessageType.RELEASE, TWO, ciaddr="10.0.0.21"))
    here.clock.now_s += 1.5
    here.end()
    here.service.finish()
    assert here.row(ipv4_int("10.0.0.21")).client_id == leased(21, TWO).client_id
    assert here.events.of("dhcp.dropped")[-1]["reason"] == "stale"


def test_a_release_that_gathered_too_long_for_the_next_commit_does_not_count(site: Callable[..., Site]) -> None:
    here = site(free(20), leased(21, TWO))
    here.hear(request(ONE, here.offer(ONE)))
    here.hear(make_packet(MessageType.RELEASE, TWO, ciaddr="10.0.0.21"))
    here.clock.now_s += 1.5
    here.end()
    here.service.finish()
    assert here.row(ipv4_int("10.0.0.21")).client_id == leased(21, TWO).client_id
    assert here.events.of("dhcp.silent")[-1]["reason"] == "stale"


def test_what_waits_is_bounded(site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    here = site()
    offers = {mac: here.offer(mac) for mac in (ONE, TWO, THREE)}
    monkeypatch.setattr(underway, "FULL", 2)
    here.hear(request(ONE, offers[ONE]))
    assert here.hear(request(TWO, offers[TWO])) == []
    assert kinds(here.hear(request(THREE, offers[THREE]))) == [(ONE, MessageType.ACK)]
    assert kinds(here.end()) == [(TWO, MessageType.ACK), (THREE, MessageType.ACK)]


def test_a_rescan_finishes_first(site: Callable[..., Site]) -> None:
    here = site()
    offer = here.offer(ONE)
    here.hear(request(ONE, offer))
    here.service.reload()
    assert kinds([packet for _, packet in here.sent]) == [(ONE, MessageType.ACK)]


def test_the_datastore_is_not_tended_while_it_commits(site: Callable[..., Site]) -> None:
    here = site()
    here.hear(request(ONE, here.offer(ONE)))
    here.service.turn()  # `Unread` would tell
    assert kinds(here.end()) == [(ONE, MessageType.ACK)]
