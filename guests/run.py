"""Carrying a plan out: claim, step by step, settle; and all the way back when a step fails.

Whatever kills a run, the guest's row says what it had taken upon itself, and the same command made again goes on. When
a step fails, the run's own steps are undone in reverse order, those of an earlier run that it went on with included.
What the failed step itself did is undone as well where that cannot be known (no answer came), and left alone where the
refusal says that nothing was done. A destruction is never undone: made again, it goes on.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from guests.deeds import DO, UNDO, Deeds
from guests.faults import Failed, Refused
from guests.guest import links_text, nics, with_macs
from guests.hypervisor import HypervisorError, Progress
from guests.hypervisor import Outcome as HostOutcome
from guests.plan import Plan, Step
from guests.world import World
from storage.records import Guest, RecordsError
from storage.volumes import Outcome as StoreOutcome
from storage.volumes import VolumesError

UNSURE = (StoreOutcome.UNAVAILABLE, HostOutcome.UNAVAILABLE, HostOutcome.FAILED)
"""Outcomes after which a step may have been done all the same."""

TROUBLE = (VolumesError, HypervisorError, RecordsError, Refused)

Kill = Callable[[str], None]
"""Called before every write, with what comes next: tests die there."""


class Telling(NamedTuple):
    """Who is told how it goes on: a step that begins, how far long work is, a step that is undone."""

    step: Callable[[Step], None]
    progress: Progress
    undo: Callable[[Step], None]


SILENT = Telling(lambda _: None, lambda _done, _total: None, lambda _: None)


class Runner:
    """One run of one plan."""

    def __init__(self, world: World, plan: Plan, telling: Telling = SILENT, between: Kill = lambda _: None) -> None:
        self._world = world
        self._plan = plan
        self._tell = telling
        self._between = between
        self._passed: list[str] = [step.key for step in plan.steps if step.done and step.key in plan.inherited]
        """Keys of own steps that are done, or may be."""

    def run(self) -> bool:
        """Do all that is not done; whether there was anything. Refused before the first step, Failed after it."""
        plan = self._plan
        if not plan.todo and plan.goal == plan.old and not (plan.old and plan.old.work):
            return False
        self._between("claim")
        deeds = Deeds(self._world, plan.guest, self._world.book.claim(plan), self._tell.progress)
        try:
            for step in plan.todo:
                self._between(step.key)
                self._tell.step(step)
                self._do(deeds, step)
            self._between("settle")
            self._settle(deeds)
        except KeyboardInterrupt:
            raise Failed("interrupted", *self._back(deeds)) from None
        except TROUBLE as error:
            raise Failed(*_lines(error), *self._back(deeds)) from error
        return True

    def _do(self, deeds: Deeds, step: Step) -> None:
        try:
            DO[type(step.action)](deeds, step.action)
        except (*TROUBLE, KeyboardInterrupt) as error:
            if getattr(error, "outcome", None) in UNSURE or isinstance(error, KeyboardInterrupt):
                self._passed.append(step.key)
            raise
        self._passed.append(step.key)

    def _settle(self, deeds: Deeds) -> None:
        if deeds.row is None:
            return
        goal = self._plan.goal
        if goal is not None:
            goal = deeds.row._replace(links=self._links(deeds.row, goal))
        self._world.book.settle(deeds.row, goal)

    def _links(self, row: Guest, goal: Guest) -> str:
        """The links, with the MAC addresses that the hypervisor tells where this command has to do with them."""
        if not any(step.key.endswith("define") for step in self._plan.steps):
            return row.links
        domain = self._world.hypervisor(goal.hypervisor).domain(row.guest)
        return links_text(with_macs(nics(row), domain.links))

    def _back(self, deeds: Deeds) -> Iterator[str]:
        """Undo; tells what could not be undone, and what to type then."""
        plan = self._plan
        if plan.goal is None:
            yield f"{plan.guest}: not all of it is gone: the same command goes on from here"
            return
        left = [line for step in reversed(plan.steps) for line in self._undo(deeds, step)]
        if not left and deeds.row is not None:
            self._between("put back")
            try:
                self._world.book.settle(deeds.row, plan.undone)
            except TROUBLE as error:
                left = [f"the row of {plan.guest} could not be put back: {line}" for line in _lines(error)]
        yield from left
        if left:
            yield f"{plan.guest}: the same command goes on from here; `domu-fsck` shows what is left"

    def _undo(self, deeds: Deeds, step: Step) -> Iterator[str]:
        reserved = step.key.startswith("bind:") and self._plan.reserve
        if not (step.key in self._plan.own and step.undoable and (step.key in self._passed or reserved)):
            return
        undo = UNDO.get(type(step.action))
        if undo is None:
            return
        self._between(f"undo {step.key}")
        self._tell.undo(step)
        try:
            undo(deeds, step.action)
        except TROUBLE as error:
            yield f"not undone: {step.text}: {'; '.join(_lines(error))}"


def _lines(error: BaseException) -> tuple[str, ...]:
    return error.lines if isinstance(error, Refused) else (str(error),)
