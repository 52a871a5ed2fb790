"""Volumes: disks of guests in projects, cloned from masters and exported over iSCSI.

`port` says what every store does and how it may refuse; `names` are the values; docs/volumes.md explains the local one.
"""

from storage.volumes.local import LocalSettings, LocalVolumes
from storage.volumes.memory import MemoryVolumes
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
from storage.volumes.settings import ZfssaSettings, ZfsSettings
from storage.volumes.zfs import ZfsVolumes
from storage.volumes.zfssa import ZfssaVolumes

__all__ = [
    "Access",
    "BadNameError",
    "Chap",
    "Export",
    "LocalSettings",
    "LocalVolumes",
    "MemoryVolumes",
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
    "ZfsSettings",
    "ZfsVolumes",
    "ZfssaSettings",
    "ZfssaVolumes",
    "parse_name",
]
