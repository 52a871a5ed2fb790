"""Adding and removing a host: its file, its macros, its reserved addresses, in an order that may stop anywhere.

Adding writes bindings and macros first and the file last; removing takes the file first. The file makes the host
known, so whatever a crash leaves behind is harmless, and repeating the command finishes the work.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from jumpstart.hostfile import to_toml
from jumpstart.model import Hypervisor
from pxe.firmware import GRUB_MENU_SYMBOL, host_macros
from storage.records import FREE_ID, MACRO, MANUAL, SYMBOL, Binding, Change, Records, TabEntry
from twinboot import stores
from twinboot.config import Config
from twinboot.faults import Stop

__all__ = ["add", "client_id", "remove"]

KEPT = "reserved by twinboot host add"
ADDED = "added by twinboot host add"
"""Comments of a binding: one that was free before goes back to being free, one that we added goes away."""


def client_id(mac: str) -> bytes:
    """What a boot ROM is known by: hardware type 1 and its MAC (RFC 2132 section 9.14)."""
    return b"\1" + bytes.fromhex(mac.replace(":", ""))


def add(config: Config, records: Records, host: Hypervisor) -> Path:
    """Make `host` known to both servers; returns its file. Stop if anything of it belongs to another."""
    path = config.hosts_dir / f"{host.name}.toml"
    _refuse_disputed(config, host, path)
    changes = _binding_changes(config, records, host)
    wanted = [TabEntry(GRUB_MENU_SYMBOL[0], SYMBOL, 0, GRUB_MENU_SYMBOL[1])]
    wanted += [TabEntry(name, MACRO, 0, text) for name, text in host_macros(host)]
    stores.commit(records, changes + stores.entry_changes(records, wanted))
    _write_new(path, to_toml(host))
    return path


def _refuse_disputed(config: Config, host: Hypervisor, path: Path) -> None:
    known = stores.hosts(config)
    if path.exists():
        raise Stop(f"{path}: host {host.name} exists: edit its file, or `twinboot host remove {host.name}` first")
    wrong = [
        f"MAC {link.mac} belongs to {known.by_mac[link.mac].name}: correct --mac, or remove that host first"
        for link in host.links
        if link.mac in known.by_mac
    ]
    taken = {link.address: other.name for other in known.by_name.values() for link in other.links if link.address}
    wrong += [
        f"address {link.address} belongs to {taken[link.address]}: choose another"
        for link in host.links
        if link.address in taken
    ]
    if wrong:
        raise Stop(*wrong)


def _binding_changes(config: Config, records: Records, host: Hypervisor) -> list[Change]:
    changes: list[Change] = []
    wrong: list[str] = []
    for link in host.links:
        if not link.address:
            continue
        table = stores.container(config, records, IPv4Address(link.address))
        bound = {row.address: row for row in stores.rows(records, table, Binding)}
        old = bound.get(int(IPv4Address(link.address)))
        new = _reservation(config, old, link.mac, link.address)
        if old and old.client_id == new.client_id and old.flags == new.flags:
            continue
        if old and old.client_id not in (FREE_ID, new.client_id):
            wrong.append(f"{link.address} is bound to client {old.client_id.hex().upper()}: choose a free address")
        changes.append(Change(table, old, new))
    if wrong:
        raise Stop(*wrong)
    return changes


def _reservation(config: Config, old: Binding | None, mac: str, address: str) -> Binding:
    fresh = Binding(int(IPv4Address(address)), FREE_ID, 0, int(config.address), 0, 0, config.server, ADDED)
    base = old._replace(comment=old.comment or KEPT) if old else fresh
    return base._replace(client_id=client_id(mac), flags=MANUAL, lease_s=0)


def _write_new(path: Path, text: str) -> None:
    """Write a file that must not be there yet, in one step: a link, unlike a rename, never replaces."""
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, 0o644)
            file.write(text)
            file.flush()
            os.fsync(handle)
        os.link(temporary, path)
    except FileExistsError:
        raise Stop(
            f"{path}: somebody else has just added this host: look at `twinboot host show {path.stem}`"
        ) from None
    finally:
        os.unlink(temporary)


def remove(config: Config, records: Records, name: str, host: Hypervisor | None) -> None:
    """Forget a host: file, macros, reservations. `host` is None when its file cannot be read."""
    with suppress(FileNotFoundError):
        (config.hosts_dir / f"{name}.toml").unlink()
    if host is None:
        return
    found = stores.reservations(records, stores.containers(records), [client_id(link.mac) for link in host.links])
    changes = [Change(table, row, _freed(row)) for table, row in found]
    macros = {name for name, _ in host_macros(host)}
    entries = stores.rows(records, stores.DHCPTAB, TabEntry)
    changes += [Change(stores.DHCPTAB, row, None) for row in entries if row.kind == MACRO and row.name in macros]
    stores.commit(records, changes)


def _freed(row: Binding) -> Binding | None:
    if row.comment == ADDED:
        return None
    return row._replace(client_id=FREE_ID, flags=0, lease_s=0, comment="" if row.comment == KEPT else row.comment)
