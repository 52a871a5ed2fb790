"""netascii, the mode that people's `tftp` commands ask for when nobody says `binary`.

The text travels as RFC 764 (Telnet) has it: a line ends in CR LF, a lone CR is CR NUL. It is converted in
memory and in whole, so that tsize is right and a repeated block is the same block; therefore it is for texts
of modest size. Firmware asks for octet.
"""

from __future__ import annotations

import os

from pxe.content import Content, FileContent, TextContent
from pxe.tftp_wire import Mode
from pxe.tree import close

MAX_NETASCII_BYTES = 256 << 10  # converted in memory; what is larger is no text for a person


class TooLarge(Exception):  # noqa: N818 - says what the file is
    """The file is not converted; the text says what to do instead."""


def in_mode(content: Content, mode: Mode) -> tuple[Content, int]:
    """The content as this mode sends it, and its size in bytes. A converted file is closed.

    Raises TooLarge or OSError; then the content is still the caller's.
    """
    size = content.size if isinstance(content, FileContent) else len(content.data)
    if mode is Mode.OCTET:
        return content, size
    if size > MAX_NETASCII_BYTES:
        raise TooLarge(f"{size} bytes are too many for netascii: ask in octet mode (`mode octet`, `binary`)")
    plain = os.pread(content.fd, size, 0) if isinstance(content, FileContent) else content.data
    data = plain.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")
    close(content)
    return TextContent(data, content.name), len(data)
