"""Scenario of test_boot: a BIOS machine whose ROM gets no iPXE script installs through GRUB, all of it over TFTP.

Run by hand: `python tests/system/grub_bios.py RESULT.json` (root, or where user namespaces and /dev/net/tun allow).
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from twinboot import journal
from twinboot.commands.lab import CACHE
from twinboot.lab import demo, isolate
from twinboot.lab.rack import Rack, without_ipxe


def play(result: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="twinboot-lab-") as place:
        Path(place).chmod(0o755)
        plans = demo.PLANS[:1]
        with Rack(Path(place), plans) as rack:
            out = Console()
            demo.prepare(rack, plans, CACHE / "boot", out)
            without_ipxe(rack)
            watch = demo.Watch(rack, out)
            watch.power_on(["hv1"])
            watch.until(lambda: watch.view.machines["hv1"].phase == "done", ["hv1"])
            events = journal.read(journal.open_reader(rack.state / "journal.db"), journal.Query())
        result.write_text(json.dumps(events))


if __name__ == "__main__":
    if isolate.inside():
        play(Path(sys.argv[1]))
    else:
        sys.exit(isolate.run([sys.executable, *sys.argv]))
