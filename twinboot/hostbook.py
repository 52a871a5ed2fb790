"""Adding and removing a host: its file, its macros, its reserved addresses, in an order that may stop anywhere.

Adding writes bindings and macros first and the file last; removing takes the file first. The file makes the host
known, so whatever a crash leaves behind is harmless, and repeating the command finishes the work.

A reservation bears the host's name as its comment: the DNS and the macro flag Hostname take it from there. Removing a
host gives an address that has a neighbour in the pool back to the pool, and takes any other out of the table.
"""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from jumpstart.hostfile import to_toml
from jumpstart.model import Hypervisor, Link
from pxe.firmware import GRUB_MENU_SYMBOL, host_macros
from storage.records import BOOTP, FREE_ID, MACRO, MANUAL, SYMBOL, Binding, Change, Records, TabEntry, durable
from twinboot import networks, stores
from twinboot.config import Config
from twinboot.faults import Stop

__all__ = ["add", "client_id", "remove"]

COMMENT_BYTES_MAX = 48  # a longer name is only in the host file


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
        table = networks.container(config, records, IPv4Address(link.address))
        bound = {row.address: row for row in stores.rows(records, table, Binding)}
        old = bound.get(int(IPv4Address(link.address)))
        new = _reservation(config, old, link, _comment(host, link))
        if new == old:
            continue
        if old and old.client_id not in (FREE_ID, new.client_id):
            wrong.append(f"{link.address} is bound to client {old.client_id.hex().upper()}: choose a free address")
        changes.append(Change(table, old, new))
    if wrong:
        raise Stop(*wrong)
    return changes


def _comment(host: Hypervisor, link: Link) -> str:
    """The name of a link's address, as in the DNS: the host's for its first address, `hv1-be0` for others."""
    main = next(one for one in host.links if one.address)
    name = host.name if link is main else f"{host.name}-{link.name}"
    return name if len(name.encode()) <= COMMENT_BYTES_MAX else ""


def _reservation(config: Config, old: Binding | None, link: Link, comment: str) -> Binding:
    if old and (old.client_id, old.flags) == (client_id(link.mac), MANUAL):
        return old._replace(comment=old.comment or comment)
    base = old or Binding(int(IPv4Address(link.address)), FREE_ID, 0, int(config.address), 0, 0, config.server, "")
    comment = base.comment or comment  # what people have written there stays
    return base._replace(client_id=client_id(link.mac), flags=MANUAL, lease_s=0, comment=comment)


def _write_new(path: Path, text: str) -> None:
    """Write a file that must not be there yet, in one step."""
    try:
        durable.create(path, text.encode())
    except FileExistsError:
        raise Stop(
            f"{path}: somebody else has just added this host: look at `twinboot host show {path.stem}`"
        ) from None


def remove(config: Config, records: Records, name: str, host: Hypervisor | None) -> None:
    """Forget a host: file, macros, reservations. `host` is None when its file cannot be read."""
    with suppress(FileNotFoundError):
        (config.hosts_dir / f"{name}.toml").unlink()
    if host is None:
        return
    found = stores.reservations(records, stores.containers(records), [client_id(link.mac) for link in host.links])
    names = {host.name, *(f"{host.name}-{link.name}" for link in host.links)}
    pools = {table: _pool(records, table) for table, _ in found}
    changes = [Change(table, row, _freed(row, names, pools[table])) for table, row in found]
    macros = {name for name, _ in host_macros(host)}
    entries = stores.rows(records, stores.DHCPTAB, TabEntry)
    changes += [Change(stores.DHCPTAB, row, None) for row in entries if row.kind == MACRO and row.name in macros]
    stores.commit(records, changes)


def _pool(records: Records, table: str) -> set[int]:
    return {row.address for row in stores.rows(records, table, Binding) if not row.flags & (MANUAL | BOOTP)}


def _freed(row: Binding, names: set[str], pool: set[int]) -> Binding | None:
    """The binding once its host is gone; None: it goes as well."""
    if row.comment and row.comment not in names:
        return row._replace(client_id=FREE_ID, flags=0, lease_s=0)
    if row.address - 1 in pool or row.address + 1 in pool:
        return row._replace(client_id=FREE_ID, flags=0, lease_s=0, comment="")
    return None
