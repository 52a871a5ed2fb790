"""The embedded store: qcow2 overlays shown raw by qemu-storage-daemon and exported by tgtd. No root, no kernel modules.

Every verb decides under the book's lock, on facts read under it; copies that take long are made before, beside
everything else, and are judged again when they are ready. What is exported is written in the book first and made to
stand then, so that `tend`, after whatever crash, knows what is missing.

Where /dev/fuse is not to be had, layers are raw files and every snapshot and clone is a sparse copy: slower, and each
takes its own space. `caveat` says so. Both kinds of volume may lie in one store.
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from storage.volumes import forecast, judge, local_image
from storage.volumes.forecast import Sample
from storage.volumes.local_book import Book, Card, Kept, Step
from storage.volumes.local_exports import Exports
from storage.volumes.local_target import Standing, Targets, Tgt
from storage.volumes.local_tools import os_failed
from storage.volumes.local_view import FuseViews, Views
from storage.volumes.names import Name, Project, Snapshot, Volume, iqn_authority
from storage.volumes.port import (
    Access,
    Export,
    Outcome,
    Progress,
    Usage,
    VolumeInfo,
    VolumesError,
    check_access,
    check_size,
)
from storage.volumes.settings import LocalSettings

SNAPSHOT_MODE = 0o400
NO_FUSE = "/dev/fuse cannot be opened here: snapshots and clones are full copies, and take their own space"


def _nothing(_: str) -> None:
    """Nobody listens."""


class LocalVolumes:
    """A store in a directory of this machine."""

    def __init__(
        self,
        settings: LocalSettings,
        *,
        views: Views | None = None,
        targets: Targets | None = None,
        step: Step = _nothing,
        now: Callable[[], float] = time.time,
    ) -> None:
        authority = iqn_authority(settings.authority)
        settings = settings._replace(run_dir=settings.run_dir.absolute())
        self._views = views or FuseViews(settings.run_dir)
        targets = targets or Tgt(settings.run_dir, settings.portal)
        self._step = step
        self._now = now
        self.thin = self._views.usable()
        self.caveat = "" if self.thin else NO_FUSE
        try:
            settings.root.mkdir(parents=True, exist_ok=True)
            self._book = Book(settings.root.resolve(), step)
        except OSError as error:
            raise os_failed(error, settings.root) from error
        self._exports = Exports(self._book, authority, self._views, targets)
        self.location = str(self._book.root)

    def make_project(self, project: Project) -> None:
        """Make its directory."""
        with self._book.lock():
            if project in self._book.projects():
                raise VolumesError(Outcome.EXISTS, f"{project}: it is there already")
            self._book.make_project(project)

    def create(self, volume: Volume, size_bytes: int) -> None:
        """Make an empty layer."""
        check_size(size_bytes)

        def build(place: Path) -> Card:
            layer = f"layer-0.{self._form}"
            local_image.create(place / layer, size_bytes)
            return Card(volume, size_bytes, layer, (layer,))

        self._appear(volume, build)

    def load(self, volume: Volume, image: Path, progress: Progress | None = None) -> None:
        """Convert the image into a layer."""
        image = image.absolute()  # `nbd:host` may be a file's name, but to QEMU it is an address
        form = local_image.stranger(image)

        def build(place: Path) -> Card:
            layer = f"layer-0.{self._form}"
            size_bytes = local_image.convert(image, form, place / layer, progress)
            return Card(volume, size_bytes, layer, (layer,))

        self._appear(volume, build)

    def clone(self, snapshot: Snapshot, volume: Volume) -> None:
        """Make a layer on top of the snapshot's, or a copy of it."""

        def build(place: Path) -> Card:
            judge.the_origin(snapshot, self._book.disks())
            parent = self._book.card(snapshot.parent)
            below = next((kept.layer for kept in parent.kept if kept.name == snapshot), "") if parent else ""
            if parent is None or not below:
                raise VolumesError(Outcome.NOT_FOUND, f"{snapshot}: it has just been destroyed")
            layer = f"layer-0.{self._form}"
            if self.thin:
                base = f"../../{snapshot.project}/{snapshot.volume}/{below}"
                local_image.overlay(place / layer, base, parent.size_bytes)
            else:
                source = self._book.place(snapshot.parent) / below
                local_image.convert(source, local_image.form_of(below), place / layer, None)
            return Card(volume, parent.size_bytes, layer, (layer,), (), snapshot)

        self._appear(volume, build)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Freeze the head and go on in a layer above it; or copy the head."""
        volume = snapshot.parent
        with self._book.lock():
            cards = self._cards()
            judge.may_snapshot(snapshot, _disks(cards), self._exports.users(volume))
            card = cards[volume]
            self._book.sweep(volume.parent)
            self._exports.withdraw(card)
            try:
                card = self._frozen(card, snapshot)
                self._book.update(card)
            finally:
                self._exports.stand(card)

    def export(self, volume: Volume, access: Access) -> Export:
        """Write it in the book, then make it stand; undone if that fails."""
        wanted = check_access(access)
        with self._book.lock():
            cards = self._cards()
            judge.may_export(volume, _disks(cards), wanted)
            self._exports.one_secret(cards, wanted)
            before, card = cards[volume], cards[volume]._replace(access=wanted)
            if before != card:
                self._book.update(card)
            try:
                self._exports.stand(card)
            except VolumesError:
                if before != card:
                    self._exports.withdraw(card)
                    self._book.update(before)
                raise
            return self._exports.exported(card, wanted)

    def unexport(self, volume: Volume) -> None:
        """Let the target daemon decide whether it can go; then write it in the book."""
        with self._book.lock():
            cards = self._cards()
            judge.the_disk(volume, _disks(cards))
            judge.not_busy(volume, self._exports.users(volume), "shut the guest down first")
            self._exports.withdraw(cards[volume])
            if cards[volume].access:
                self._book.update(cards[volume]._replace(access=None))

    def destroy(self, name: Name) -> None:
        """Remove it from the book, then from the disk."""
        with self._book.lock():
            cards = self._cards()
            if self._book.faults:
                raise VolumesError(Outcome.UNAVAILABLE, f"nothing is destroyed now: {self._book.faults[0]}")
            judge.may_destroy(name, self._book.projects(), _disks(cards))
            if isinstance(name, Project):
                self._book.drop_project(name)
                return
            self._book.sweep(Project(name.project))
            if isinstance(name, Snapshot):
                self._book.update(_without(cards[name.parent], name))
                self._book.sweep(Project(name.project))
            else:
                self._exports.withdraw(cards[name])
                self._book.drop(name)

    def usage(self, project: Project | None = None) -> Usage:
        """Blocks that the layers take; a volume may grow until its head has them all."""
        cards = self._cards(project)
        own = size = promised = 0
        for name, card in cards.items():
            own += self._own_bytes(card)
            size += card.size_bytes
            promised += max(0, card.size_bytes - local_image.taken_bytes(self._book.place(name) / card.head))
        space = os.statvfs(self._book.root)
        free = space.f_bavail * space.f_frsize
        full_in_s = forecast.full_in_s(self._book.samples(), free)
        return Usage(own, size, promised, free, space.f_blocks * space.f_frsize, full_in_s)

    def projects(self) -> list[Project]:
        """All projects."""
        return self._book.projects()

    def volumes(self, project: Project | None = None) -> list[VolumeInfo]:
        """All volumes that can be read."""
        cards = self._cards(project)
        standing = self._exports.standing(cards.values())
        return [self._info(card, standing) for card in cards.values()]

    def faults(self) -> tuple[str, ...]:
        """Volumes that cannot be read, a line each."""
        self._book.cards()
        return self._book.faults

    def tend(self) -> tuple[str, ...]:
        """Make stand what should, end what should not, and remove what crashed commands left."""
        with self._book.lock():
            cards = self._book.cards()
            for project in self._book.projects():
                self._book.sweep(project)
            done = self._exports.tend(cards.values())
            samples = self._book.samples()
            if forecast.due(samples, self._now()):
                own_bytes = sum(self._own_bytes(card) for card in cards.values())
                with contextlib.suppress(OSError):  # a full disk is told by those who need more than a forecast
                    self._book.keep_samples(forecast.added(samples, Sample(int(self._now()), own_bytes)))
            return done

    def _appear(self, volume: Volume, build: Callable[[Path], Card]) -> None:
        """Make a volume beside everything else, and let it appear if its name is still free."""
        judge.may_create(volume, self._book.projects(), self._book.disks())
        with self._book.workshop(volume.parent) as place:
            card = build(place)
            self._step("layer made")
            with self._book.lock():
                judge.may_create(volume, self._book.projects(), self._book.disks())
                if card.origin:
                    judge.the_origin(card.origin, self._book.disks())
                self._book.publish(place, card)

    def _frozen(self, card: Card, snapshot: Snapshot) -> Card:
        place = self._book.place(card.name)
        if self.thin:
            layer = card.next_layer("qcow2")
            local_image.overlay(place / layer, card.head, card.size_bytes)
            (place / card.head).chmod(SNAPSHOT_MODE)
            kept = Kept(snapshot, card.head, below=True)
            head = layer
        else:
            layer = card.next_layer("raw")
            local_image.convert(place / card.head, local_image.form_of(card.head), place / layer, None)
            (place / layer).chmod(SNAPSHOT_MODE)
            kept = Kept(snapshot, layer, below=False)
            head = card.head
        self._step("layer made")
        return card._replace(head=head, layers=(*card.layers, layer), kept=(*card.kept, kept))

    def _info(self, card: Card, standing: Mapping[str, Standing]) -> VolumeInfo:
        found = standing.get(self._exports.iqn(card.name))
        export = self._exports.exported(card, card.access) if card.access else None
        snapshots = tuple(kept.name for kept in card.kept)
        users = found.users if found else ()
        return VolumeInfo(card.name, card.size_bytes, self._own_bytes(card), card.origin, snapshots, export, users)

    def _own_bytes(self, card: Card) -> int:
        place = self._book.place(card.name)
        return sum(local_image.taken_bytes(place / layer) for layer in card.layers)

    def _cards(self, project: Project | None = None) -> dict[Volume, Card]:
        if project is not None:
            judge.the_project(project, self._book.projects())
        return self._book.cards(project)

    @property
    def _form(self) -> str:
        return "qcow2" if self.thin else "raw"


def _disks(cards: dict[Volume, Card]) -> dict[Volume, judge.Disk]:
    return {name: card.disk for name, card in cards.items()}


def _without(card: Card, snapshot: Snapshot) -> Card:
    """The card without the snapshot; a layer that the head stands on stays, and goes with the volume."""
    kept = tuple(one for one in card.kept if one.name != snapshot)
    copies = {one.layer for one in card.kept if one.name == snapshot and not one.below}
    return card._replace(kept=kept, layers=tuple(layer for layer in card.layers if layer not in copies))
