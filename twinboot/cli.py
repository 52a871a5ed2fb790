"""The `twinboot` command: what the words are, and what becomes of an error.

One file for each command group in `twinboot.commands`, loaded when it is used. An error is one line on stderr,
`twinboot: what is wrong; how to put it right`, exit code 1; wrong usage is exit code 2. Never a traceback for what a
person can put right.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import click

from dhcp.svcconf import ConfError
from guests.faults import Failed, Refused
from guests.hypervisor import HypervisorError
from jumpstart.hostfile import HostError
from pxe.installs import InstallError
from storage.records import RecordsError
from storage.volumes.names import BadNameError
from storage.volumes.port import VolumesError
from twinboot import __version__
from twinboot.config import Config, config_path, load
from twinboot.faults import JournalError, Stop
from twinboot.show import clean

__all__ = ["App", "Telling", "cli", "main", "pass_app"]

COMMANDS = {
    "init": "twinboot.commands.init:init",
    "serve": "twinboot.commands.serve:serve",
    "host": "twinboot.commands.host:host",
    "install": "twinboot.commands.install:install",
    "lease": "twinboot.commands.lease:lease",
    "store": "twinboot.commands.store:store",
    "status": "twinboot.commands.status:status",
    "events": "twinboot.commands.events:events",
    "explain": "twinboot.commands.explain:explain",
    "media": "twinboot.commands.media:media",
    "jumpstart": "twinboot.commands.jumpstart:jumpstart",
    "lab": "twinboot.commands.lab:lab",
    "version": "twinboot.commands.version:version",
}
"""Word -> where its click command is."""

TOLD = (JournalError, RecordsError, VolumesError, BadNameError, InstallError, HypervisorError)
"""Errors of other rooms whose text is already one line for people."""


@dataclass
class App:
    """What the global options said."""

    config_option: str | None = None

    @cached_property
    def config(self) -> Config:
        """The configuration; ConfigError with all faults."""
        return load(config_path(self.config_option))


pass_app = click.make_pass_decorator(App, ensure=True)


def error_lines(error: Exception) -> tuple[str, ...] | None:
    """The lines that tell `error` to a person, or None for a bug."""
    if isinstance(error, Stop | Refused | Failed):
        return error.lines
    if isinstance(error, ConfError | HostError):
        return tuple(str(fault) for fault in error.faults)
    if isinstance(error, TOLD):
        return (str(error),)
    if isinstance(error, OSError) and error.strerror:
        return (f"{error.filename}: {error.strerror}" if error.filename else error.strerror,)
    return None


class Telling(click.Command):
    """A command of a program of its own; what a person can put right becomes lines on stderr and exit code 1."""

    program = "twinboot"
    """What the lines begin with."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None
        except (Stop, Refused, Failed, ConfError, HostError, OSError, *TOLD) as error:
            lines = error_lines(error)
            if lines is None:
                raise
            for line in lines:
                click.echo(f"{self.program}: {clean(line)}", err=True)
            raise SystemExit(1) from None


class Commands(Telling, click.Group):
    """The table above as a click group."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All words, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the command behind a word."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_option",
    metavar="FILE",
    help="Configuration to use [default: TWINBOOT_CONFIG, else /etc/twinboot/twinboot.toml].",
)
@click.version_option(__version__, "--version", prog_name="twinboot", help="Print the version.")
@click.pass_context
def cli(ctx: click.Context, config_option: str | None) -> None:
    """Bring up hypervisors from bare metal: addresses, boot, install, and what happened."""
    ctx.obj = App(config_option)


def main() -> None:
    """Run the command."""
    cli(prog_name="twinboot")
