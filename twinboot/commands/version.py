"""`twinboot version`."""

import platform

import click

from twinboot import __version__
from twinboot.show import say

__all__ = ["version"]


@click.command()
def version() -> None:
    """Print the version of twinboot and of the Python it runs on."""
    say(f"twinboot {__version__} (Python {platform.python_version()})")
