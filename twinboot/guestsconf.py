"""[guests] of twinboot.toml: how hypervisors are asked, and how many guests one gets. No look at the machine.

`uri`, `initiator` and `disk_source` are patterns, filled in for each host; a host that no pattern fits says its own in
the table [hypervisor] of its file.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinboot import values
from twinboot.faults import Fault
from twinboot.keys import Key

__all__ = ["KEYS", "KINDS", "Guests", "faults", "guests"]

KINDS = ("libvirt", "xl")
URIS = {"libvirt": "xen+ssh://root@{address}/system", "xl": "ssh://root@{address}"}
"""What a host is asked at, by the way domains are driven."""

COUNT = values.integer(1, 1000)


def pattern(*known: str) -> Callable[[object], str]:
    """A text with `{name}` fields, all of them among `known`."""

    def read(value: object) -> str:
        text = values.text(value)
        try:
            parts = [part for part in string.Formatter().parse(text) if part[1] is not None]
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}: a brace of its own is written twice") from None
        wrong = next((name for name, form, conversion in (part[1:] for part in parts) if form or conversion), None)
        wrong = wrong or next((str(part[1]) for part in parts if part[1] not in known), None)
        if wrong is not None:
            usable = ", ".join(f"{{{name}}}" for name in known)
            raise ValueError(f"{text!r}: {{{wrong}}} is not one of {usable}")
        return text

    return read


KEYS: tuple[Key, ...] = (
    Key("guests", "hypervisor", values.choice(*KINDS), "libvirt", "how domains are driven: libvirt or xl"),
    Key(
        "guests",
        "uri",
        pattern("name", "address"),
        None,
        "where a host is asked; else `xen+ssh://root@{address}/system` for libvirt, `ssh://root@{address}` for xl",
    ),
    Key(
        "guests",
        "initiator",
        pattern("authority", "name"),
        "{authority}:{name}",
        "a host's iSCSI name; `{authority}` is that of [storage]",
    ),
    Key(
        "guests",
        "templates",
        values.path,
        None,
        "directory of the site's domain templates; else `templates` on the share",
    ),
    Key(
        "guests",
        "disk_source",
        pattern("iqn", "address", "port", "lun"),
        None,
        "what a host calls an iSCSI disk, where the template asks for it; else udev's name by path",
    ),
    Key("guests", "few", COUNT, 4, "hosts with fewer guests than this are filled first"),
    Key("guests", "most", COUNT, 6, "no host gets more guests than this, unless it is named"),
)


@dataclass(frozen=True, slots=True)
class Guests:
    """A checked [guests]."""

    hypervisor: str
    uri: str
    initiator: str
    templates: Path
    disk_source: str
    few: int
    most: int


def guests(table: Mapping[str, Any], site: Mapping[str, Any]) -> Guests:
    """The section as a value. Call it when `faults` found none."""
    return Guests(
        hypervisor=table["hypervisor"],
        uri=table["uri"] or URIS[table["hypervisor"]],
        initiator=table["initiator"],
        templates=table["templates"] or site["share"] / "templates",
        disk_source=table["disk_source"] or "",
        few=table["few"],
        most=table["most"],
    )


def faults(file: str, table: Mapping[str, Any]) -> Iterator[Fault]:
    """What does not fit together; a faulty key reads as None."""
    few, most = table["few"], table["most"]
    if few and most and few > most:
        yield Fault(
            file, "guests.few", f"{few} is more than guests.most ({most}): hosts are filled to `few`, then to `most`"
        )
