"""The cluster lab: two install servers with the real NFS client, one storage pair, a place for clients.

    public switch  (fe)  10.98.0.0/16   clients 10.98.0.1, odd 10.98.0.11, even 10.98.0.12
    backend switch (be)  10.77.1.0/24   storage 10.77.1.10 (either head), odd .11, even .12

Servers are User Mode Linux guests, storage heads and clients are network namespaces. Everything is inside one
`Enclosure`, whose end is the end of it all.
"""

from __future__ import annotations

import os
import sys
from itertools import cycle
from pathlib import Path
from types import TracebackType

from twinboot.lab import kit as programs
from twinboot.lab import wires
from twinboot.lab.enclosure import Enclosure
from twinboot.lab.isolate import LabError
from twinboot.lab.nfs import Storage
from twinboot.lab.uml import Card, Guest

__all__ = ["CLIENTS", "SUBNET", "Cluster", "obstacle"]

SUBNET = "10.98.0.0/16"
CLIENTS = "clients"
CLIENTS_ADDRESS = "10.98.0.1/16"
STORAGE_ADDRESS = "10.77.1.10"
METRONOME = Path(__file__).with_name("metronome.py")
HEADS = ("store-odd", "store-even")
SERVERS = {"odd": 11, "even": 12}
"""Name of each install server -> the last part of its addresses."""


def obstacle() -> str:
    """Why this machine cannot run the lab, in one line; empty if it can."""
    if os.geteuid() != 0:
        return "the cluster lab needs root: its NFS server opens files by handle, and its disks are loop devices"
    for device in ("/dev/net/tun", "/dev/loop-control"):
        if not os.access(device, os.R_OK | os.W_OK):
            return f"the cluster lab needs {device}: `modprobe {'tun' if 'tun' in device else 'loop'}`"
    return ""


class Cluster:
    """The whole lab below `place`. A context manager: inside, storage serves and both guests are up."""

    def __init__(self, place: Path, cache: Path) -> None:
        self.place = place
        self._kit = programs.build(cache)
        self.enclosure = Enclosure()
        self.storage = Storage(self.enclosure, self._kit, place, STORAGE_ADDRESS, HEADS)
        processors = cycle(sorted(os.sched_getaffinity(0)))
        self.guests = {name: self._guest(name, last, next(processors)) for name, last in SERVERS.items()}

    def _guest(self, name: str, last: int, processor: int) -> Guest:
        fe = Card(f"{name}-fe", "fe", f"10.98.0.{last}/16", f"02:00:0a:62:00:{last}")
        be = Card(f"{name}-be", "be", f"10.77.1.{last}/24", f"02:00:0a:4d:01:{last}")
        return Guest(self.enclosure, self._kit, name, fe, be, self.place, processor)

    def __enter__(self) -> Cluster:
        """Lay the wires, start the storage, boot the guests. LabError when something does not come up."""
        why = obstacle()
        if why:
            raise LabError(why)
        self.enclosure.__enter__()
        try:
            self._lay_wires()
            self.enclosure.start([sys.executable, "-S", str(METRONOME), wires.ROLES["be"]])
            self.storage.make_disks()
            self.storage.start()
            self.power_on(*self.guests.values())
        except BaseException:
            self.enclosure.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """End everything."""
        for guest in self.guests.values():
            guest.cut_power()
        self.storage.kill()
        self.enclosure.__exit__(kind, value, tb)

    def power_on(self, *guests: Guest) -> None:
        """Boot guests, all at once."""
        for guest in guests:
            guest.power_on()
        for guest in guests:
            guest.await_boot()

    def mount(self, guest: Guest, version: str, export: str = "share", target: str = "/mnt/share") -> None:
        """Mount an export in a guest, with the options that docs/cluster-lab.md recommends."""
        guest.mount(f"{STORAGE_ADDRESS}:/{export}", target, version, "actimeo=1,lookupcache=none")

    def _lay_wires(self) -> None:
        heads = [wires.Server(head, {"be": f"{STORAGE_ADDRESS}/24"}) for head in HEADS]
        clients = wires.Server(CLIENTS, {"fe": CLIENTS_ADDRESS})
        plugs = [wires.Plug(card.tap, card.role) for guest in self.guests.values() for card in (guest.fe, guest.be)]
        for step in wires.plan([*heads, clients], plugs):
            self.enclosure.run("ip", *step)
        self.enclosure.run("ip", "link", "set", "be0", "down", namespace=HEADS[1])
