"""The networks a server knows: number, mask and the name of the container that keeps their bindings.

Containers carry no netmask (Sun took it from the netmasks database), so the operator's list of networks is the
source of it. The name of a container is its network number, "192.168.76.0".
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Final, NamedTuple

from storage.records import ipv4_int, ipv4_text

ALL_ONES: Final = 0xFFFFFFFF
PREFIX_MIN, PREFIX_MAX = 8, 30  # wider than class A is a slip of the pen; /31 and /32 have no room for clients


class Network(NamedTuple):
    """One subnet. `number` and `mask` are ints; make it with `network()`, which checks them."""

    number: int
    mask: int

    @property
    def name(self) -> str:
        """The name of its container."""
        return ipv4_text(self.number)

    @property
    def prefix(self) -> int:
        """Length of the network part, bits."""
        return self.mask.bit_count()

    @property
    def broadcast(self) -> int:
        """The all-ones address."""
        return self.number | (self.mask ^ ALL_ONES)

    @property
    def size(self) -> int:
        """Number of addresses, with those of the network and broadcast."""
        return (self.mask ^ ALL_ONES) + 1

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and address & self.mask == self.number

    def has_host(self, address: int) -> bool:
        """Tell whether a machine may bear this address: inside, and neither all zeros nor all ones."""
        return self.number < address < self.broadcast and address & self.mask == self.number


def network(text: str) -> Network:
    """Return the network written "192.168.76.0/24" or "192.168.76.0/255.255.255.0". ValueError says what is wrong."""
    number_text, slash, mask_text = text.partition("/")
    if not slash:
        raise ValueError(f'"{text}" has no netmask; write it as 192.168.76.0/24')
    number, mask = ipv4_int(number_text), _mask(mask_text)
    if number & mask != number:
        raise ValueError(f'"{text}" is not a network number; it would be {ipv4_text(number & mask)}/{mask_text}')
    return Network(number, mask)


def _mask(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 2:
        prefix = int(text)
    else:
        mask = ipv4_int(text)
        prefix = mask.bit_count()
        if mask != ALL_ONES << (32 - prefix) & ALL_ONES:
            raise ValueError(f'"{text}" is not a netmask: its ones are not together')
    if not PREFIX_MIN <= prefix <= PREFIX_MAX:
        raise ValueError(f'"{text}" is not a netmask of /{PREFIX_MIN} to /{PREFIX_MAX}')
    return ALL_ONES << (32 - prefix) & ALL_ONES


def overlaps(networks: Iterable[Network]) -> list[tuple[Network, Network]]:
    """Return the pairs of networks that share addresses: one packet would belong to both."""
    ordered = sorted(networks)
    return [(a, b) for a, b in pairwise(ordered) if b.number <= a.broadcast]
