"""What the local store exports: for each volume a raw view and a target, made to stand as the book says.

Every order of steps keeps to two rules: a target goes before its view, so that no initiator writes to what is being
taken away, and the target daemon itself decides, in one request, that nobody is logged in when a target goes.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from storage.volumes import local_image
from storage.volumes.local_book import Book, Card
from storage.volumes.local_target import Standing, Targets
from storage.volumes.local_view import Views
from storage.volumes.names import Volume
from storage.volumes.port import NOT_DONE, Access, Export, Outcome, VolumesError

T = TypeVar("T")


class Exports:
    """The views and targets of one store, below the site's `authority`."""

    def __init__(self, book: Book, authority: str, views: Views, targets: Targets) -> None:
        self._book = book
        self._authority = authority
        self._views = views
        self._targets = targets

    def tend(self, cards: Iterable[Card]) -> tuple[str, ...]:
        """Make stand what should, end what should not; a line for each that was touched."""
        wanted = {self.iqn(card.name): card for card in cards if card.access}
        standing = self._targets.standing()
        extra = sorted(standing.keys() - wanted.keys())
        lacking = [card for iqn, card in wanted.items() if not self.stands(card, standing.get(iqn))]
        ended = [_tried(f"{iqn}: ended, it is not exported", self._targets.down, iqn) for iqn in extra]
        return (*ended, *(_tried(f"{card.name}: exported again", self.stand, card) for card in lacking))

    def standing(self, cards: Iterable[Card]) -> Mapping[str, Standing]:
        """The targets that stand, by IQN; nobody is asked if none of these should."""
        return self._targets.standing() if any(card.access for card in cards) else {}

    def stand(self, card: Card) -> None:
        """Let the volume's target stand if it should; what stands otherwise is replaced."""
        if card.access is None:
            return
        iqn, layer = self.iqn(card.name), self._book.place(card.name) / card.head
        found = self._targets.standing().get(iqn)
        if self.stands(card, found):
            return
        if found:
            self._targets.down(iqn, force=not self._shown(card))  # its disk is gone: nobody can use it as it is
        raw = local_image.form_of(card.head) == "raw"
        path = layer if raw else self._views.up(card.name.domain, layer)
        self._book.step("view up")
        self._targets.up(iqn, path, card.access)
        self._book.step("target up")

    def stands(self, card: Card, found: Standing | None) -> bool:
        """Whether its target is what the book says."""
        if card.access is None or found is None or not self._shown(card):
            return False
        behind = self._book.place(card.name) / card.head
        path = behind if local_image.form_of(card.head) == "raw" else Path(found.path)
        return found.serves(path, card.access)

    def _shown(self, card: Card) -> bool:
        return local_image.form_of(card.head) == "raw" or self._views.alive(card.name.domain)

    def withdraw(self, card: Card) -> None:
        """End target and view."""
        self._targets.down(self.iqn(card.name))
        self._book.step("target down")
        self._views.down(card.name.domain)
        self._book.step("view down")

    def one_secret(self, cards: dict[Volume, Card], access: Access) -> None:
        """A target daemon knows one secret for each user."""
        for name, card in cards.items():
            other = card.access.chap if card.access else None
            if access.chap and other and other.user == access.chap.user and other != access.chap:
                text = f"CHAP user {other.user} has another secret at {name}: give both the same, or use another user"
                raise VolumesError(Outcome.INVALID, text, [str(name)])

    def exported(self, card: Card, access: Access) -> Export:
        """Where it is to be had."""
        return Export(
            self.iqn(card.name), self._targets.portal, self._targets.lun, access.initiators, access.chap is not None
        )

    def users(self, volume: Volume) -> tuple[str, ...]:
        """Who is logged in to it."""
        found = self._targets.standing().get(self.iqn(volume))
        return found.users if found else ()

    def iqn(self, volume: Volume) -> str:
        """Name of its target."""
        return volume.iqn(self._authority)


def _tried(done: str, act: Callable[[T], None], it: T) -> str:
    """What was done, or why not: one volume's trouble does not keep the others waiting."""
    try:
        act(it)
    except VolumesError as error:
        return f"{done}{NOT_DONE}{error}"
    return done
