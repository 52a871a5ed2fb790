"""Which directories are on another machine's disk, and so may stop answering."""

import ctypes
import os
from pathlib import Path
from typing import Final

REMOTE: Final = {
    0x00006969: "nfs",
    0x0000517B: "smb",
    0xFF534D42: "cifs",
    0xFE534D42: "smb2",
    0x65735546: "fuse",
    0x01021997: "9p",
    0x00C36400: "ceph",
    0x5346414F: "afs",
    0x6B414653: "kafs",
    0x73757245: "coda",
    0x0BD00BD0: "lustre",
    0x47504653: "gpfs",
    0x19830326: "beegfs",
    0x7461636F: "ocfs2",
    0x01161970: "gfs2",
    0x00C0FFEE: "hostfs",
}
"""`f_type` of statfs(2) and the name of the file system. FUSE may be local, but nobody can tell from outside."""

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_STATFS_BYTES: Final = 256  # more than the structure has on any machine; `f_type` is its first word
_WORD_BYTES: Final = ctypes.sizeof(ctypes.c_long)


def remote_kind(path: str | Path) -> str:
    """Name of the network file system that holds `path`; empty for a local one. OSError if it is not there.

    It asks the file system, so it can hang with it: to be called before anything is served.
    """
    answer = ctypes.create_string_buffer(_STATFS_BYTES)
    if _LIBC.statfs(os.fsencode(path), answer) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), os.fspath(path))
    word = ctypes.c_long.from_buffer(answer).value
    return REMOTE.get(word & 0xFFFFFFFF, "")
