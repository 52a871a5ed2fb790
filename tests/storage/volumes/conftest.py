"""What the tests of several stores share, and the local store as most of its tests find it."""

from pathlib import Path
from typing import Any

from storage.volumes import Access
from tests.volume_plan import GUEST, prepare
from tests.volume_stores import AUTHORITY, Local, local

PORTAL = "192.168.78.10:3260"
IQN = GUEST.iqn(AUTHORITY)
ACCESS = Access(("iqn.2026-11.test:hv1",))


def prepared(path: Path, **options: Any) -> Local:
    kit = local(path, **options)
    prepare(kit.store, ACCESS)
    return kit


def picture(kit: Local) -> object:
    """All that can be seen of a store, files on the disk included."""
    infos = [info._replace(own_bytes=0) for info in kit.store.volumes()]
    root = Path(kit.store.location)
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    standing = {iqn: one.initiators for iqn, one in kit.targets.standing().items()}
    return kit.store.projects(), infos, files, standing
