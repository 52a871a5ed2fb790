"""What one head of an appliance does, whichever way it is spoken to. Each verb is one change, whole or not at all.

Verbs raise VolumesError when the head refuses, and GoneError when it is not known whether it did anything.
"""

from collections.abc import Sequence
from typing import Protocol

from storage.volumes.names import Name, Project, Snapshot, Volume
from storage.volumes.port import Access
from storage.volumes.zfssa_heads import Head
from storage.volumes.zfssa_model import Facts


class Appliance(Head, Protocol):
    """A head, as the store uses it."""

    def facts(self) -> Facts:
        """Everything there is."""

    def make_project(self, project: Project) -> None:
        """Make an empty project."""

    def make_lun(self, project: Project, name: str, size_bytes: int) -> None:
        """Make a sparse LUN that nobody sees."""

    def rename_lun(self, project: Project, name: str, volume: Volume) -> None:
        """Give a LUN its name."""

    def drop_lun(self, project: Project, name: str) -> None:
        """Remove a LUN whose name is not one of ours."""

    def leftovers(self, project: Project) -> list[str]:
        """Names of LUNs that begin with `_`: being made, or left by a crash."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Take it."""

    def clone(self, snapshot: Snapshot, volume: Volume) -> None:
        """Make a LUN of it that nobody sees."""

    def destroy(self, name: Name) -> None:
        """Remove it, and it alone."""

    def show(self, project: Project, name: str, groups: tuple[str, str]) -> None:
        """Let a LUN be seen through a target group by an initiator group."""

    def make_target(self, iqn: str, alias: str, *, checks: bool, interfaces: Sequence[str]) -> str:
        """Make an iSCSI target; returns the name that it got."""

    def drop_target(self, iqn: str) -> None:
        """Remove a target."""

    def make_group(self, kind: str, name: str, members: Sequence[str]) -> None:
        """Make a group, `kind` target or initiator."""

    def drop_group(self, kind: str, name: str) -> None:
        """Remove a group."""

    def make_initiator(self, name: str, access: Access, *, there: bool) -> None:
        """Let the appliance know an initiator (`there`: it does), and what it proves itself by."""
