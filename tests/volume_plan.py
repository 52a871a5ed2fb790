"""Names that the tests of every store of volumes use, and what they do with them."""

from collections.abc import Callable

from storage.volumes import Access, Chap, Project, Snapshot, Volume, Volumes

SIZE = 4 * 2**20
MASTERS, APPL = Project("masters"), Project("appl-1")
MASTER, GUEST, NEW = Volume("masters", "osol"), Volume("appl-1", "vm-1"), Volume("appl-1", "vm-2")
VERSION = Snapshot("masters", "osol", "v1")
HV1, HV2 = "iqn.1986-03.com.sun:01:hv1", "iqn.1986-03.com.sun:01:hv2"
CHAP = Chap("hv", "secretsecret12")
ACCESS = Access((HV1, HV2), CHAP)

Verb = Callable[[Volumes], object]
PLAN: list[Verb] = [
    lambda store: store.make_project(MASTERS),
    lambda store: store.make_project(APPL),
    lambda store: store.create(MASTER, SIZE),
    lambda store: store.snapshot(VERSION),
    lambda store: store.clone(VERSION, GUEST),
    lambda store: store.export(GUEST, ACCESS),
    lambda store: store.unexport(GUEST),
    lambda store: store.export(GUEST, ACCESS),
    lambda store: store.clone(VERSION, NEW),
    lambda store: store.destroy(NEW),
]


def prepare(store: Volumes, access: Access) -> None:
    """Make a master with a snapshot, a clone that is exported, and one more project."""
    for project in (MASTERS, APPL, Project("empty")):
        store.make_project(project)
    store.create(MASTER, SIZE)
    store.snapshot(VERSION)
    store.clone(VERSION, GUEST)
    store.export(GUEST, access)
