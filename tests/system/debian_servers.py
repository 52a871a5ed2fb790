"""Scenario of test_debian_install: the server that sends the root archive is killed, the other ends the install.

Run by hand as root: `python tests/system/debian_servers.py RESULT.json`, with the image of `debian_install.py image`.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from twinboot import journal
from twinboot.commands.lab import CACHE
from twinboot.lab import console, isolate
from twinboot.lab.failover_pair import ADDRESSES, Pair, Server

DISK_MIB = 4096
TIMEOUT_S = 600.0


def events(server: Server, kind: str) -> list[dict[str, Any]]:
    rows = journal.read(journal.open_reader(server.journal), journal.Query()) if server.journal.exists() else []
    return [dict(row) for row in rows if row["kind"] == kind]


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def set_up(pair: Pair) -> None:
    pair.set_up()
    shutil.copytree(CACHE / "boot", pair.share / "boot", dirs_exist_ok=True)
    disks = tuple(pair.share.parent / f"hv1-{half}.raw" for half in "ab")
    for disk in disks:
        with disk.open("wb") as file:
            file.truncate(DISK_MIB << 20)
    pair.machine.spec = replace(pair.machine.spec, firmware="uefi", cpus=2, mirror=disks)
    odd = pair.servers["odd"]
    mac = pair.machine.spec.cards[0].mac
    odd.twinboot("host", "add", "hv1", "--mac", f"fe0={mac}", "--target", "debian", "--dom0-mem", "512M")
    host = pair.share / "hosts" / "hv1.toml"
    host.write_text('root_mirror = ["virtio-hv1-a", "virtio-hv1-b"]\n' + host.read_text())
    for server in pair.servers.values():
        print(server.serve(), flush=True)
    print(odd.twinboot("install", "hv1"), flush=True)


def play(result: Path) -> None:
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="twinboot-lab-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        with Pair(folder) as pair:
            set_up(pair)
            began = time.monotonic()
            pair.machine.power_on()

            def sender() -> Server | None:
                for server in pair.servers.values():
                    if any(str(one["file"]).endswith("root.tar.zst") for one in events(server, "http.start")):
                        return server
                return None

            until(lambda: sender() is not None)
            killed = sender()
            assert killed, console.lines(pair.machine.serial)
            time.sleep(3)  # some of the archive is on the disk
            killed.kill()
            survivor = next(one for one in pair.servers.values() if one is not killed)
            told["killed"], told["killed_s"] = killed.name, round(time.monotonic() - began, 1)
            print(f"{told['killed_s']} s: {killed.name} is dead", flush=True)
            until(lambda: not pair.machine.running() or bool(console.find(pair.machine.serial, "TWINBOOT: FAILED")))
            told["rebooted"], told["reboot_s"] = not pair.machine.running(), round(time.monotonic() - began, 1)
            told["console"] = [line for line in console.lines(pair.machine.serial) if line.strip()][-40:]
            print(f"{told['reboot_s']} s: reboot", *told["console"], sep="\n", flush=True)
            if told["rebooted"]:
                pair.machine.power_on()
                until(lambda: bool(events(survivor, "report.received")))
            told["reports"] = events(survivor, "report.received")
            told["report_s"] = round(time.monotonic() - began, 1)
            told["addresses"] = ADDRESSES
    result.write_text(json.dumps(told, indent=1))
    print(json.dumps(told["reports"], indent=1), flush=True)


if __name__ == "__main__":
    if isolate.inside():
        play(Path(sys.argv[1]))
    else:
        sys.exit(isolate.run([sys.executable, *sys.argv]))
