"""`twinboot media`: the boot files that machines fetch."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import click

from jumpstart.debian import MediaError
from jumpstart.debian import Progress as Tell
from jumpstart.debian_image import build_image
from jumpstart.media import build_media
from jumpstart.targets import TARGETS, load_target
from jumpstart.targets.nevada import NAME as NEVADA
from pxe.loader import LoaderError, build_loaders
from twinboot import nevadamedia, stores
from twinboot.bars import progress
from twinboot.cli import App, pass_app
from twinboot.faults import Stop
from twinboot.privileges import acting_as
from twinboot.show import say

__all__ = ["media"]

DEBIAN = "debian"


@click.group()
def media() -> None:
    """Build boot loaders, kernels and archives."""


@media.command("build")
@click.argument("target", type=click.Choice([name for name in TARGETS if load_target(name).files]))
@click.option("--into", type=click.Path(path_type=Path), help="Directory [default: boot/ of the share].")
@click.option("--package", "packages", multiple=True, help="debian: put this package into the image as well.")
@pass_app
def media_build(app: App, target: str, into: Path | None, packages: tuple[str, ...]) -> None:
    """Build TARGET's boot files from Debian packages, and GRUB for BIOS and UEFI. What is current stays."""
    boot = into or app.config.boot_dir
    if into is None and not boot.is_dir():
        raise Stop(f"{boot} is missing: mount the share, run `twinboot init`, or give --into")
    try:
        with progress() as tell:
            if into is None:
                wanted = stores.hosts(app.config).by_name.values()
                own = {name for host in wanted if host.install_target == target for name in host.packages}
                _build_for_share(app.config.user, target, boot, tell, {*packages, *own})
            else:
                boot.mkdir(parents=True, exist_ok=True)
                _build(target, boot, tell, packages)
    except (MediaError, LoaderError) as error:
        raise Stop(str(error)) from error
    say(f"{target}: its boot files are in {boot}")


def _build(target: str, boot: Path, tell: Tell, packages: Collection[str]) -> None:
    if target == DEBIAN:
        build_image(boot, progress=tell, extra=sorted(packages))
    else:
        build_media(boot, progress=tell)
    build_loaders(boot)


def _build_for_share(user: str, target: str, boot: Path, tell: Tell, packages: Collection[str]) -> None:
    """Build as who we are, then leave what was made to the account of the services."""
    _build(target, boot, tell, packages)
    with acting_as(user):
        unreadable = [path for path in boot.rglob("*") if not os.access(path, os.R_OK, effective_ids=True)]
    if unreadable:
        raise Stop(f"{unreadable[0]}: {user!r} may not read it: chmod -R a+rX {boot}")


@media.command("add")
@click.argument("target", type=click.Choice([NEVADA]))
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Call the image I86PC.NAME [default: the directory's name].")
@click.option("--release", default="", help="Name of the boot environment to install, such as snv_105 [default: NAME].")
@click.option("--media", "media_path", default="", metavar="PATH", help="Path of DIRECTORY as NFS clients mount it.")
@click.option("--nfs", default="", metavar="ADDRESS", help="Who exports it, where this server does not.")
@click.option("--link", is_flag=True, help="Link the boot files instead of copying; needs one file system.")
@pass_app
def media_add(
    app: App, target: str, directory: Path, name: str, release: str, media_path: str, nfs: str, link: bool
) -> None:
    """Take in an install image: a copy of a Solaris Nevada or Solaris 10 (10/08 or later) medium for x86."""
    config = app.config
    with acting_as(config.user), progress() as tell:
        settings = nevadamedia.add(config, directory, nevadamedia.Wanted(name, release, media_path, nfs, link), tell)
    own = settings.servers[config.segment]
    say(f"{target}: {settings.image} installs {settings.release} in the segment {config.segment}")
    say(f"export by NFS, read-only: {own.media} to all, {own.config} as `{config.share}/state/nevada.exports` says")
