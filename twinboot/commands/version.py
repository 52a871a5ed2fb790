"""`twinboot version`."""

import platform

import click

from dhcp import service
from twinboot import __version__
from twinboot.show import say

__all__ = ["version"]


@click.command()
def version() -> None:
    """Print the version of twinboot and of the Python it runs on, and whether DHCP's packet path is compiled."""
    say(f"twinboot {__version__} (Python {platform.python_version()}, {build()})")


def build() -> str:
    """Which build this is: "pure Python" or "compiled"."""
    return "pure Python" if str(service.__file__).endswith(".py") else "compiled"
