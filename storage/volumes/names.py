"""Names of volumes, one value for each kind: parsed once at the edge, and never wrong afterwards.

    appl-1                          a project
    appl-1/vm-1                     a volume in it
    masters/osol-0811@version-01    a snapshot of a volume
    appl-1:vm-1                     the domain that runs on the volume appl-1/vm-1
    iqn.2026-11.com.example:appl-1:vm-1    the iSCSI target that exports it

A name has to live as a directory, as a ZFS dataset, as a domain and inside an IQN, so the grammar is what all of them
take: RFC 3722 leaves an IQN lower-case letters, digits, `-`, `.` and `:`; the colon is our separator. RFC 3720 3.2.6.3
gives the form `iqn.`, year and month, reversed domain name, and 223 bytes for the whole.

Every refusal is a `BadNameError` of one line that shows the grammar, or the name that was probably meant.
"""

import difflib
import re
from collections.abc import Iterable
from typing import NamedTuple

WORD_CHARS_MAX = 63
"""Of a project, a volume or a snapshot: as a DNS label, so that a guest may be called what its volume is."""

IQN_BYTES_MAX = 223
AUTHORITY_CHARS_MAX = IQN_BYTES_MAX - 2 * (WORD_CHARS_MAX + 1)
"""So that no pair of legal names makes an IQN that is too long."""

SHOWN_CHARS_MAX = 80
"""Of a wrong name in a message: it may be a whole file, pasted."""

NEAR_ENOUGH = 0.7
"""Likeness, 0 to 1, from which a known name is offered for a mistyped one: two wrong letters in eight."""

_WORD = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", re.ASCII)
_AUTHORITY = re.compile(r"iqn\.[0-9]{4}-(?:0[1-9]|1[0-2])\.[a-z0-9-]+(?:\.[a-z0-9-]+)*", re.ASCII)
_INITIATOR = re.compile(r"(?:iqn\.[0-9]{4}-(?:0[1-9]|1[0-2])\.[a-z0-9.:-]+|eui\.[0-9A-Fa-f]{16})", re.ASCII)

WORD_RULE = (
    f"lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit, {WORD_CHARS_MAX} at most"
)


class BadNameError(ValueError):
    """A name is not one of its kind; the text says what is wrong and how to put it right."""


class _ProjectFields(NamedTuple):
    project: str


class Project(_ProjectFields):
    """A container of volumes: `appl-1`."""

    __slots__ = ()

    def __new__(cls, project: str) -> "Project":
        """BadNameError unless it is a word."""
        return super().__new__(cls, _word(project, "project"))

    def __str__(self) -> str:
        return self.project

    def volume(self, name: str) -> "Volume":
        """The volume of that name in this project; BadNameError."""
        return Volume(self.project, name)


class _VolumeFields(NamedTuple):
    project: str
    volume: str


class Volume(_VolumeFields):
    """A disk, exported as one LUN: `appl-1/vm-1`."""

    __slots__ = ()

    def __new__(cls, project: str, volume: str) -> "Volume":
        """BadNameError unless both are words."""
        return super().__new__(cls, _word(project, "project"), _word(volume, "volume"))

    def __str__(self) -> str:
        return f"{self.project}/{self.volume}"

    @property
    def parent(self) -> Project:
        """The project it is in."""
        return Project(self.project)

    @property
    def domain(self) -> str:
        """Name of the domain that runs on it: `appl-1:vm-1`."""
        return f"{self.project}:{self.volume}"

    def snapshot(self, name: str) -> "Snapshot":
        """Its snapshot of that name; BadNameError."""
        return Snapshot(self.project, self.volume, name)

    def iqn(self, authority: str) -> str:
        """Name of its iSCSI target, below the site's `authority` (see `iqn_authority`)."""
        return f"{authority}:{self.project}:{self.volume}"


class _SnapshotFields(NamedTuple):
    project: str
    volume: str
    snapshot: str


class Snapshot(_SnapshotFields):
    """What a volume was at one time; clones are made of it: `masters/osol-0811@version-01`."""

    __slots__ = ()

    def __new__(cls, project: str, volume: str, snapshot: str) -> "Snapshot":
        """BadNameError unless all are words."""
        parts = (_word(project, "project"), _word(volume, "volume"), _word(snapshot, "snapshot"))
        return super().__new__(cls, *parts)

    def __str__(self) -> str:
        return f"{self.project}/{self.volume}@{self.snapshot}"

    @property
    def parent(self) -> Volume:
        """The volume it was taken of."""
        return Volume(self.project, self.volume)


Name = Project | Volume | Snapshot


def parse_project(text: str) -> Project:
    """`appl-1`; BadNameError."""
    if "/" in text or "@" in text or ":" in text:
        raise BadNameError(f"{_shown(text)}: a project is one word without '/', ':' and '@', such as appl-1")
    return Project(text)


