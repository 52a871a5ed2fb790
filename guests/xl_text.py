"""What xl and its host say, as values, and what we write down on it: no I/O.

A definition is a file `<domain>.cfg` whose first line is ours, `# twinboot {...}`: xl itself keeps neither MAC
addresses nor domains that are off. What others defined has no such line, and is known while it runs.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from guests.domain import DomainInfo, DomainSpec, Kind, Link, State
from storage.volumes.names import parse_domain

MARK = "# twinboot "
XEN_OUI = "00:16:3e"
"""Xen's own, for virtual interfaces (xen-vbd-interface(7) speaks of it, IEEE registered it to XenSource)."""

ROWS_MAX = 10_000
"""Of any table: a host runs some thousand domains at most."""

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
_ROW = re.compile(r"(\S.*?)\s+(\d+)\s+(\d+)\s+(\d+)\s+([-a-z]{6})\s+[\d.]+\s*", re.ASCII)
_FIELD = re.compile(r"(\w+)\s*: ?(.*)", re.ASCII)


class Definition(NamedTuple):
    """What is kept of a domain on its host."""

    name: str
    uuid: str
    kind: Kind
    memory_mib: int
    vcpus: int
    links: tuple[Link, ...]
    iqn: str
    portal: str
    lun: int

    def info(self, state: State) -> DomainInfo:
        """As the port tells it."""
        return DomainInfo(self.name, self.uuid, state, self.memory_mib, self.vcpus, self.links, self.iqn)


class Row(NamedTuple):
    """A domain in `xl list`."""

    domid: int
    memory_mib: int
    vcpus: int
    state: State


class Facts(NamedTuple):
    """What `xl info` tells."""

    memory_mib: int
    free_mib: int
    cpus: int
    version: str
    caps: frozenset[str]

    def moves_live(self, kind: Kind) -> bool:
        """Whether memory that changes can be tracked: PV guests need shadow paging, which some builds leave out."""
        return bool(self.caps & ({"shadow"} if kind is Kind.PV else {"shadow", "hap"}))


def define(spec: DomainSpec, old: Definition | None) -> Definition:
    """The definition of a spec; links that it had keep their MAC addresses."""
    known = {link.name: link.mac for link in (*(old.links if old else ()), *spec.macs)}
    links = tuple(Link(name, known.get(name) or mac(spec.uuid, name)) for name in spec.links)
    size = (spec.memory_mib, spec.vcpus)
    return Definition(spec.name, spec.uuid, spec.kind, *size, links, spec.disk.iqn, spec.disk.portal, spec.disk.lun)


def mac(uuid: str, link: str) -> str:
    """The address of a link for as long as the domain has its uuid; the first bit is 0, as xend made them."""
    tail = hashlib.sha256(f"{uuid} {link}".encode()).digest()
    return f"{XEN_OUI}:{tail[0] & 0x7F:02x}:{tail[1]:02x}:{tail[2]:02x}"


def head(definition: Definition) -> str:
    """The first line of its file."""
    return MARK + json.dumps({**definition._asdict(), "kind": definition.kind.value})


def parse_heads(text: str) -> dict[str, Definition]:
    """All definitions in first lines of files; what is not ours, or damaged, is left out."""
    found = {}
    for line in text.splitlines()[:ROWS_MAX]:
        if line.startswith(MARK) and (one := _definition(line[len(MARK) :])):
            found[one.name] = one
    return found


def _definition(text: str) -> Definition | None:
    try:
        row: dict[str, Any] = json.loads(text)
        links = tuple(Link(str(name), str(address)) for name, address in row["links"])
        words = (str(row["name"]), str(row["uuid"]), Kind(row["kind"]), int(row["memory_mib"]), int(row["vcpus"]))
        parse_domain(words[0])
        return Definition(*words, links, str(row["iqn"]), str(row["portal"]), int(row["lun"]))
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None


def parse_list(text: str) -> dict[str, Row]:
    """The table of `xl list`, without dom0 and without what is being torn down (it has no name)."""
    found = {}
    for line in text.splitlines()[:ROWS_MAX]:
        match = _ROW.fullmatch(line.strip())
        if match and int(match[2]) != 0 and match[1] != "(null)":
            found[match[1]] = Row(int(match[2]), int(match[3]), int(match[4]), _state(match[5]))
    return found


def _state(flags: str) -> State:
    """`r` and `b` run, or wait to; none of the letters is a domain that could run and does not just now."""
    for letter, state in (("d", State.OTHER), ("c", State.CRASHED), ("s", State.OFF), ("p", State.PAUSED)):
        if letter in flags:
            return state
    return State.RUNNING


def parse_long(text: str) -> dict[str, DomainInfo]:
    """Domains in the JSON of `xl list -l`, all as running: that table has no states. ValueError."""
    try:
        rows = json.loads(text) if text.strip() else []
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(rows, list):
        raise ValueError("not a list of domains")
    found = {}
    for row in rows[:ROWS_MAX]:
        domid, config = _dict(row).get("domid"), _dict(_dict(row).get("config"))
        create, build = _dict(config.get("c_info")), _dict(config.get("b_info"))
        name = create.get("name")
        if domid != 0 and isinstance(name, str):
            size = (_int(build.get("max_memkb")) // 1024, _int(build.get("max_vcpus")) or 1)
            links = tuple(sorted(_links(config.get("nics"))))
            uuid = str(create.get("uuid", ""))
            found[name] = DomainInfo(name, uuid, State.RUNNING, *size, links, _iqn(config.get("disks")))
    return found


def _links(nics: object) -> Iterable[Link]:
    for nic in nics if isinstance(nics, list) else []:
        bridge, address = _dict(nic).get("bridge"), str(_dict(nic).get("mac", "")).lower()
        if isinstance(bridge, str) and _MAC.fullmatch(address):
            yield Link(bridge, address)


def _iqn(disks: object) -> str:
    for disk in disks if isinstance(disks, list) else []:
        for part in str(_dict(disk).get("pdev_path", "")).split(","):
            if part.startswith("iqn="):
                return part.removeprefix("iqn=")
    return ""


def parse_info(text: str) -> Facts:
    """`xl info`; ValueError when it is none."""
    matches = (_FIELD.fullmatch(line.rstrip()) for line in text.splitlines())
    fields = {match[1]: match[2] for match in matches if match}
    try:
        numbers = (int(fields["total_memory"]), int(fields["free_memory"]), int(fields["nr_cpus"]))
    except KeyError as error:
        raise ValueError(f"xl info lacks {error}") from error
    return Facts(*numbers, f"Xen {fields.get('xen_version', '?')}", frozenset(fields.get("virt_caps", "").split()))


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
