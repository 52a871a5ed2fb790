"""What the local store knows, kept so that a crash between any two steps leaves what was or what was asked for.

    ROOT/.usage                        what all took, hour by hour; losing it loses the forecast and nothing else
    ROOT/.lock                         held for the moments in which something is decided
    ROOT/appl-1/                       a project
    ROOT/appl-1/vm-1/volume.json       a volume: its layers, snapshots, origin, and for whom it is exported
    ROOT/appl-1/vm-1/layer-0.qcow2     its layers; the head is the one that is written to
    ROOT/appl-1/.new-XXXX/             a volume being made: locked by its maker, removed once he is gone
    ROOT/appl-1/.old-XXXX/             a volume being removed

A verb prepares what nobody sees yet and ends in one rename: of a directory (a volume appears or goes), or over
volume.json (it changes). A layer that volume.json does not name does not exist; `sweep` removes it.

volume.json may hold a CHAP secret, so it is readable by its owner only. One that cannot be read hides its volume but is
never removed; while there is one, nothing is destroyed, because it may stand on what would go.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from storage.volumes import forecast
from storage.volumes.forecast import Sample
from storage.volumes.judge import Disk, Disks
from storage.volumes.local_image import sync
from storage.volumes.local_tools import os_failed
from storage.volumes.locking import held, locked
from storage.volumes.names import BadNameError, Project, Snapshot, Volume, parse_snapshot
from storage.volumes.port import Access, Chap

CARD = "volume.json"
USAGE = ".usage"
CARD_BYTES_MAX = 1 << 20
FORMAT = 1

Step = Callable[[str], None]


class Kept(NamedTuple):
    """One snapshot: its layer, and whether the head stands on that layer (else it is a copy of its own)."""

    name: Snapshot
    layer: str
    below: bool


class Card(NamedTuple):
    """One volume as volume.json has it. `layers` are all its files, `head` the one that is written to."""

    name: Volume
    size_bytes: int
    head: str
    layers: tuple[str, ...]
    kept: tuple[Kept, ...] = ()
    origin: Snapshot | None = None
    access: Access | None = None

    @property
    def disk(self) -> Disk:
        """What verdicts need of it."""
        return Disk(self.name, self.origin, tuple(one.name for one in self.kept), self.access)

    def next_layer(self, form: str) -> str:
        """A name that no layer of the volume has."""
        last = max(int(layer[len("layer-") : layer.rindex(".")]) for layer in self.layers)
        return f"layer-{last + 1}.{form}"


def render(card: Card) -> str:
    """The text of volume.json."""
    found = {
        "format": FORMAT,
        "size_bytes": card.size_bytes,
        "head": card.head,
        "layers": card.layers,
        "snapshots": [{"name": one.name.snapshot, "layer": one.layer, "below": one.below} for one in card.kept],
        "origin": str(card.origin) if card.origin else None,
        "export": {"initiators": card.access.initiators, "chap": card.access.chap} if card.access else None,
    }
    return json.dumps(found, indent=2) + "\n"


def parse(text: str, name: Volume) -> Card:
    """The card of a volume.json; ValueError, KeyError or TypeError when it is damaged."""
    found: dict[str, Any] = json.loads(text)
    if found["format"] != FORMAT:
        raise ValueError(f"format {found['format']} is not known to this version")
    layers = tuple(str(layer) for layer in found["layers"])
    kept = tuple(Kept(name.snapshot(one["name"]), one["layer"], bool(one["below"])) for one in found["snapshots"])
    if any("/" in layer for layer in layers) or not {found["head"], *(one.layer for one in kept)} <= set(layers):
        raise ValueError("it names layers that it does not have")
    origin = parse_snapshot(found["origin"]) if found["origin"] else None
    export = found["export"]
    chap = Chap(*export["chap"]) if export and export["chap"] else None
    access = Access(tuple(export["initiators"]), chap) if export else None
    return Card(name, int(found["size_bytes"]), found["head"], layers, kept, origin, access)


class Book:
    """The directory tree of one store. `step` is told each step done: tests kill it there."""

    def __init__(self, root: Path, step: Step) -> None:
        self.root = root
        self.step = step
        self.faults: tuple[str, ...] = ()

    def place(self, volume: Volume) -> Path:
        """Directory of a volume."""
        return self.root / volume.project / volume.volume

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Decide alone; BUSY if others take too long. The kernel lets go of it when its holder dies."""
        with held(self.root / ".lock", self.root):
            yield

    def projects(self) -> list[Project]:
        """All projects, sorted; directories with other names are not ours."""
        return sorted(Project(name) for name in _names(self.root, Project))

    def cards(self, project: Project | None = None) -> dict[Volume, Card]:
        """All volumes that can be read; `faults` names the others."""
        found: dict[Volume, Card] = {}
        faults: list[str] = []
        for parent in [project] if project else self.projects():
            for name in _names(self.root / parent.project, parent.volume):
                volume = parent.volume(name)
                try:
                    found[volume] = parse(_text(self.place(volume) / CARD), volume)
                except FileNotFoundError:
                    if self.place(volume).exists():  # else it went while we looked
                        faults.append(f"{self.place(volume) / CARD}: missing: restore it, or move the directory away")
                except (OSError, ValueError, KeyError, TypeError) as error:
                    faults.append(f"{self.place(volume) / CARD}: {error}: restore it, or move the directory away")
        self.faults = tuple(faults)
        return dict(sorted(found.items()))

    def card(self, volume: Volume) -> Card | None:
        """One volume; None if it is not there or cannot be read."""
        try:
            return parse(_text(self.place(volume) / CARD), volume)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def disks(self) -> Disks:
        """All volumes, as verdicts need them; only those that a verdict asks for are read."""
        return _Disks(self)

    def make_project(self, project: Project) -> None:
        """Make the directory; FileExistsError."""
        (self.root / project.project).mkdir()
        self.step("project made")
        sync(self.root)

    def drop_project(self, project: Project) -> None:
        """Remove the directory, which is empty once it is swept."""
        self.sweep(project)
        (self.root / project.project).rmdir()
        self.step("project removed")
        sync(self.root)

    @contextlib.contextmanager
    def workshop(self, project: Project) -> Iterator[Path]:
        """A directory in which a volume is made; whatever is still there in the end goes away."""
        made = self.root / project.project / f".new-{secrets.token_hex(8)}"
        with self.lock():  # or `sweep` could find it before it is locked
            made.mkdir()
            fd = os.open(made, os.O_RDONLY)
            fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            self.step("workshop made")
            yield made
        except OSError as error:
            raise os_failed(error, error.filename or made) from error
        finally:
            shutil.rmtree(made, ignore_errors=True)
            os.close(fd)

    def publish(self, made: Path, card: Card) -> None:
        """Let the volume appear. The name must have been found free under the lock."""
        _write(made / CARD, render(card))
        self.step("card written")
        sync(made)
        made.rename(self.place(card.name))
        self.step("volume published")
        sync(made.parent)

    def update(self, card: Card) -> None:
        """Replace what is known of a volume."""
        place = self.place(card.name)
        _write(place / (CARD + ".new"), render(card))
        self.step("new card written")
        (place / (CARD + ".new")).rename(place / CARD)
        self.step("card replaced")
        sync(place)

    def drop(self, volume: Volume) -> None:
        """Let the volume go."""
        place = self.place(volume)
        gone = place.parent / f".old-{secrets.token_hex(8)}"
        place.rename(gone)
        self.step("volume withdrawn")
        sync(place.parent)
        shutil.rmtree(gone)
        self.step("volume removed")

    def samples(self) -> list[Sample]:
        """What the store took, hour by hour."""
        try:
            return forecast.parse(_text(self.root / USAGE))
        except (OSError, ValueError):
            return []

    def keep_samples(self, samples: Sequence[Sample]) -> None:
        """Replace them. Under the lock."""
        _write(self.root / (USAGE + ".new"), forecast.render(samples))
        (self.root / (USAGE + ".new")).rename(self.root / USAGE)

    def sweep(self, project: Project) -> None:
        """Remove what crashed commands left in a project. Under the lock."""
        for entry in os.scandir(self.root / project.project):
            if entry.name.startswith(".old-") or (entry.name.startswith(".new-") and _abandoned(entry.path)):
                shutil.rmtree(entry.path, ignore_errors=True)
        for volume, card in self.cards(project).items():
            for name in os.listdir(self.place(volume)):
                if name == CARD + ".new" or (name.startswith("layer-") and name not in card.layers):
                    (self.place(volume) / name).unlink(missing_ok=True)


class _Disks(Mapping[Volume, Disk]):
    """Read as it is asked for: a clone among a thousand volumes looks at two."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def __getitem__(self, volume: Volume) -> Disk:
        card = self._book.card(volume)
        if card is None:
            raise KeyError(volume)
        return card.disk

    def __iter__(self) -> Iterator[Volume]:
        return iter(self._book.cards())

    def __len__(self) -> int:
        return len(self._book.cards())


def _abandoned(path: str) -> bool:
    """Whether the maker of a workshop is gone."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return locked(fd)
    finally:
        os.close(fd)


def _names(directory: Path, kind: Callable[[str], object]) -> list[str]:
    """Names of the directories that are named as such a thing."""
    found = []
    try:
        entries = list(os.scandir(directory))
    except FileNotFoundError:
        return []  # it went while we looked
    except OSError as error:
        raise os_failed(error, directory) from error
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(BadNameError):  # somebody else's directory, such as lost+found
                kind(entry.name)
                found.append(entry.name)
    return found


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(CARD_BYTES_MAX + 1)
    if len(data) > CARD_BYTES_MAX:
        raise ValueError("it is too long")
    return data.decode()


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
