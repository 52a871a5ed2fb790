"""Networks: written as people write them, refused when they contradict themselves."""

import pytest

from dhcp.networks import Network, network, overlaps
from storage.records import ipv4_int


def test_a_network_knows_its_edges() -> None:
    net = network("192.168.76.0/24")
    assert net == network("192.168.76.0/255.255.255.0")
    assert (net.name, net.prefix, net.size) == ("192.168.76.0", 24, 256)
    assert net.broadcast == ipv4_int("192.168.76.255")
    assert ipv4_int("192.168.76.255") in net
    assert ipv4_int("192.168.77.1") not in net
    assert "192.168.76.1" not in net  # type: ignore[comparison-overlap] # a text is no address


def test_edges_are_no_hosts() -> None:
    net = network("10.1.2.128/25")
    assert net.has_host(ipv4_int("10.1.2.129"))
    assert not any(net.has_host(ipv4_int(text)) for text in ("10.1.2.128", "10.1.2.255", "10.1.2.1", "10.1.3.129"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("192.168.76.0", "no netmask"),
        ("192.168.76.1/24", "would be 192.168.76.0/24"),
        ("192.168.76.0/255.0.255.0", "ones are not together"),
        ("192.168.76.0/33", "/8 to /30"),
        ("192.168.76.0/31", "/8 to /30"),
        ("0.0.0.0/0", "/8 to /30"),
        ("192.168.76.0/", "not a dotted"),
        ("somewhere/24", "not a dotted"),
    ],
)
def test_slips_are_named(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        network(text)


def test_overlaps_are_found() -> None:
    wide, inner, other = network("10.0.0.0/16"), network("10.0.5.0/24"), network("10.1.0.0/24")
    assert overlaps([other, inner, wide]) == [(wide, inner)]
    assert overlaps([inner, other]) == []
    assert overlaps([Network(wide.number, wide.mask), wide]) == [(wide, wide)]
