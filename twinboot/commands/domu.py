"""What the `domu-*` programs have in common: options, the run of a plan, and how it is told."""

from __future__ import annotations

import functools
import signal
import uuid
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any, NamedTuple, ParamSpec, TypeVar

import click
from click.shell_completion import CompletionItem

from guests import guest as guests
from guests import news
from guests.actions import Migrate
from guests.faults import Failed
from guests.plan import Plan, Step
from guests.run import Runner, Telling
from guests.world import World
from storage.records import Guest
from twinboot import guestbook
from twinboot.cli import Telling as TellingCommand
from twinboot.config import Config, config_path, load
from twinboot.events import tell_journal
from twinboot.faults import Stop
from twinboot.show import as_json, say

__all__ = [
    "Common",
    "Program",
    "carry_out",
    "facts",
    "guest_argument",
    "host_complete",
    "new_id",
    "origin_argument",
    "pair",
    "program",
    "volume_argument",
]

P = ParamSpec("P")
R = TypeVar("R")

HELP = {"help_option_names": ["-h", "--help"]}
CONFIG = click.option(
    "--config",
    "config_option",
    metavar="FILE",
    help="Configuration to use [default: TWINBOOT_CONFIG, else /etc/twinboot/twinboot.toml].",
)
JSON = click.option("--json", "as_document", is_flag=True, help="Print JSON.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, or why it is refused; do nothing.")
TAKE_OVER = click.option(
    "--take-over",
    is_flag=True,
    help="Go on with the work of a command that died on another machine.",
)


class Program(TellingCommand):
    """One `domu-` program."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.program = self.name or "domu"


class Common(NamedTuple):
    """What the options that all programs have say."""

    config_option: str | None
    as_document: bool
    take_over: bool = False
    dry_run: bool = False

    @property
    def config(self) -> Config:
        """The configuration; ConfigError with all faults."""
        return load(config_path(self.config_option))


def program(name: str, *, acts: bool = True, takes_over: bool = True) -> Callable[[Callable[..., None]], Program]:
    """A program of that name; its function gets the common options as one value. `acts`: it changes something.

    `takes_over`: it is one of those that go on with what another has begun.
    """

    def decorate(function: Callable[..., None]) -> Program:
        @functools.wraps(function)
        def gathered(**named: Any) -> None:
            common = Common(**{field: named.pop(field) for field in Common._fields if field in named})
            function(common, **named)

        wrapped: Callable[..., None] = gathered
        for option in (CONFIG, JSON, *([TAKE_OVER] if acts and takes_over else []), *([DRY_RUN] if acts else [])):
            wrapped = option(wrapped)
        return click.command(name, cls=Program, context_settings=HELP)(wrapped)

    return decorate


def _complete(ctx: click.Context, incomplete: str, names: Callable[[World], Iterable[str]]) -> list[CompletionItem]:
    """A shell that asks is told nothing rather than a fault."""
    try:
        with guestbook.opened(Common(ctx.params.get("config_option"), as_document=False).config) as world:
            return [CompletionItem(name) for name in sorted(names(world)) if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - whatever it is, the command itself will say it
        return []


def guest_argument(function: Callable[P, R]) -> Callable[P, R]:
    """The argument PROJECT:GUEST, completed by the guests that there are."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _complete(ctx, incomplete, lambda world: world.rows)

    return click.argument("name", metavar="PROJECT:GUEST", shell_complete=complete)(function)


def origin_argument(function: Callable[P, R]) -> Callable[P, R]:
    """The argument MASTER@VERSION, completed by the versions that there are."""

    def versions(world: World) -> Iterable[str]:
        return [str(name) for info in world.volumes.volumes() for name in info.snapshots]

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _complete(ctx, incomplete, versions)

    return click.argument("origin", metavar="MASTER@VERSION", shell_complete=complete)(function)


def volume_argument(function: Callable[P, R]) -> Callable[P, R]:
    """The argument PROJECT/GUEST, completed by projects and by the guests that there are."""

    def names(world: World) -> Iterable[str]:
        return [
            *(f"{project}/" for project in world.volumes.projects()),
            *(name.replace(":", "/") for name in world.rows),
        ]

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _complete(ctx, incomplete, names)

    return click.argument("name", metavar="PROJECT/GUEST", shell_complete=complete)(function)


