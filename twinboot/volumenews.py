"""What the commands did to volumes, for the journal: projects and masters. Of guests' volumes, `guests.news` tells."""

from __future__ import annotations

from storage.volumes.names import Name
from twinboot.config import Config
from twinboot.events import tell_journal
from twinboot.privileges import typist

__all__ = ["DESTROYED", "IMPORTED", "KEPT", "PROJECT", "tell"]

PROJECT, IMPORTED, KEPT, DESTROYED = "volumes.project", "volumes.imported", "volumes.kept", "volumes.destroyed"
"""A project was made; an image became a master; its contents were kept as a version; any of these is gone."""


def tell(config: Config, kind: str, name: Name, detail: str | None = None) -> None:
    """Send one event of a volume, snapshot or project."""
    by = f"{typist()}@{config.server}"
    tell_journal(config.socket_path, [(kind, {"volume": str(name), "by": by, "detail": detail})])
