"""While a commit is under way: what leaves, and what the service knows by then."""

from collections.abc import Callable

from dhcp import options as o
from dhcp.options import MessageType
from storage.records import FREE_ID, MANUAL, Outcome, Result, ipv4_int
from tests.dhcp.conftest import make_packet
from tests.dhcp.overlap.conftest import BE, FE, ONE, THREE, TWO, Site, free, kinds, leased, renewal, request


def test_an_ack_leaves_when_its_commit_has_ended_and_an_offer_at_once(site: Callable[..., Site]) -> None:
    here = site()
    one = here.offer(ONE)
    assert here.hear(request(ONE, one)) == []
    two = here.offer(TWO)
    assert two.yiaddr != one.yiaddr
    assert kinds(here.end()) == [(ONE, MessageType.ACK)]


def test_what_is_decided_meanwhile_is_the_next_commit(site: Callable[..., Site]) -> None:
    here = site()
    offers = {mac: here.offer(mac) for mac in (ONE, TWO, THREE)}
    here.hear(request(ONE, offers[ONE]))
    assert here.hear(request(TWO, offers[TWO])) == []
    assert here.hear(request(THREE, offers[THREE])) == []
    assert here.commits.changes is not None
    assert len(here.commits.changes) == 1
    assert kinds(here.end()) == [(ONE, MessageType.ACK)]
    assert [change.new.key for change in here.commits.changes if change.new] == [offers[m].yiaddr for m in (TWO, THREE)]
    assert kinds(here.end()) == [(TWO, MessageType.ACK), (THREE, MessageType.ACK)]
    assert here.commits.changes is None


def test_what_others_took_is_known_between_two_commits(site: Callable[..., Site]) -> None:
    """Also while there is always one under way."""
    here = site(free(20), free(21), free(22))
    offers = {mac: here.offer(mac) for mac in (ONE, TWO)}
    here.hear(request(ONE, offers[ONE]))
    here.hear(request(TWO, offers[TWO]))
    (left,) = {ipv4_int(f"10.0.0.{last}") for last in (20, 21, 22)} - {offer.yiaddr for offer in offers.values()}
    here.edit(leased(left & 255, THREE))
    assert kinds(here.end()) == [(ONE, MessageType.ACK)]
    assert here.hear(make_packet(MessageType.DISCOVER, "00:14:4f:00:00:04")) == []
    assert kinds(here.end()) == [(TWO, MessageType.ACK)]


def test_after_a_failed_commit_a_lease_is_promised_by_what_is_stored_then(site: Callable[..., Site]) -> None:
    here = site(leased(21, TWO))
    here.hear(renewal(TWO, 21))
    here.edit(leased(21, THREE, flags=MANUAL)._replace(signature=77))
    here.commits.results = [Result(Outcome.UNAVAILABLE, None, "as the test asked")]
    here.commits.changes = None
    here.sent.clear()
    here.service.proceed()
    assert here.sent == []


def test_an_address_that_is_about_to_be_stored_is_offered_to_nobody(site: Callable[..., Site]) -> None:
    here = site(free(20))
    offer = here.offer(ONE)
    here.hear(request(ONE, offer))
    here.clock.now_s += 120  # the offer has ended, the commit has not
    here.service.turn()
    assert here.hear(make_packet(MessageType.DISCOVER, TWO)) == []
    assert here.end() == []
    assert here.row(offer.yiaddr).client_id != FREE_ID
    assert here.events.of("dhcp.silent")[-1]["reason"] == "full"


def test_nobody_is_refused_by_what_was_known_before_the_commit(site: Callable[..., Site]) -> None:
    """Another server renewed a lease that has ended by what we know."""
    here = site(free(20), leased(21, TWO, left_s=2))
    offer = here.offer(ONE)
    here.clock.now_s += 10
    here.hear(request(ONE, offer))
    here.edit(leased(21, TWO, left_s=900))
    assert here.hear(renewal(TWO, 21)) == []
    here.end()
    here.service.finish()
    assert kinds([packet for _, packet in here.sent]) == [(ONE, MessageType.ACK), (TWO, MessageType.ACK)]


def test_a_change_by_an_old_view_loses_and_is_decided_once_more(site: Callable[..., Site]) -> None:
    here = site(free(20), leased(21, TWO))
    offer = here.offer(ONE)
    here.hear(request(ONE, offer))
    assert here.hear(renewal(TWO, 21)) == []
    other = leased(21, THREE, flags=MANUAL)._replace(signature=77)
    here.edit(other)  # while the first commit is under way: an operator gives the address away
    assert kinds(here.end()) == [(ONE, MessageType.ACK)]
    assert (TWO, MessageType.ACK) not in kinds(here.end())
    here.service.finish()
    assert here.row(other.key).client_id == other.client_id
    assert (TWO, MessageType.ACK) not in kinds([packet for _, packet in here.sent])


def test_what_could_not_be_stored_is_not_acknowledged_and_the_next_commit_goes_on(site: Callable[..., Site]) -> None:
    here = site()
    offers = {mac: here.offer(mac) for mac in (ONE, TWO)}
    here.hear(request(ONE, offers[ONE]))
    here.hear(request(TWO, offers[TWO]))
    here.records.fail_next(Outcome.UNAVAILABLE)
    assert here.end() == []
    assert here.events.of("dhcp.silent")[-1]["reason"] == "store-unavailable"
    assert kinds(here.end()) == [(TWO, MessageType.ACK)]


def test_each_answer_leaves_where_its_packet_came_in(site: Callable[..., Site]) -> None:
    here = site()
    offers = {ONE: here.offer(ONE, FE), TWO: here.offer(TWO, BE), THREE: here.offer(THREE, FE)}
    here.hear(request(ONE, offers[ONE]), at=FE)
    here.hear(request(TWO, offers[TWO]), at=BE)
    here.hear(request(THREE, offers[THREE]), at=FE)
    here.end()
    here.commits.end()
    here.service.proceed()
    assert [(name, packet.mac) for name, packet in here.sent] == [("fe0", ONE), ("be0", TWO), ("fe0", THREE)]
    assert here.sent[1][1].options[o.SERVER_ID] == BE.interface.address.to_bytes(4, "big")
