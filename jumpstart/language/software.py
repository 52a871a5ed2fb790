"""The software of an install image: its package clusters and packages, held against what profiles name.

`PRODUCT/.clustertoc` lists clusters, one block each, begun by `CLUSTER=NAME` or `METACLUSTER=NAME`; every package is
a directory beside it. A package that a profile takes from elsewhere is not looked for.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jumpstart.language.faults import Faults, shown, suggestion
from jumpstart.language.keywords import SOFTWARE_GROUPS
from jumpstart.language.profile import Entry

CLUSTER = re.compile(r"^(?:META)?CLUSTER=([A-Za-z0-9_.+-]{1,255})[ \t]*$", re.MULTILINE)


class Software(NamedTuple):
    """What an image holds."""

    clusters: frozenset[str]
    packages: frozenset[str]


def read_software(clustertoc: str, directories: Iterable[str]) -> Software:
    """The names in a .clustertoc and of the directories beside it."""
    return Software(frozenset(CLUSTER.findall(clustertoc)), frozenset(directories))


def judge_software(entries: Sequence[Entry], image: Software, faults: Faults) -> None:
    """Warn of clusters and packages that the image does not hold."""
    clusters = sorted(image.clusters | set(SOFTWARE_GROUPS))
    for entry in entries:
        if not entry.values:
            continue
        name = entry.values[0]
        if entry.name == "cluster" and name.text not in clusters:
            what = f"the image has no cluster {shown(name.text)}"
            faults.warning(name.at, what, _nearest(name.text, clusters))
        elif entry.name == "package" and len(entry.values) <= 2 and name.text not in image.packages:
            what = f"the image has no package {shown(name.text)}"
            faults.warning(name.at, what, _nearest(name.text, image.packages))


def _nearest(name: str, valid: Iterable[str]) -> str:
    near = suggestion(name, sorted(valid) or ["none"])
    return near if near.startswith("did") else "name one of the image, or say where it comes from"
