"""Volumes: disks of guests in projects, cloned from masters and exported over iSCSI.

`port` says what every store does and how it may refuse; `names` are the values; a store is a module of its own, loaded
by who opens it; docs/volumes.md explains the local one.
"""

from storage.volumes.names import BadNameError, Name, Project, Snapshot, Volume, parse_name
from storage.volumes.port import (
    Access,
    Chap,
    Export,
    Outcome,
    Progress,
    Usage,
    VolumeInfo,
    Volumes,
    VolumesError,
)

__all__ = [
    "Access",
    "BadNameError",
    "Chap",
    "Export",
    "Name",
    "Outcome",
    "Progress",
    "Project",
    "Snapshot",
    "Usage",
    "Volume",
    "VolumeInfo",
    "Volumes",
    "VolumesError",
    "parse_name",
]
