"""What virsh prints, read; and what libvirt says when it refuses, turned into the port's outcomes. Pure.

virsh prints libvirt's messages but not its error codes. Each code has one text of its own (`virErrorMsg` in libvirt's
virerror.c), and with LC_ALL=C they are always in English: `SAYINGS` is that table, as far as it matters, with what the
iSCSI initiator and the kernel say below it. The first that fits counts, so the more telling ones come first.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import NamedTuple

from guests import domainxml
from guests.domain import State
from guests.hypervisor import HypervisorError, Outcome

WORDS_CHARS_MAX = 400
MIB_KIB = 1024
EMULATOR = re.compile(r"(internal error: )?(process exited while connecting to monitor|QEMU unexpectedly closed).*\}: ")
"""What comes before QEMU's own reason: that it ended, and the disk's options in JSON."""

LOOK = "see whether libvirtd runs there and listens"

SAYINGS: Sequence[tuple[str, Outcome, str]] = (
    (r"failed to get domain|Domain not found", Outcome.NOT_FOUND, "see the list of its domains"),
    (r"Target not found|not ?found\(515\)", Outcome.NO_DISK, "let the host's initiator in: export the volume for it"),
    (r"Authentication failure|\(513\)", Outcome.NO_DISK, "the CHAP user or secret is not the target's"),
    (r"iSCSI|Failed to log ?in|Failed to connect to LUN", Outcome.NO_DISK, "see whether the target is served"),
    (r"no secret with matching|Secret not found", Outcome.NO_DISK, "define the domain again, with its CHAP secret"),
    (r"interface MTU on|bridge .*No such device|Network not found", Outcome.NO_LINK, "make the bridge on that host"),
    (r"Cannot allocate memory|cannot set up guest memory|not enough (free )?memory", Outcome.NO_MEMORY, "free some"),
    (r"already (running|active)", Outcome.ALREADY, "it runs"),
    (r"domain is not running", Outcome.ALREADY, "it is off"),
    (r"already exists|already defined", Outcome.ALREADY, "undefine that one first, or choose another name"),
    (r"state change lock|another (migration )?job|active job", Outcome.BUSY, "wait for the other job to end"),
    (r"host CPU|CPU (model|feature)|doesn't match|Unsafe migration|same host", Outcome.INCOMPATIBLE, "choose another"),
    (r"not supported by the connection driver|does not support", Outcome.INCOMPATIBLE, "this hypervisor cannot"),
    (r"[Aa]uthentication failed|access denied|Permission denied|Host key", Outcome.DENIED, "let this user in there"),
    (r"XML error|failed to validate|unsupported configuration|ABI stability", Outcome.INVALID, "see to the template"),
    (r"unable to connect|[Ff]ailed to connect|refused|Unable to resolve|[Nn]o route", Outcome.UNAVAILABLE, LOOK),
    (r"timed out|Cannot recv|End of file|socket is closed|keepalive|unreachable", Outcome.UNAVAILABLE, LOOK),
)
"""Pattern -> outcome, and what to do."""


class Memory(NamedTuple):
    """A host's memory as libvirt tells it: all of it, and what nothing uses now."""

    all_mib: int
    free_mib: int


def refusal(host: str, words: str) -> HypervisorError:
    """The port's error for virsh's complaints."""
    line = " ".join(part.strip().removeprefix("error: ") for part in words.splitlines() if part.strip())
    line = EMULATOR.sub("", line)[-WORDS_CHARS_MAX:] or "virsh failed without a word"
    for pattern, outcome, advice in SAYINGS:
        if re.search(pattern, line):
            return HypervisorError(outcome, f"{host}: {line}: {advice}")
    return HypervisorError(Outcome.FAILED, f"{host}: {line}")


def states(table: str) -> dict[str, State]:
    """What `list --all` prints without its heads: id, name, and the words of the state."""
    rows = [line.split(None, 2) for line in table.splitlines()]
    return {row[1]: domainxml.state(row[2]) for row in rows if len(row) == 3}


def fields(text: str) -> dict[str, str]:
    """Lines of `name: value`, as nodeinfo, nodememstats, freecell and domjobinfo print them."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def number(text: str) -> int:
    """The number at the start of `3145728 KiB`; 0 if there is none."""
    match = re.match(r"\d{1,18}", text)
    return int(match[0]) if match else 0


def memory(node_info: str, statistics: str) -> Memory:
    """What is free counts the kernel's caches; all of it where the driver tells nothing."""
    all_kib = number(fields(node_info).get("memory size", ""))
    told = fields(statistics)
    free_kib = sum(number(told.get(name, "")) for name in ("free", "buffers", "cached")) if told else all_kib
    return Memory(all_kib // MIB_KIB, min(free_kib, all_kib) // MIB_KIB)


def cell_mib(free_cell: str) -> int:
    """What Xen itself holds free, from `freecell`."""
    return number(fields(free_cell).get("total", "")) // MIB_KIB


def virt_type(capabilities_xml: str) -> str:
    """`kvm` where the host offers it, else `qemu`."""
    return "kvm" if "<domain type='kvm'" in capabilities_xml else "qemu"


def version(text: str) -> str:
    """`QEMU 7.2.22` of virsh's four lines."""
    return fields(text).get("running hypervisor", "unknown")


def names(table: str) -> list[str]:
    """The first column of a table of active things: below the line of dashes."""
    rows = table.partition("---\n")[2].splitlines()
    return [words[0] for row in rows if len(words := row.split()) >= 2 and words[1] == "active"]


def bridge(interface_xml: str) -> str:
    """The name of the interface if it is a bridge, else nothing."""
    try:
        root = ET.fromstring(interface_xml)  # noqa: S314 - expat bounds what entities may expand to
    except ET.ParseError:
        return ""
    return root.get("name", "") if root.get("type") == "bridge" else ""


def net_devices(listing: str) -> list[str]:
    """Names of network devices from those of node devices, `net_fe0_52_54_00_00_00_01`."""
    matches = (re.fullmatch(r"net_(.+?)((?:_[0-9a-f]{2}){6})?", line.strip()) for line in listing.splitlines())
    return [match[1] for match in matches if match]


def is_idle(text: str) -> bool:
    """Whether `domjobinfo` tells of no job; what it does not tell at all is no proof."""
    return fields(text).get("job type") == "None"


def job_bytes(text: str) -> tuple[int, int]:
    """Bytes done and in all of a migration, from `domjobinfo --rawstats`; zeros when there is none."""
    told = fields(text)
    all_bytes = number(told.get("data_total", told.get("memory_total", "")))
    left = number(told.get("data_remaining", told.get("memory_remaining", "")))
    return max(0, all_bytes - left), all_bytes
