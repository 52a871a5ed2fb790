"""`domu-master`: images that guests are cloned from; taken in, given versions, listed, destroyed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from guests import masters
from storage.volumes import Volumes, VolumesError
from storage.volumes.names import Name, parse_name, parse_snapshot, parse_volume
from storage.volumes.port import VolumeInfo
from twinboot import volumenews, volumestore
from twinboot.bars import progress
from twinboot.cli import Telling
from twinboot.config import Config, config_path, load
from twinboot.faults import Stop
from twinboot.show import as_json, say, table
from twinboot.volumetext import size_text, space_text, use_text

__all__ = ["domu_master", "main"]

CLONES_SHOWN = 3


class Masters(Telling, click.Group):
    """The commands below as a program of its own."""

    program = "domu-master"


@click.group(cls=Masters, context_settings={"help_option_names": ["-h", "--help"]})
def domu_master() -> None:
    """Keep master images, the volumes that guests are cloned from.

    A master is installed once and shut down; `import` takes its image in, `snapshot` gives it a version, and
    `domu-clone` makes guests' disks of that version, which take no space until they are written to.
    """


CONFIG = click.option(
    "--config",
    "config_option",
    metavar="FILE",
    help="Configuration to use [default: TWINBOOT_CONFIG, else /etc/twinboot/twinboot.toml].",
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, or why it is refused; do nothing.")
JSON = click.option("--json", "as_document", is_flag=True, help="Print JSON.")


def _opened(config_option: str | None) -> tuple[Config, Volumes]:
    config = load(config_path(config_option))
    return config, volumestore.open_volumes(config)


def _completing(
    names: Callable[[VolumeInfo], Iterable[Name]],
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Complete by what there is; a shell that asks is told nothing rather than a fault."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del param
        try:
            volumes = _opened(ctx.params.get("config_option"))[1].volumes()
        except (Stop, VolumesError, OSError):
            return []
        found = [str(name) for one in volumes for name in names(one)]
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]

    return complete


@domu_master.command("import")
@click.argument("image", metavar="FILE", type=click.Path(path_type=Path))
@click.argument("name", metavar="PROJECT/NAME")
@DRY_RUN
@JSON
@CONFIG
def import_image(image: Path, name: str, dry_run: bool, as_document: bool, config_option: str | None) -> None:
    """Make the volume PROJECT/NAME of a disk image: raw, qcow2 or vmdk.

    The project is made if it is not there; `masters` is the usual one. FILE is only read.
    """
    volume = parse_volume(name)
    config, store = _opened(config_option)
    missing = masters.plan_import(volume, store.projects(), store.volumes())
    if dry_run:
        if not image.is_file():
            raise Stop(f"{image}: no such file: name a disk image (raw, qcow2 or vmdk)")
        steps = [*(f"make the project {project}" for project in missing), f"copy {image} into the volume {volume}"]
        _told(steps, {"steps": steps}, as_document)
        return
    for project in missing:
        store.make_project(project)
    try:
        if as_document:
            store.load(volume, image)
        else:
            with progress() as tell:
                store.load(volume, image, lambda done, total: tell(str(volume), done, total))
    except BaseException:
        for project in missing:
            store.destroy(project)
        raise
    volumenews.tell(config, volumenews.IMPORTED, volume, str(image))
    info = next(one for one in store.volumes(volume.parent) if one.name == volume)
    lines = [
        f"{volume}: {size_text(info.size_bytes)}, of which {size_text(info.own_bytes)} are written",
        space_text(store.usage()),
        f"next: domu-master snapshot {volume}@version-01",
    ]
    _told(lines, _document(masters.Master(info, ())), as_document)


@domu_master.command("snapshot")
@click.argument("name", metavar="PROJECT/NAME@VERSION", shell_complete=_completing(lambda one: [one.name]))
@DRY_RUN
@JSON
@CONFIG
def snapshot(name: str, dry_run: bool, as_document: bool, config_option: str | None) -> None:
    """Keep a master's present contents as a version, such as masters/osol-0811@version-01.

    Refused while a guest runs on it: that would be a disk after a power cut.
    """
    wanted = parse_snapshot(name)
    config, store = _opened(config_option)
    masters.may_snapshot(wanted, store.volumes())
    if dry_run:
        steps = [f"keep the present contents of {wanted.parent} as {wanted}"]
        _told(steps, {"steps": steps}, as_document)
        return
    store.snapshot(wanted)
    volumenews.tell(config, volumenews.KEPT, wanted)
    lines = [f"{wanted}: kept", f"next: domu-clone {wanted} PROJECT/GUEST"]
    _told(lines, {"name": str(wanted)}, as_document)


@domu_master.command("list")
@JSON
@CONFIG
def list_masters(as_document: bool, config_option: str | None) -> None:
    """List masters, their versions, the guests' disks that stand on them, and the store's space."""
    _, store = _opened(config_option)
    volumes, usage = store.volumes(), store.usage()
    found = masters.masters(volumes)
    if as_document:
        facts = {"thin": store.thin, "caveat": store.caveat, **usage._asdict()}
        as_json({"masters": [_document(one) for one in found], "usage": facts})
        return
    heads = ("master", "size", "taken", "version", "clones")
    table(heads, [row for one in found for row in _rows(one)], "no masters yet: domu-master import FILE masters/NAME")
    say(f"{use_text(volumes)}; {space_text(usage)}")
    for line in (*([store.caveat] if store.caveat else []), *store.faults()):
        say(f"note: {line}")


@domu_master.command("destroy")
@click.argument(
    "name", metavar="NAME", shell_complete=_completing(lambda one: [one.name.parent, one.name, *one.snapshots])
)
@DRY_RUN
@JSON
@CONFIG
def destroy(name: str, dry_run: bool, as_document: bool, config_option: str | None) -> None:
    """Remove a version (PROJECT/NAME@VERSION), a master (PROJECT/NAME) or an empty project for good.

    Refused while something stands on it: the clones of a version and the versions of a master are named.
    """
    wanted = parse_name(name)
    config, store = _opened(config_option)
    masters.may_destroy(wanted, store.projects(), store.volumes())
    if dry_run:
        steps = [f"destroy {wanted}"]
        _told(steps, {"steps": steps}, as_document)
        return
    store.destroy(wanted)
    volumenews.tell(config, volumenews.DESTROYED, wanted)
    _told([f"{wanted}: destroyed", space_text(store.usage())], {"name": str(wanted)}, as_document)


def _told(lines: Iterable[str], document: dict[str, Any], as_document: bool) -> None:
    if as_document:
        as_json(document)
        return
    for line in lines:
        say(line)


def _rows(master: masters.Master) -> list[tuple[str, ...]]:
    info = master.volume
    first = (str(info.name), size_text(info.size_bytes), size_text(info.own_bytes))
    versions = [(one.name.snapshot, _clones(one)) for one in master.versions] or [("-", "-")]
    return [(*(first if number == 0 else ("", "", "")), *version) for number, version in enumerate(versions)]


def _clones(version: masters.Version) -> str:
    if not version.clones:
        return "-"
    more = len(version.clones) - CLONES_SHOWN
    shown = ", ".join(map(str, version.clones[:CLONES_SHOWN]))
    return shown + (f" and {more} more" if more > 0 else "")


def _document(master: masters.Master) -> dict[str, Any]:
    info = master.volume
    return {
        "name": str(info.name),
        "size_bytes": info.size_bytes,
        "own_bytes": info.own_bytes,
        "users": info.users,
        "versions": [{"name": str(one.name), "clones": [str(name) for name in one.clones]} for one in master.versions],
    }


def main() -> None:
    """Run the command."""
    domu_master(prog_name="domu-master")
