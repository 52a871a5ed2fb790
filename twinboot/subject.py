"""Whom a question is about: a host by name or a machine by MAC, with every name the journal may know it by.

Works with whatever is there: while the share is away, the journal alone still answers.
"""

from __future__ import annotations

from typing import NamedTuple

from jumpstart import values
from jumpstart.model import Hypervisor
from twinboot import stores
from twinboot.config import Config

__all__ = ["Subject", "find"]


class Subject(NamedTuple):
    """A host, or a machine that has no host file."""

    name: str
    macs: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    host: Hypervisor | None = None
    faults: tuple[str, ...] = ()

    @property
    def clauses(self) -> tuple[tuple[str, str], ...]:
        """(column, value) pairs, any of which makes an event of the journal this subject's."""
        return (
            *((("host", self.name),) if self.name not in self.macs else ()),
            *(("mac", mac) for mac in self.macs),
            *(("address", address) for address in self.addresses),
        )


def find(config: Config, text: str) -> Subject:
    """The subject that a person named `text`: a host's name, or a MAC in any common spelling."""
    known = stores.hosts(config)
    try:
        mac = values.mac(text)
    except ValueError:
        host = known.by_name.get(text.lower())
        mac = ""
    else:
        host = known.by_mac.get(mac)
    name = host.name if host else mac or text.lower()
    own_file = f"/{name}.toml"
    faults = tuple(str(fault) for fault in known.faults if fault.file.endswith(own_file) or ".toml" not in fault.file)
    if host is None:
        return Subject(name, (mac,) if mac else (), (), None, faults)
    macs = tuple(link.mac for link in host.links)
    return Subject(name, macs, tuple(link.address for link in host.links if link.address), host, faults)
