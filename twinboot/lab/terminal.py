"""A terminal for a program that needs one, with what it shows in a file, so that people and tests can read it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

CHUNK_BYTES = 4096
END_TIMEOUT_S = 5.0


class Terminal:
    """A program on a pseudo-terminal of its own; `close` hangs up."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], shown: Path) -> None:
        self._ours, theirs = os.openpty()
        self._process = subprocess.Popen(
            argv,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment, "TERM": "dumb"},
            start_new_session=True,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._copy, args=(shown,), daemon=True)
        self._reader.start()

    def type(self, text: str) -> None:
        """Type it."""
        os.write(self._ours, text.encode())

    def close(self) -> None:
        """End the program and wait for the last of what it showed."""
        self._process.terminate()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(END_TIMEOUT_S)
        os.close(self._ours)

    def _copy(self, shown: Path) -> None:
        with shown.open("ab", buffering=0) as file:
            while True:
                try:
                    data = os.read(self._ours, CHUNK_BYTES)
                except OSError:  # EIO: nobody has the other end open any more
                    return
                if not data:
                    return
                file.write(data)