def host_complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Hosts that there are."""
    return _complete(ctx, incomplete, lambda world: world.site.hosts)


def new_id() -> str:
    """A uuid."""
    return str(uuid.uuid4())


def carry_out(
    common: Common, make: Callable[[World], Plan], after: Callable[[Guest | None], Iterable[str]] = lambda _: ()
) -> None:
    """Make the plan and run it, or only tell it. `after`: lines for people once it is done."""
    dry_run, config = common.dry_run, common.config
    with guestbook.opened(config) as world, _terminated_as_interrupted():
        plan = make(world)
        changed = False if dry_run else _told_run(config, world, plan, quiet=common.as_document)
        row = world.book.guests().get(plan.guest)
        if changed:
            tell_journal(config.socket_path, news.done(plan, row, world.site.by))
    if common.as_document:
        as_json(_document(plan, row, changed=changed, dry_run=dry_run))
        return
    if dry_run:
        for step in plan.steps:
            say(f"{'done already: ' if step.done else 'would '}{step.text}")
    elif not changed:
        say(f"{plan.guest}: nothing to do")
    if not dry_run:
        for line in after(row):
            say(line)


def _told_run(config: Config, world: World, plan: Plan, *, quiet: bool) -> bool:
    """Run it; if it breaks off, the journal is told why."""
    try:
        return _run(world, plan, quiet=quiet)
    except Failed as error:
        tell_journal(config.socket_path, [news.failed(plan, error.lines, world.site.by)])
        raise


def _run(world: World, plan: Plan, *, quiet: bool) -> bool:
    moves = any(isinstance(step.action, Migrate) for step in plan.todo) and not quiet
    with _bar() if moves else nullcontext() as tell:
        telling = Telling(
            step=lambda step: None if quiet else _say_step(step),
            progress=(lambda done, total: tell(plan.guest, done, total)) if tell else lambda _done, _total: None,
            undo=lambda step: click.echo(f"undoing: {step.text}", err=True),
        )
        return Runner(world, plan, telling).run()


def _bar() -> AbstractContextManager[Callable[[str, int, int], None]]:
    from twinboot.bars import progress  # noqa: PLC0415 - rich is a tenth of a command's time, and most draw no bar

    return progress()


def _say_step(step: Step) -> None:
    say(step.text)


@contextmanager
def _terminated_as_interrupted() -> Any:
    """Let SIGTERM and SIGHUP undo what is under way, as ^C does."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        raise KeyboardInterrupt

    had = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in had.items():
            signal.signal(number, handler)


def _document(plan: Plan, row: Guest | None, *, changed: bool, dry_run: bool) -> dict[str, Any]:
    return {
        "guest": plan.guest,
        "command": plan.command,
        "dry_run": dry_run,
        "changed": changed,
        "steps": [{"step": step.key, "text": step.text, "done": step.done} for step in plan.steps],
        "after": facts(row) if row and not dry_run else None,
    }


def facts(row: Guest) -> dict[str, Any]:
    """A guest's row as a document."""
    return {
        "name": row.guest,
        "state": row.state,
        "origin": row.origin or None,
        "kind": row.domain_kind or None,
        "segment": row.segment or None,
        "memory_mib": row.memory_mib or None,
        "vcpus": row.vcpus or None,
        "hypervisor": row.hypervisor or None,
        "uuid": row.uuid or None,
        "links": [
            {"link": nic.link, "mac": nic.mac or None, "address": nic.address or None, "host": nic.host or None}
            for nic in guests.nics(row)
        ],
        "changed_s": row.changed_s,
        "by": row.by,
        "work": row.work or None,
    }


def pair(option: str, text: str) -> tuple[str, str]:
    """`HOST-NAME=ADDRESS`; Stop."""
    host, equals, address = text.partition("=")
    if not (host and equals and address):
        raise Stop(f"{option} {text}: write HOST-NAME=ADDRESS, such as vm-host1=192.168.76.71")
    return host, address
