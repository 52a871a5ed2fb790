"""The lab of guests_inside.py: two hosts, and a store of volumes with its target daemon that both reach."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guests.libvirt import LibvirtHypervisor
from guests.libvirt_settings import LibvirtSettings
from storage.volumes import Access, Chap, Project
from storage.volumes.local import LocalVolumes
from storage.volumes.local_target import Tgt
from storage.volumes.local_view import FuseViews
from storage.volumes.settings import LocalSettings
from tests.volume_stores import AUTHORITY
from twinboot.commands.lab import CACHE
from twinboot.lab import guestkit, hypervisors, wires
from twinboot.lab.guestrack import SPOTS, GuestRack

PORTAL = "192.168.78.1:3260"
INITIATORS = ("iqn.2026-11.test.twinboot:hv1", "iqn.2026-11.test.twinboot:hv2")
STRANGER = "iqn.2026-11.test.twinboot:stranger"
MIB = 2**20


class Lab:
    """The rack's hosts as the port sees them, and the store."""

    def __init__(self, rack: GuestRack, store: LocalVolumes) -> None:
        self.rack = rack
        self.store = store
        self.one, self.two = (self.host(number, spot) for number, spot in enumerate(SPOTS))
        self.project = Project("appl-1")

    def host(self, number: int, spot: hypervisors.Spot) -> LibvirtHypervisor:
        uri = self.rack.hypervisors[spot.name].uri
        return LibvirtHypervisor(LibvirtSettings(spot.name, uri, INITIATORS[number], spot.address))

    def let_in(self, *initiators: str, chap: Chap | None = None) -> None:
        volume = self.project.volume("vm-1")
        self.store.unexport(volume)
        self.store.export(volume, Access(initiators, chap))


@contextmanager
def opened() -> Iterator[Lab]:
    """Lay the wires, start the hosts and the store; take all of it down at the end."""
    kit = guestkit.build(CACHE)
    os.environ["PATH"] += f":/usr/sbin:/sbin:{kit.programs}"
    place = Path(tempfile.mkdtemp(prefix="tb-guests-"))
    place.chmod(0o755)
    with GuestRack(place, kit) as rack:
        wires.lay([["addr", "add", "192.168.78.1/24", "dev", "backend"]])
        for spot in SPOTS:  # the worst that may be drawn for it by lot: above that of any guest's tap
            wires.lay([["-n", spot.name, "link", "set", "up-be", "address", f"fe:ff:ff:ff:ff:{spot.address[-2:]}"]])
        for host in rack.hypervisors.values():
            host.start()
        settings = LocalSettings(place / "store", place / "run", AUTHORITY, PORTAL)
        targets = Tgt(settings.run_dir, PORTAL)
        store = LocalVolumes(settings, targets=targets)
        store.make_project(Project("appl-1"))
        for name, initiators in (("vm-1", INITIATORS), ("shut", (STRANGER,))):
            store.create(Project("appl-1").volume(name), 8 * MIB)
            store.export(Project("appl-1").volume(name), Access(tuple(initiators)))
        for host in rack.hypervisors.values():
            host.ready()
        yield Lab(rack, store)
        targets.stop()
        for info in store.volumes():
            FuseViews(settings.run_dir).down(info.name.domain)
    shutil.rmtree(place, ignore_errors=True)
