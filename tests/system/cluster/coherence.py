"""What one guest does and sees on the share: `python coherence.py ROLE FOLDER START ROUNDS` prints JSON.

Both guests' clocks are this machine's, so times compare. Rounds begin at START + n * ROUND_S.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROUND_S = 0.25
POLL_S = 0.01


def put(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    fd = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.write(fd, text.encode())
    os.fsync(fd)
    os.close(fd)
    new.rename(path)


def write(folder: Path, start: float, rounds: int) -> list[float]:
    """Each round a file is replaced by rename, and a new name appears; when that was done."""
    done = []
    for number in range(rounds):
        sleep_until(start + number * ROUND_S)
        put(folder / "file", str(number))
        put(folder / f"name.{number}", "")
        done.append(time.time())
    return done


def watch(folder: Path, start: float, rounds: int) -> list[tuple[float, float]]:
    """When each round's content was read after an open, and when its name was listed."""
    seen = []
    for number in range(rounds):
        sleep_until(start + number * ROUND_S)
        end = start + (number + 1) * ROUND_S
        seen.append((until(end, partial(is_read, folder, number)), until(end, partial(is_listed, folder, number))))
    return seen


def is_read(folder: Path, number: int) -> bool:
    return (folder / "file").read_text() == str(number)


def is_listed(folder: Path, number: int) -> bool:
    return f"name.{number}" in os.listdir(folder)


def create(folder: Path, start: float, rounds: int) -> list[int]:
    """Rounds in which this guest made the file that the other one tried to make too."""
    return race(start, rounds, lambda n: os.close(os.open(folder / f"excl.{n}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)))


def link(folder: Path, start: float, rounds: int) -> list[int]:
    """Rounds in which this guest's link was the first."""
    own = folder / f"own.{os.uname().nodename}"
    own.write_text("")
    return race(start, rounds, lambda n: os.link(own, folder / f"link.{n}"))


def race(start: float, rounds: int, attempt: Callable[[int], None]) -> list[int]:
    won = []
    for number in range(rounds):
        sleep_until(start + number * ROUND_S / 4)
        try:
            attempt(number)
            won.append(number)
        except FileExistsError:
            pass
    return won


def until(end: float, holds: Callable[[], bool]) -> float:
    while time.time() < end:
        try:
            if holds():
                return time.time()
        except OSError:
            pass  # between two names of a rename
        time.sleep(POLL_S)
    return -1.0


def sleep_until(when: float) -> None:
    time.sleep(max(0.0, when - time.time()))


if __name__ == "__main__":
    role = {"write": write, "watch": watch, "create": create, "link": link}[sys.argv[1]]
    print(json.dumps(role(Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))))
