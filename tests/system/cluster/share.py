"""Bindings as the share's files hold them, read by a third party: docs/records.md and docs/twinlog.md in few lines.

Run by the storage's owner on its disk: `python share.py DIRECTORY TABLE` prints {address: [client id, end]} as JSON.
"""

import json
import re
import sys
import zlib
from pathlib import Path

NUMBERED = re.compile(r"(\d{12})\.(log|snap)")


def bindings(folder: Path, table: str) -> dict[str, tuple[str, int]]:
    """address -> (client id, end of lease) of a network's table."""
    log = folder / ".twinlog"
    rows = _twinlog(log, table) if log.is_dir() else _container(folder / f"SUNWfiles1_{table.replace('.', '_')}")
    return {row[0]: (row[1], int(row[4])) for row in rows if row[1] != "00"}


def _container(path: Path) -> list[list[str]]:
    return [line.split("|") for line in path.read_text().splitlines() if line and not line.startswith("#")]


def _twinlog(log: Path, table: str) -> list[list[str]]:
    found = [(match, path) for path in log.iterdir() if (match := NUMBERED.fullmatch(path.name))]
    batches = sorted((int(match[1]), path) for match, path in found if match[2] == "log")
    snapshots = sorted((int(match[1]), path) for match, path in found if match[2] == "snap")
    at, rows = 0, {}
    for number, path in reversed(snapshots):
        lines = _whole(path)
        if lines is not None:
            at = number
            rows = {line.partition("|")[0]: line for line in _section(lines, table)}
            break
    for number, path in batches:
        if number <= at:
            continue
        lines = _whole(path)
        assert number == at + 1, f"{path.name} follows {at}: a batch is missing"
        assert lines is not None, f"{path.name} is torn"
        at = number
        for line in _section(lines, table):
            mark, _, row = line.partition(" ")
            address = row.partition("|")[0]
            if mark == "-":
                rows.pop(address, None)
            elif row:
                rows[address] = row
    return [row.split("|") for row in rows.values()]


def _whole(path: Path) -> list[str] | None:
    data = path.read_bytes()
    body, mark, crc = data[:-13], data[-13:-9], data[-9:-1]
    if mark != b"end " or zlib.crc32(body) != int(crc, 16):
        return None
    return body.decode().splitlines()


def _section(lines: list[str], table: str) -> list[str]:
    inside, found = False, []
    for line in lines[1:]:
        if line.startswith("["):
            inside = line == f"[{table}]"
        elif inside:
            found.append(line)
    return found


if __name__ == "__main__":
    print(json.dumps(bindings(Path(sys.argv[1]), sys.argv[2])))
