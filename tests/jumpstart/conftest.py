import struct
from collections.abc import Callable

import pytest


def make_elf(modinfo: bytes) -> bytes:
    """The smallest ELF that holds a `.modinfo` section: a header, three sections, their names."""
    names = b"\0.modinfo\0.shstrtab\0"
    body = modinfo + names
    table_at = 64 + len(body)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, table_at, 0, 64, 0, 0, 64, 3, 2)
    sections = ((0, 0, 0), (1, 64, len(modinfo)), (10, 64 + len(modinfo), len(names)))
    table = b"".join(struct.pack("<IIQQQQIIQQ", name, 1, 0, 0, at, size, 0, 0, 0, 0) for name, at, size in sections)
    return header + body + table


@pytest.fixture
def elf() -> Callable[..., bytes]:
    def build(*strings: str) -> bytes:
        return make_elf(b"".join(text.encode() + b"\0" for text in strings))

    return build
