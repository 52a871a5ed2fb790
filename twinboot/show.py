"""Output: rich tables on a terminal, aligned plain lines elsewhere, JSON where asked for.

Texts may come from the network: whatever is not printable is replaced, so that no event can steer a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime

import click

__all__ = ["as_json", "clean", "local_time", "say", "table"]


def clean(text: object) -> str:
    """`text` with every control character, separator or odd space replaced."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text))


def say(text: object) -> None:
    """One line on stdout."""
    click.echo(clean(text))


def as_json(value: object) -> None:
    """`value` as one JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, default=str))


def local_time(at: float) -> str:
    """Unix seconds as local time with milliseconds."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def table(heads: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """Print rows under heads; `empty` says what it means that there are none."""
    cells = [[clean(cell) for cell in row] for row in rows]
    if not cells:
        say(empty)
    elif sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415 - a tenth of the time of a command that does not draw
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        drawn = Table(box=None, header_style="bold", pad_edge=False)
        for head in heads:
            drawn.add_column(head)
        for row in cells:
            drawn.add_row(*map(Text, row))
        Console().print(drawn)
    else:
        widths = [max(len(row[column]) for row in [list(heads), *cells]) for column in range(len(heads))]
        for row in [list(heads), *cells]:
            say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
