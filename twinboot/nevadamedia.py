"""Taking in an install image for nevada: its boot files to the boot tree, and its whereabouts to `nevada.toml`.

Everything is judged before anything is copied. The image itself stays where it is, exported by NFS; each server that
has it is told so once, by running the command on it, and what it says of the other server stays.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from jumpstart.install_image import ImageError, Tell, Tree, examine, take
from jumpstart.targets import nevada_site
from jumpstart.targets.nevada_site import Server, Settings
from jumpstart.values import SEGMENTS
from pxe.firmware import HTTP_PORT
from storage.records import durable
from twinboot.config import Config
from twinboot.faults import Stop

__all__ = ["Wanted", "add"]


class Wanted(NamedTuple):
    """What a person asked for. Empty texts stand for the usual: the directory's name, its path, this server."""

    name: str
    release: str
    media: str
    nfs: str
    link: bool


def add(config: Config, root: Path, wanted: Wanted, tell: Tell) -> Settings:
    """Take in the image at `root`. Stop with all faults of the directory, HostError with those of the options."""
    try:
        tree = examine(root)
        settings = _settings(config, tree, wanted)
        take(tree, config.boot_dir, settings.image.removeprefix("I86PC."), wanted.link, tell)
    except ImageError as error:
        raise Stop(*error.faults) from None
    _write(config.share / "jumpstart" / nevada_site.FILE, nevada_site.to_text(settings))
    return settings


def _settings(config: Config, tree: Tree, wanted: Wanted) -> Settings:
    """What nevada.toml will say. HostError when a value of it could not stand in a menu."""
    if config.segment not in SEGMENTS:
        raise Stop(
            f"{config.path}: server.segment: {config.segment!r}: nevada knows the segments {', '.join(SEGMENTS)}"
        )
    name = wanted.name or tree.root.name
    port = "" if config.http_port == HTTP_PORT else f":{config.http_port}"
    own = Server(
        address=str(config.address),
        http=f"{config.address}{port}",
        media=wanted.media or str(tree.root),
        config=str(config.share / "jumpstart"),
        nfs=wanted.nfs,
    )
    files = tuple(tree.files)
    before = _before(config)
    if before is None:
        new = Settings(f"I86PC.{name}", wanted.release or name, files, {config.segment: own})
    else:
        kept = before.release if before.image == f"I86PC.{name}" else name
        servers = {**before.servers, config.segment: own}
        new = before._replace(image=f"I86PC.{name}", release=wanted.release or kept, boot_files=files, servers=servers)
    if nevada_site.parse(nevada_site.to_text(new), nevada_site.FILE) != new:
        raise Stop(f"{nevada_site.FILE}: a value holds a quote; use plain names and paths")
    return new


def _before(config: Config) -> Settings | None:
    directory = config.share / "jumpstart"
    if not (directory / nevada_site.FILE).exists():
        return None
    return nevada_site.load(directory)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    durable.replace(path, text.encode())
