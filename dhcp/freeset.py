"""The free addresses of one network, and the search for one of them."""

from typing import Final

from dhcp.networks import Network

CHUNK_BITS: Final = 10


class FreeSet:
    """A set of addresses of one network that finds the next member at or after a place, in constant time.

    Two levels of bits: chunks of 1024 addresses, and one bit for each chunk that is not empty.
    """

    def __init__(self, network: Network) -> None:
        self._base = network.number
        self._chunks: dict[int, int] = {}
        self._filled = 0
        self._low, self._high = network.size, 0  # range of offsets where searches start

    def cover(self, address: int) -> None:
        """Let searches start at this address too, whether or not it is a member now.

        Servers that know the same rows thus start at the same place, whatever they have offered or seen taken.
        """
        offset = address - self._base
        self._low = min(self._low, offset)
        self._high = max(self._high, offset)

    def add(self, address: int) -> None:
        """Put an address in; it must be covered."""
        offset = address - self._base
        chunk, bit = offset >> CHUNK_BITS, 1 << (offset & 1023)
        self._chunks[chunk] = self._chunks.get(chunk, 0) | bit
        self._filled |= 1 << chunk

    def discard(self, address: int) -> None:
        """Take an address out, if it is there."""
        offset = address - self._base
        chunk, place = offset >> CHUNK_BITS, offset & 1023
        bits = self._chunks.get(chunk, 0)
        if not bits >> place & 1:
            return
        bits ^= 1 << place
        if bits:
            self._chunks[chunk] = bits
        else:
            del self._chunks[chunk]
            self._filled ^= 1 << chunk

    def __contains__(self, address: int) -> bool:
        offset = address - self._base
        return bool(self._chunks.get(offset >> CHUNK_BITS, 0) >> (offset & 1023) & 1)

    def pick(self, seed: int) -> int | None:
        """Return the first member at or after a place given by `seed`, going round at the end; None when empty."""
        if not self._filled:
            return None
        offset = self._low + seed % (self._high - self._low + 1)
        chunk = offset >> CHUNK_BITS
        bits = self._chunks.get(chunk, 0) >> (offset & 1023)
        if bits:
            return self._base + offset + _lowest(bits)
        later = self._filled >> (chunk + 1)
        chunk = chunk + 1 + _lowest(later) if later else _lowest(self._filled)
        return self._base + (chunk << CHUNK_BITS) + _lowest(self._chunks[chunk])


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1
