"""One of two servers that commit to one twinlog as fast as they can: `cluster_race.py DIR NAME HALF ROWS BATCH S`.

Run twice at once, on one host or on two, with HALF 0 and 1. Each commits batches of BATCH rows, of its own half of
ROWS, so that they contend for the log's next number and for nothing else. A line of JSON tells how long commits took.
"""

import json
import sys
import time
from itertools import islice

from cluster_watch import Took, Watched, summary

from storage.records import FREE_ID, Binding, Change, Outcome, ipv4_int
from storage.records.files import LocalFiles
from storage.records.twinlog import TwinLog

TABLE = "10.64.0.0"
WARM_UP_S = 0.5


def lay(folder: str, rows: int) -> None:
    """Make the log and its rows."""
    log = TwinLog(LocalFiles(folder))
    log.create(TABLE)
    first = ipv4_int(TABLE) + 1
    log.commit([Change(TABLE, None, Binding(first + n, FREE_ID, 0, 1, 0, 0, "", "")) for n in range(rows)])


def race(folder: str, name: str, half: int, batch: int, seconds: float) -> dict[str, object]:
    """Commit until time is up."""
    files = Watched(folder)
    log = TwinLog(files, server=name, clock=files)
    mine = [row for row in log.read(TABLE).rows if isinstance(row, Binding)][half::2]
    at, collisions, lease_s = 0, 0, 1
    took: list[Took] = []
    ends = time.monotonic() + seconds
    began_at = time.monotonic() + WARM_UP_S
    cpu_s = 0.0
    while (began := time.monotonic()) < ends:
        lease_s += 1
        some = [*islice(mine, at, at + batch)]
        files.begin()
        results = log.commit([Change(TABLE, row, row._replace(lease_s=lease_s)) for row in some])
        if began > began_at:
            took.append(files.end())
        else:
            cpu_s = time.process_time()
        for offset, result in enumerate(results):
            if isinstance(result.row, Binding) and result.outcome is Outcome.STORED:
                mine[at + offset] = result.row
            else:
                collisions += 1
        at = (at + batch) % (len(mine) - batch + 1)
        log.tend()
    return {
        "commits/s": len(took) / (seconds - WARM_UP_S),
        **summary(took),
        "cpu ms/commit": (time.process_time() - cpu_s) / len(took) * 1e3,
        "collisions": collisions,
    }


if __name__ == "__main__":
    folder, name, half, rows, batch, seconds = sys.argv[1:]
    if name == "lay":
        lay(folder, int(rows))
    else:
        print(json.dumps(race(folder, name, int(half), int(batch), float(seconds))))
