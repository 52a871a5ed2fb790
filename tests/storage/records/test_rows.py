import pytest

from storage.records import ipv4_int, ipv4_text


def test_addresses_both_ways():
    for text in ("0.0.0.0", "10.0.0.1", "192.168.76.255", "255.255.255.255"):
        assert ipv4_text(ipv4_int(text)) == text


@pytest.mark.parametrize(
    "text", ["", "10.1", "010.0.0.1", "10.0.0.256", " 10.0.0.1", "10.0.0.1\0", "a.b.c.d", "1" * 99]
)
def test_other_spellings_are_no_addresses(text):
    with pytest.raises(ValueError, match=r"address|written"):
        ipv4_int(text)


@pytest.mark.parametrize("number", [-1, 2**32])
def test_other_numbers_are_no_addresses(number):
    with pytest.raises(ValueError, match="not an IPv4 address"):
        ipv4_text(number)