def parse_volume(text: str) -> Volume:
    """`appl-1/vm-1`; BadNameError."""
    project, slash, volume = text.partition("/")
    if slash and "/" not in volume and "@" not in volume:
        return Volume(project, volume)
    hint = {
        "@" in text: "leave out the snapshot after '@'",
        text.count(":") == 1 and not slash: f"write {_shown(text.replace(':', '/'))}",
    }
    advice = hint.get(True, "write PROJECT/VOLUME")
    raise BadNameError(f"{_shown(text)}: a volume is PROJECT/VOLUME, such as appl-1/vm-1: {advice}")


def parse_snapshot(text: str) -> Snapshot:
    """`masters/osol-0811@version-01`; BadNameError."""
    volume, at, snapshot = text.partition("@")
    project, slash, name = volume.partition("/")
    if at and slash and "/" not in name and "@" not in snapshot:
        return Snapshot(project, name, snapshot)
    advice = "write PROJECT/VOLUME@SNAPSHOT" if at else "add which one after '@'"
    raise BadNameError(f"{_shown(text)}: a snapshot is such as masters/osol-0811@version-01: {advice}")


def parse_domain(text: str) -> Volume:
    """The volume that the domain `appl-1:vm-1` runs on; BadNameError."""
    project, colon, volume = text.partition(":")
    if colon and ":" not in volume and "/" not in text:
        return Volume(project, volume)
    advice = f"write {_shown(text.replace('/', ':'))}" if text.count("/") == 1 and not colon else "write PROJECT:GUEST"
    raise BadNameError(f"{_shown(text)}: a domain is PROJECT:GUEST, such as appl-1:vm-1: {advice}")


def parse_name(text: str) -> Name:
    """A project, volume or snapshot, whichever it has the form of; BadNameError."""
    if "@" in text:
        return parse_snapshot(text)
    return parse_volume(text) if "/" in text else parse_project(text)


def iqn_authority(text: str) -> str:
    """The site's part of its IQNs, `iqn.2026-11.com.example`, as given; BadNameError."""
    if not _AUTHORITY.fullmatch(text):
        raise BadNameError(
            f"{_shown(text)}: write iqn., the year and month from which the domain is yours, and the domain reversed: "
            "iqn.2026-11.com.example"
        )
    if len(text) > AUTHORITY_CHARS_MAX:
        raise BadNameError(f"{_shown(text)}: {len(text)} characters: {AUTHORITY_CHARS_MAX} at most")
    return text


def site_authority(domain: str, since: str) -> str:
    """The authority of a site that owns `domain` ("example.com") since `since` ("2026-11"); BadNameError."""
    return iqn_authority(f"iqn.{since}.{'.'.join(reversed(domain.lower().rstrip('.').split('.')))}")


def initiator(text: str) -> str:
    """The name of a hypervisor's initiator, as given; BadNameError."""
    if not _INITIATOR.fullmatch(text) or len(text) > IQN_BYTES_MAX:
        raise BadNameError(
            f"{_shown(text)}: not an initiator's name: look it up on the hypervisor "
            "(InitiatorName= in /etc/iscsi/initiatorname.iscsi; iscsiadm list initiator-node)"
        )
    return text


def unknown(name: Name | str, known: Iterable[Name | str], what: str) -> str:
    """One line for a name that does not exist, with the nearest of those that do."""
    near = difflib.get_close_matches(str(name), [str(one) for one in known], n=1, cutoff=NEAR_ENOUGH)
    return f"{name}: no such {what}: " + (f"did you mean {near[0]}?" if near else "see the list of those there are")


def _word(text: str, what: str) -> str:
    if not text:
        raise BadNameError(f"the name of the {what} is missing: write {WORD_RULE}")
    if _WORD.fullmatch(text) and len(text) <= WORD_CHARS_MAX:
        return text
    if _WORD.fullmatch(text):
        raise BadNameError(
            f"{_shown(text)}: {len(text)} characters are too many for a {what}: {WORD_CHARS_MAX} at most"
        )
    lower = re.sub(r"[^a-z0-9.-]+", "-", text.lower(), flags=re.ASCII).strip("-.")[:WORD_CHARS_MAX].rstrip("-.")
    meant = f"did you mean {lower}? Use " if lower else "use "
    raise BadNameError(f"{_shown(text)}: not a name of a {what}: {meant}{WORD_RULE}")


def _shown(text: str) -> str:
    start = text[: SHOWN_CHARS_MAX + 1]
    shown = start if start.isprintable() else ascii(start)  # up to ten characters for one
    return shown if len(shown) <= SHOWN_CHARS_MAX else shown[:SHOWN_CHARS_MAX] + "..."
