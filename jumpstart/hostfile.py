"""The host file, `hosts/NAME.toml`: text to `Hypervisor` and back.

Every fault of a file is found in one reading, each with its key and the way out; there is no half-read host. The
keys are three tables, `HOST_KEYS`, `GUESTS_KEYS` and `LINK_KEYS`: a new key is one row here, one field in `model.py`
and one line in docs/hosts.md. Writing then reading gives the same host back.
"""

import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from jumpstart import values
from jumpstart.model import Console, Dom0Mem, HostFault, Hypervisor, Link
from jumpstart.targets import TARGETS

LIST_MAX = 256  # entries in one list, links included: far above any real host, far below a nuisance


class HostError(Exception):
    """A host file that cannot be used; `faults` holds everything wrong with it."""

    def __init__(self, faults: Iterable[HostFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(map(str, self.faults)))


def _install_target(text: str) -> str:
    if text not in TARGETS:
        raise ValueError(f"{text!r} is not an install target{_nearest(text, TARGETS)}")
    return text


class Key(NamedTuple):
    """One key of a table: the field it fills, its shape, whether it is a list, whether it must be there, a comment."""

    field: str
    shape: Callable[[str], Any]
    many: bool = False
    required: bool = False
    note: str = ""


HOST_KEYS: Mapping[str, Key] = {
    "name": Key("name", values.label, required=True),
    "segment": Key("segment", values.segment, required=True, note="the physical network: odd or even"),
    "target": Key("install_target", _install_target, required=True, note="what `twinboot install` puts on it"),
    "dom0_mem": Key("dom0_mem", Dom0Mem.parse, note="memory of dom0; the rest is for guests"),
    "console": Key("console", Console.parse, note="serial console of Xen and dom0"),
    "root_mirror": Key("root_mirror", values.disk, many=True, note="disks of the mirrored root"),
    "relocation_address": Key("relocation_address", values.host_address, note="listens here for live migrations"),
    "relocation_peers": Key("relocation_peers", values.peer, many=True, note="who may migrate guests to it"),
    "services_off": Key("services_off", values.service, many=True),
    "packages": Key("packages", values.package, many=True),
    "root_password_hash": Key("root_password_hash", values.password_hash, note="from `openssl passwd -6`"),
    "ssh_keys": Key("ssh_keys", values.ssh_key, many=True),
}
LINK_KEYS: Mapping[str, Key] = {
    "mac": Key("mac", values.mac, required=True),
    "device": Key("device", values.device),
    "network": Key("network", values.label),
    "address": Key("address", values.host_address),
}
GUESTS_KEYS: Mapping[str, Key] = {
    "uri": Key("guests_uri", values.uri, note="where its hypervisor is asked"),
    "initiator": Key("guests_initiator", values.initiator, note="its name to the storage"),
}
"""The table [hypervisor]: for hosts that the site's rule ([guests] of twinboot.toml) does not fit."""


def _nearest(word: str, valid: Iterable[str]) -> str:
    names = list(valid)
    close = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; use one of: {', '.join(names)}"


class _Reader:
    """Reads tables by their key rows and gathers every fault on the way."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[HostFault] = []

    def fault(self, key: str, reason: str) -> None:
        self.faults.append(HostFault(self.file, key, reason))

    def fields(
        self, table: Mapping[str, Any], keys: Mapping[str, Key], prefix: str, others: tuple[str, ...]
    ) -> dict[str, Any]:
        """Canonical values by field name; whatever is missing, unknown or wrong becomes a fault."""
        for name in table:
            if name not in keys and name not in others:
                self.fault(prefix + repr(name)[1:-1], "unknown key" + _nearest(name, (*keys, *others)))
        found: dict[str, Any] = {}
        for name, key in keys.items():
            if name in table:
                value = self.value(prefix + name, table[name], key)
                if value is not None:
                    found[key.field] = value
            elif key.required:
                self.fault(prefix + name, f'missing; add the line `{name} = "..."`')
        return found

    def value(self, where: str, raw: object, key: Key) -> Any:
        if not key.many:
            return self.item(where, raw, key.shape)
        if not isinstance(raw, list):
            return self.fault(where, 'must be a list; write it as ["first", "second"]')
        if len(raw) > LIST_MAX:
            return self.fault(where, f"has {len(raw)} entries; at most {LIST_MAX} are allowed")
        items = [self.item(f"{where}[{n}]", item, key.shape) for n, item in enumerate(raw)]
        return tuple(item for item in items if item is not None)

    def item(self, where: str, raw: object, shape: Callable[[str], Any]) -> Any:
        if not isinstance(raw, str):
            return self.fault(where, f"must be text; put {str(raw)[:40]!r} between double quotes")
        try:
            return shape(values.one_line(raw))
        except ValueError as error:
            return self.fault(where, str(error))

    def table(self, table: Mapping[str, Any], name: str, keys: Mapping[str, Key]) -> dict[str, Any]:
        """The fields of a table that may be missing."""
        raw = table.get(name, {})
        if not isinstance(raw, dict):
            self.fault(name, f"must be a table; write [{name}] and its keys below")
            return {}
        return self.fields(raw, keys, f"{name}.", ())

    def links(self, raw: object) -> tuple[Link, ...]:
        if not isinstance(raw, dict) or not raw:
            self.fault("links", 'a host needs a link; add [links.fe0] with mac = "..."')
            return ()
        found = []
        for name, table in list(raw.items())[:LIST_MAX]:
            where = f"links.{repr(name)[1:-1]}"
            good_name = self.item(where, name, values.link_name)
            if not isinstance(table, dict):
                self.fault(where, f"must be a table; write [{where}] and its keys below")
                continue
            fields = self.fields(table, LINK_KEYS, where + ".", ())
            if good_name is not None and "mac" in fields:
                found.append(Link(name=good_name, **fields))
        self.unique_links(found)
        return tuple(found)

    def unique_links(self, links: list[Link]) -> None:
        for field in ("mac", "address", "device"):
            seen: dict[str, str] = {}
            for link in links:
                value = getattr(link, field)
                if value and seen.setdefault(value, link.name) != link.name:
                    self.fault(
                        f"links.{link.name}.{field}", f"{value} is also that of {seen[value]}; give each link its own"
                    )


def from_table(table: Mapping[str, Any], file: str) -> Hypervisor:
    """Make a host of parsed TOML (or of a command's arguments). HostError holds every fault, each naming `file`."""
    reader = _Reader(file)
    fields = reader.fields(table, HOST_KEYS, "", ("hypervisor", "links"))
    fields |= reader.table(table, "hypervisor", GUESTS_KEYS)
    links = reader.links(table.get("links"))
    if reader.faults:
        raise HostError(reader.faults)
    return Hypervisor(links=links, **fields)


def from_toml(text: str, file: str) -> Hypervisor:
    """Read a host file's text. HostError holds every fault; `file` is the name people see in them."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise HostError([HostFault(file, "", f"not TOML: {error}; correct that place")]) from None
    except RecursionError:  # thousands of nested brackets: tomllib recurses once for each
        raise HostError([HostFault(file, "", "nested too deep; a host file has tables of one level only")]) from None
    return from_table(table, file)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _lines(source: object, keys: Mapping[str, Key]) -> Iterable[str]:
    for name, key in keys.items():
        value = getattr(source, key.field)
        if isinstance(value, tuple) and value:
            yield f"{name} = [{', '.join(map(_quoted, value))}]" + (f"  # {key.note}" if key.note else "")
        elif not isinstance(value, tuple) and str(value):
            yield f"{name} = {_quoted(str(value))}" + (f"  # {key.note}" if key.note else "")


def to_toml(host: Hypervisor) -> str:
    """The host file's text: keys in the order of the tables above, empty ones left out; `from_toml` reads it back."""
    lines = list(_lines(host, HOST_KEYS))
    for link in host.links:
        lines += ["", f"[links.{link.name}]", *_lines(link, LINK_KEYS)]
    if guests := list(_lines(host, GUESTS_KEYS)):
        lines += ["", "[hypervisor]", *guests]
    return "\n".join(lines) + "\n"
