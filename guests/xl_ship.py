"""Shipping a guest's memory from one host to another, through this machine."""

import subprocess
import time
from collections.abc import Sequence

from guests.hypervisor import Progress
from guests.xl_files import DEADLINE_S

MOVE_DEADLINE_S = 1800.0
PIECE_BYTES = 1 << 20


def ship(source: Sequence[str], target: Sequence[str], size_bytes: int, progress: Progress | None) -> None:
    """Pipe one command into the other. OSError when either fails or it takes too long."""
    deadline = time.monotonic() + MOVE_DEADLINE_S
    reader = subprocess.Popen(source, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    writer = subprocess.Popen(target, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert reader.stdout is not None
    assert writer.stdin is not None
    done = 0
    try:
        with writer.stdin as out:
            while piece := reader.stdout.read(PIECE_BYTES):
                out.write(piece)
                done += len(piece)
                if progress:
                    progress(min(done, size_bytes), size_bytes)
                if time.monotonic() > deadline:
                    raise OSError(f"it takes longer than {MOVE_DEADLINE_S:g} s")
        codes = (reader.wait(DEADLINE_S), writer.wait(DEADLINE_S))
    except subprocess.TimeoutExpired as error:
        raise OSError("the other host does not end") from error
    finally:
        for process in (reader, writer):
            process.kill()
            process.wait()
    if any(codes) or done != size_bytes:
        raise OSError(f"{done} of {size_bytes} bytes arrived")
