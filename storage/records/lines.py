"""The lines of a container in file order, cheap to edit and to put together again.

A file of 15 000 rows is written for every batch of changes. Joining 15 000 small pieces costs milliseconds, so lines
live in blocks, each remembering its joined bytes; an edit joins one block anew, and the file is the blocks in order.
The same blocks make rereading cheap: one found unchanged in the new bytes needs no look at its lines.

Renewed rows move to the end of the file, so it is ordered by age, and the rows renewed next are neighbours: a batch
mostly touches one old block and the last one.
"""

from collections.abc import Iterator
from typing import Final

from storage.records.rows import Key

BLOCK_LINES = 64
"""A batch of new leases falls anywhere in the file, so it touches about as many blocks as it has rows: small ones are
cheap to join, and even 65 000 rows make only a thousand."""

SPARE_BLOCKS: Final = 8


class Lines:
    """Lines by key, without their line feeds. A `copy` and its original may both be edited."""

    def __init__(self) -> None:
        self._blocks: list[dict[Key, bytes]] = []
        self._texts: list[bytes | None] = []
        self._place: dict[Key, int] = {}
        self._owned: set[int] = set()
        self._made = 0

    def __len__(self) -> int:
        return len(self._place)

    def items(self) -> Iterator[tuple[Key, bytes]]:
        """Keys and lines in file order."""
        for block in self._blocks:
            yield from block.items()

    def copy(self) -> "Lines":
        """The same lines; blocks are shared until they change."""
        twin = Lines()
        self._owned.clear()
        twin._blocks = self._blocks.copy()
        twin._texts = self._texts.copy()
        twin._place = self._place.copy()
        twin._made = self._made
        return twin

    def put(self, key: Key, line: bytes) -> None:
        """Set the line of a key: in its place if it has one, else at the end."""
        index = self._place.get(key)
        if index is None:
            index = len(self._blocks) - 1
            if index < 0 or len(self._blocks[index]) >= BLOCK_LINES:
                index = self._open_block()
            self._place[key] = index
        self._own(index)[key] = line
        self._texts[index] = None

    def put_last(self, key: Key, line: bytes) -> None:
        """Set the line of a key at the end, wherever it was."""
        blocks, texts, place, owned = self._blocks, self._texts, self._place, self._owned
        index = place.get(key)
        if index is not None:
            texts[index] = None
            if index not in owned:
                self._own(index)
            del blocks[index][key]
        last = len(blocks) - 1
        if last < 0 or len(blocks[last]) >= BLOCK_LINES:
            last = self._open_block()
        elif last not in owned:
            self._own(last)
        if index != last:
            place[key] = last
        blocks[last][key] = line
        texts[last] = None

    def put_stray(self, line: bytes) -> Key:
        """Append a line that is no row; its key, which no other line ever has."""
        self._made += 1
        self.put(-self._made, line)
        return -self._made

    def remove(self, key: Key) -> bytes:
        """Take a line out, and return it."""
        index = self._place.pop(key)
        self._texts[index] = None
        return self._own(index).pop(key)

    def pieces(self) -> list[bytes]:
        """All lines as the bytes of a file, block by block; thin blocks are merged first."""
        if len(self._blocks) > 2 * len(self) // BLOCK_LINES + SPARE_BLOCKS:
            lines = list(self.items())
            self._blocks, self._texts, self._place = [], [], {}
            self._owned.clear()
            for key, line in lines:
                self.put(key, line)
        return [self._text(index) for index in range(len(self._blocks))]

    def data(self) -> bytes:
        """All lines as the bytes of a file."""
        return b"".join(self.pieces())

    def matched(self, data: bytes) -> tuple["Lines", int, dict[Key, bytes]]:
        """These lines as far as they begin `data`, in order: what is left, bytes matched, and what dropped out.

        Made for the usual change, lines cut out and lines appended. Correct for every other one, though then much
        drops out.
        """
        kept = self.copy()
        dropped: dict[Key, bytes] = {}
        position = 0
        for index, block in enumerate(self._blocks):
            text = self._text(index)
            if data.startswith(text, position):
                position += len(text)
                continue
            for key, line in block.items():
                end = position + len(line)
                if data.startswith(line, position) and data[end : end + 1] == b"\n":
                    position = end + 1
                else:
                    dropped[key] = kept.remove(key)
        return kept, position, dropped

    def _open_block(self) -> int:
        self._blocks.append({})
        self._texts.append(None)
        self._owned.add(len(self._blocks) - 1)
        return len(self._blocks) - 1

    def _own(self, index: int) -> dict[Key, bytes]:
        if index not in self._owned:
            self._blocks[index] = self._blocks[index].copy()
            self._owned.add(index)
        return self._blocks[index]

    def _text(self, index: int) -> bytes:
        text = self._texts[index]
        if text is None:
            block = self._blocks[index]
            text = b"\n".join([*block.values(), b""])
            self._texts[index] = text
        return text
