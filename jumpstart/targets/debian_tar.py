"""A tar archive (POSIX ustar) of a few texts, the same bytes for the same texts: owner root, no dates, names sorted."""

import io
import tarfile
from collections.abc import Mapping
from typing import NamedTuple


class File(NamedTuple):
    """A text with its mode; with `link` a symbolic link to that instead; with `directory` a directory."""

    text: str = ""
    mode: int = 0o644
    link: str = ""
    directory: bool = False


def archive(entries: Mapping[str, File]) -> bytes:
    """The archive of these paths (relative, no leading slash). Directories that have no entry keep what they are."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, file in sorted(entries.items()):
            member = tarfile.TarInfo(name)
            member.mode = file.mode
            data = b""
            if file.directory:
                member.type = tarfile.DIRTYPE
            elif file.link:
                member.type, member.linkname = tarfile.SYMTYPE, file.link
            else:
                data = file.text.encode()
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()
