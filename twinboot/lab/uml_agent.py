"""Inside a guest: runs programs as told on the console, one JSON line each way. Standard library only.

    {"id": 1, "argv": [...], "env": {...}, "timeout_s": 5}      run to the end  -> {"id": 1, "code": 0, "out": "..."}
    {"id": 2, "argv": [...], "env": {...}, "log": "/mnt/..."}   start           -> {"id": 2, "pid": 123}
    {"id": 3, "pid": 123, "signal": 9}                          its whole group -> {"id": 3, "code": 0}
    {"id": 4, "wait": 123, "timeout_s": 5}                      its end         -> {"id": 4, "code": 0}

The console's line is short (4096 bytes): programs that say much write to a file below /mnt/lab. Each request has a
thread of its own, so one that hangs on a dead share leaves the console alive.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import termios
import threading
import tty
from typing import Any

OUT_MAX = 3000
_speaking = threading.Lock()
_started: dict[int, subprocess.Popen[bytes]] = {}


def say(answer: dict[str, Any]) -> None:
    """One line to the host."""
    with _speaking:
        os.write(1, json.dumps(answer).encode() + b"\n")


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do what a request says."""
    if "signal" in request:
        os.killpg(request["pid"], request["signal"])
        return {"code": 0}
    if "wait" in request:
        return {"code": _started[request["wait"]].wait(request["timeout_s"])}
    argv, environment = request["argv"], {**os.environ, **request.get("env", {})}
    if "log" in request:
        with open(request["log"], "ab") as log:
            process = subprocess.Popen(
                argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        _started[process.pid] = process
        return {"pid": process.pid}
    done = subprocess.run(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=request["timeout_s"],
        check=False,
    )
    return {"code": done.returncode, "out": done.stdout.decode(errors="replace")[-OUT_MAX:]}


def serve(request: dict[str, Any]) -> None:
    """Answer a request, whatever comes of it."""
    try:
        told = answer(request)
    except (OSError, KeyError, subprocess.SubprocessError) as error:
        told = {"code": -1, "out": f"{type(error).__name__}: {error}"}
    say({"id": request["id"], **told})


def main() -> None:
    """Read requests until the console closes."""
    with contextlib.suppress(termios.error):  # a pipe needs no setting
        tty.setraw(0)
    say({"id": 0, "code": 0})
    for line in sys.stdin.buffer:
        if line.strip():
            threading.Thread(target=serve, args=(json.loads(line),), daemon=True).start()


if __name__ == "__main__":
    main()
