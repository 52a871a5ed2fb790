"""A guest as its row in the records tells it, and what a person wished it to be: frozen values, no I/O.

Rules of the room:

* The row's name is the domain's, `appl-1:vm-1`; project and volume follow from it and are not kept again.
* A link is known by its name. What is known of it (MAC, address, the host name that goes with the address) is one
  `Nic`; the row keeps them as words, in the order that the guest is to see them.
* `Work` says which command is at work on the guest, in which process, and which steps are its own: a rerun goes on with
  them, and only they are undone. It is written before the first step and taken away after the last.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from guests.domain import DomainInfo, Kind, Link
from guests.faults import Refused
from storage.records import Guest, ipv4_int
from storage.volumes.names import NEAR_ENOUGH, BadNameError, Volume, parse_domain, parse_volume

TABLE = "guests"
MEMORY_MIB = (16, 2**24)
"""Of one guest: less boots nothing, more is a mistyped unit."""

VCPUS = (1, 512)
LINKS_MAX = 8

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.ASCII)


class State(StrEnum):
    """How far a guest has come. Whether it runs is up to its hypervisor."""

    CLONED = "cloned"
    DEFINED = "defined"


class Nic(NamedTuple):
    """One link of a guest and what is known of it; empty where nothing is."""

    link: str
    mac: str = ""
    address: str = ""
    host: str = ""


class Work(NamedTuple):
    """A command at work: its name, the machine and process it runs in (and when that began), and its own steps."""

    command: str
    node: str
    pid: int
    began: int
    steps: tuple[str, ...]


class Wish(NamedTuple):
    """What a guest is to be: `domu-init KIND LINKS SEGMENT MEMORY_MIB VCPUS`."""

    kind: Kind
    links: tuple[str, ...]
    segment: str
    memory_mib: int
    vcpus: int


def volume_of(name: str) -> Volume:
    """The volume of a guest, whichever of its two names is given: `appl-1:vm-1`, `appl-1/vm-1`; BadNameError."""
    return parse_volume(name) if "/" in name else parse_domain(name)


def nics(row: Guest) -> tuple[Nic, ...]:
    """The row's links; words that are none are left out."""
    found = [word.split(",") for word in row.links.split()]
    return tuple(Nic(*parts) for parts in found if len(parts) <= len(Nic._fields))


def links_text(links: Iterable[Nic]) -> str:
    """The links as the row keeps them."""
    return " ".join(",".join(nic).rstrip(",") for nic in links)


def flaw(row: Guest) -> str:
    """What makes a row one that no command wrote; empty if nothing does."""
    try:
        parse_domain(row.guest)
    except BadNameError as error:
        return str(error)
    if row.state not in set(State):
        return f"{row.guest}: its state {row.state!r} is none"
    if row.domain_kind not in ("", *(kind.value for kind in Kind)):
        return f"{row.guest}: its kind {row.domain_kind!r} is none"
    words = row.links.split()
    if len(nics(row)) < len(words) or not all(_is_address(nic.address) and _is_mac(nic.mac) for nic in nics(row)):
        return f"{row.guest}: its links {row.links!r} cannot be read"
    return ""


def _is_address(text: str) -> bool:
    try:
        return not text or bool(ipv4_int(text))
    except ValueError:
        return False


def _is_mac(text: str) -> bool:
    return not text or _MAC.fullmatch(text) is not None


def with_macs(links: Iterable[Nic], known: Iterable[Link]) -> tuple[Nic, ...]:
    """The links with the MAC addresses that a hypervisor tells, by link name."""
    macs = {link.name: link.mac for link in known}
    return tuple(nic._replace(mac=macs.get(nic.link, nic.mac)) for nic in links)


def with_known_macs(row: Guest | None, links: Iterable[Nic]) -> tuple[Nic, ...]:
    """The links with the MAC addresses that the row has of them."""
    return with_macs(links, [Link(nic.link, nic.mac) for nic in nics(row) if nic.mac] if row else [])


def work_text(work: Work) -> str:
    """The work as the row keeps it."""
    return " ".join([work.command, work.node, str(work.pid), str(work.began), *work.steps])


def read_work(text: str) -> Work | None:
    """The work that a row tells of; None if there is none. What cannot be read is nobody's, and has no steps."""
    words = text.split()
    if not words:
        return None
    if len(words) < 4 or not (words[2].isdigit() and words[3].isdigit()):
        return Work(words[0], "", 0, 0, ())
    return Work(words[0], words[1], int(words[2]), int(words[3]), tuple(words[4:]))


def wish_of(row: Guest) -> Wish | None:
    """What the row says the guest is to be; None before it was told."""
    if not row.domain_kind:
        return None
    return Wish(Kind(row.domain_kind), tuple(nic.link for nic in nics(row)), row.segment, row.memory_mib, row.vcpus)


def wish_differs(row: Guest, wish: Wish) -> list[str]:
    """In what a wish differs from what the row says, a phrase each."""
    had = wish_of(row)
    if had is None:
        return []
    pairs = zip(Wish._fields, had, wish, strict=True)
    return [f"{name} {_shown(old)}, not {_shown(new)}" for name, old, new in pairs if old != new]


def is_as_wished(domain: DomainInfo, wish: Wish) -> bool:
    """Whether a defined domain is what was wished."""
    links = {link.name for link in domain.links}
    return (domain.memory_mib, domain.vcpus, links) == (wish.memory_mib, wish.vcpus, set(wish.links))


def read_kind(text: str) -> Kind:
    """`pv` or `hvm`; Refused."""
    return Kind(one_of(text.lower(), [kind.value for kind in Kind], "kind of guest"))


def read_links(text: str, prefixes: Sequence[str]) -> tuple[str, ...]:
    """`fe-be` as `fe0` and `be0`; a word that ends in a digit stands for itself. Refused."""
    words = text.lower().replace(",", "-").split("-")
    if len(words) > LINKS_MAX:
        raise Refused(f"{text!r}: {len(words)} links: {LINKS_MAX} at most")
    links = []
    for word in words:
        prefix = word.rstrip("0123456789")
        one_of(prefix, prefixes, f"link ({text!r} is to be links' prefixes joined by '-', such as fe-be)")
        links.append(word if word != prefix else f"{word}0")
    if len(set(links)) < len(links):
        raise Refused(f"{text!r}: a link stands there twice: name each once")
    return tuple(links)


def read_count(text: str, what: str, bounds: tuple[int, int]) -> int:
    """A whole number; Refused."""
    low, high = bounds
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
        raise Refused(f"{what} {text!r}: write a whole number from {low} to {high}")
    return int(text)


def one_of(text: str, known: Iterable[str], what: str) -> str:
    """The text, if it is known; Refused with the nearest of those that are."""
    names = sorted(known)
    if text in names:
        return text
    near = difflib.get_close_matches(text, names, n=1, cutoff=NEAR_ENOUGH)
    if near:
        raise Refused(f"{text!r} is no {what}: did you mean {near[0]}?")
    raise Refused(f"{text!r} is no {what}: " + (f"use one of {', '.join(names)}" if names else "there is none"))


def _shown(value: object) -> str:
    if isinstance(value, Kind):
        return value.value
    return ",".join(value) if isinstance(value, tuple) else str(value)
