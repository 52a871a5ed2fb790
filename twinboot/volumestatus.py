"""What `twinboot status` tells of the volumes: looked at without making anything, and never waited for long."""

from __future__ import annotations

from typing import Any, NamedTuple

from storage.volumes import VolumesError
from twinboot import machine, volumestore
from twinboot.config import Config
from twinboot.faults import Stop
from twinboot.volumetext import space_text, use_text

__all__ = ["Looked", "look"]

LOOK_S = 10.0
LATE = "the volumes do not answer: see to the disk, and to `twinboot events --kind volumes`"
SOON_S = 7 * 86400
"""Full in less than this is a fault: somebody has to buy a disk."""


class Looked(NamedTuple):
    """`facts` for machines, `lines` for people, `notes` that are no faults, and faults."""

    facts: dict[str, Any]
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def look(config: Config) -> Looked | None:
    """The store as it is now; None if this server keeps none."""
    if config.storage is None:
        return None
    late = Looked({"state": "hung"}, (), (), (LATE,))
    try:
        return machine.within(LOOK_S, lambda: _look(config), late)
    except Stop as stop:  # it is another user's
        return Looked({"state": "unseen"}, (), tuple(stop.lines))
    except (VolumesError, OSError) as error:
        return Looked({"state": "broken"}, (), (), (str(error),))


def _look(config: Config) -> Looked:
    assert config.storage is not None
    if config.storage.backend == "local" and not config.storage.root.exists():
        return Looked({"state": "empty"}, ("volumes: none yet",))
    store = volumestore.open_volumes(config)
    volumes, usage = store.volumes(), store.usage()
    exports = [
        {"name": str(one.name), **one.export._asdict(), "users": one.users} for one in volumes if one.export is not None
    ]
    facts = {"state": "open", "location": store.location, "thin": store.thin, "caveat": store.caveat}
    facts |= {"volumes": len(volumes), "exports": exports, "usage": usage._asdict()}
    faults = list(store.faults())
    if usage.full_in_s is not None and usage.full_in_s < SOON_S:
        faults.append(f"{store.location}: {space_text(usage)}: destroy what is not needed, or give it more room")
    lines = (f"volumes in {store.location}: {use_text(volumes)}; {space_text(usage)}",)
    return Looked(facts, lines, (f"volumes: {store.caveat}",) if store.caveat else (), tuple(faults))
