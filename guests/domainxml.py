"""libvirt's XML of a domain, read: from a hypervisor of any age and dialect to the port's values. Pure.

A domain that is not ours (no iSCSI disk, interfaces on libvirt's own networks) is read as well: its `iqn` is empty, and
only its bridge interfaces are links.
"""

import re
import xml.etree.ElementTree as ET

from guests.domain import DomainInfo, Link, State

KIB_OF = {"b": 1 / 1024, "bytes": 1 / 1024, "k": 1, "kib": 1, "m": 1024, "mib": 1024, "g": 1 << 20, "gib": 1 << 20}
"""Units of <memory>, lower case; those of powers of ten appear in no dump."""

XML_CHARS_MAX = 1 << 20
MAC = re.compile(r"[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}")
IQN_IN_PATH = re.compile(r"(iqn\.[0-9]{4}-[0-9]{2}\.[a-z0-9.:-]+?)(?:-lun-[0-9]+|/[0-9]*)?$")

STATES = {
    "running": State.RUNNING,
    "idle": State.RUNNING,
    "blocked": State.RUNNING,
    "no state": State.RUNNING,
    "in shutdown": State.RUNNING,
    "paused": State.PAUSED,
    "shut off": State.OFF,
    "crashed": State.CRASHED,
}
"""What `virsh domstate` says. Xen shows a domain that waits for a processor as "no state"."""


def state(words: str) -> State:
    """The state in virsh's words."""
    return STATES.get(words.strip(), State.OTHER)


def parse(text: str, of_state: State) -> DomainInfo:
    """The domain in `text`; ValueError if it is none."""
    root = root_of(text)
    name, uuid = _text(root, "name"), _text(root, "uuid")
    if root.tag != "domain" or not name:
        raise ValueError("no <domain> with a <name>")
    vcpus = _text(root, "vcpu")
    return DomainInfo(
        name,
        uuid,
        of_state,
        _memory_mib(root),
        int(vcpus) if vcpus.isdecimal() and len(vcpus) < 6 else 1,
        tuple(_links(root)),
        _iqn(root),
    )


def with_initiator(text: str, initiator: str) -> str:
    """The definition with another host's initiator name on its iSCSI disks; ValueError."""
    root = root_of(text)
    for source in root.iterfind("devices/disk/source[@protocol='iscsi']"):
        for iqn in source.iterfind("initiator/iqn"):
            iqn.set("name", initiator)
    return ET.tostring(root, encoding="unicode")


def secret_usages(text: str) -> list[str]:
    """The names of the iSCSI secrets that the definition asks for; ValueError."""
    found = root_of(text).iterfind("devices/disk//secret[@type='iscsi']")
    return sorted({usage for secret in found if (usage := secret.get("usage"))})


def root_of(text: str) -> ET.Element:
    """The parsed text; ValueError if it is no XML, or too much of it."""
    if len(text) > XML_CHARS_MAX:
        raise ValueError(f"{len(text)} characters of XML: more than a domain has")
    try:
        return ET.fromstring(text)  # noqa: S314 - expat bounds what entities may expand to
    except ET.ParseError as error:
        raise ValueError(f"no XML: {error}") from error


def _text(root: ET.Element, path: str) -> str:
    return (root.findtext(path) or "").strip()


def _memory_mib(root: ET.Element) -> int:
    element = root.find("memory")
    if element is None:
        return 0
    words = (element.text or "").strip()
    unit = KIB_OF.get((element.get("unit") or "KiB").lower(), 1)
    return int(int(words) * unit) // 1024 if words.isdecimal() and len(words) < 16 else 0


def _links(root: ET.Element) -> list[Link]:
    found = []
    for interface in root.iterfind("devices/interface"):
        source, mac = interface.find("source"), interface.find("mac")
        bridge = source.get("bridge", "") if source is not None else ""
        if bridge:
            found.append(Link(bridge, _mac(mac.get("address", "") if mac is not None else "")))
    return found


def _mac(text: str) -> str:
    """Canonical, or empty if it is none: Solaris writes octets without their leading zero."""
    lower = text.strip().lower()
    return ":".join(octet.zfill(2) for octet in lower.split(":")) if MAC.fullmatch(lower) else ""


def _iqn(root: ET.Element) -> str:
    for source in root.iterfind("devices/disk/source"):
        if source.get("protocol") == "iscsi":
            return source.get("name", "").rpartition("/")[0] or source.get("name", "")
        if match := IQN_IN_PATH.search(source.get("dev", "")):
            return match[1]
    return ""
