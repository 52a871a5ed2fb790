"""What a plan is: steps, decided from what was seen. Pure. `guests.plans` makes one for each command.

Rules of the room:

* A plan is made anew for every run: what is done already is a step that is `done`, so a rerun after a kill goes on
  where the first run stopped, and a rerun after success has nothing to do.
* `goal` is the guest's row once all steps are done (None: the row goes). `reserve` are the addresses that are taken for
  the guest together with its name, before the first step.
* A step's key is what the row's work remembers it by. Keys that begin with `again:` stand for things that were there
  before in some form: they are never undone.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from guests.actions import Action
from guests.domain import DomainInfo, holders
from guests.guest import Nic, State, links_text, nics, read_work
from storage.records import Guest
from storage.volumes import Project, Snapshot, Volume, VolumeInfo

WISH = "wish"
"""Stands among the steps of the work when the row was first told what the guest is to be."""


class Step(NamedTuple):
    """One thing to do: what the work remembers it by, a line for people, the deed, and whether it is done."""

    key: str
    text: str
    action: Action
    done: bool

    @property
    def undoable(self) -> bool:
        """Whether a failure takes it back."""
        return not self.key.startswith("again:")


class Plan(NamedTuple):
    """A command on one guest. `old` is its row as it was seen; the claim succeeds only if it still is so."""

    command: str
    guest: str
    steps: tuple[Step, ...]
    old: Guest | None
    goal: Guest | None
    reserve: tuple[Nic, ...] = ()

    @property
    def todo(self) -> tuple[Step, ...]:
        """What is not done."""
        return tuple(step for step in self.steps if not step.done)

    @property
    def inherited(self) -> tuple[str, ...]:
        """Keys of the steps that a run before this one had taken upon itself."""
        work = read_work(self.old.work) if self.old else None
        return work.steps if work else ()

    @property
    def own(self) -> tuple[str, ...]:
        """Keys of the steps that this run, or one before that it goes on with, does and may undo."""
        wishes = self.goal is not None and self.goal.domain_kind and not (self.old and self.old.domain_kind)
        keys = (*self.inherited, *([WISH] if wishes else []), *(step.key for step in self.todo))
        return tuple(dict.fromkeys(keys))

    @property
    def undone(self) -> Guest | None:
        """The row as it was before, once all own steps are undone; None: there was none."""
        if self.old is None or not self.old.work:
            return self.old
        return before(self.old, self.own)


class Seen(NamedTuple):
    """What there is of a guest. `domains`: host -> its domain there. `bound`: links whose address is as the row says.

    `origins`: the snapshots of the master that is to be cloned. `unseen`: hosts that could not be asked, and why.
    """

    volume: Volume
    row: Guest | None
    projects: Sequence[Project]
    disk: VolumeInfo | None
    domains: dict[str, DomainInfo]
    bound: frozenset[str] = frozenset()
    origins: Sequence[Snapshot] = ()
    guests: Sequence[str] = ()
    unseen: Mapping[str, str] = MappingProxyType({})

    @property
    def name(self) -> str:
        """The guest's name."""
        return self.volume.domain

    @property
    def running_on(self) -> str:
        """The host that runs it; empty if none does."""
        return next(iter(self.held_by), "")

    @property
    def held_by(self) -> list[str]:
        """The hosts that have it in memory: after a move that broke off it is two."""
        return holders({host: domain.state for host, domain in self.domains.items()})


def before(row: Guest, steps: Sequence[str]) -> Guest | None:
    """The guest's row as it was before a command whose own steps these were, all undone; None: there was none."""
    bare = row._replace(work="")
    if "clone" in steps or "adopt" in steps:
        return None
    if WISH in steps:
        told = bare._replace(state=State.CLONED.value, domain_kind="", segment="", memory_mib=0, vcpus=0)
        return told._replace(hypervisor="", uuid="", links="")
    links = [nic._replace(address="", host="") if f"bind:{nic.link}" in steps else nic for nic in nics(bare)]
    return bare._replace(links=links_text(links))
