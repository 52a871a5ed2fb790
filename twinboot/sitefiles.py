"""What a site begins with: the share's tree, its tables and macros, and the two configuration files.

Pure text and rows first, then `lay_share`, which adds what is missing and changes nothing that is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from pxe.firmware import GRUB_MENU_SYMBOL, class_macros
from pxe.installs import TABLE
from storage.records import FREE_ID, MACRO, SYMBOL, Binding, Change, Install, Records, TabEntry, open_records
from twinboot import stores
from twinboot.config import Network

__all__ = [
    "dhcpsvc_text",
    "firmware_entries",
    "free_rows",
    "lay_network",
    "lay_tables",
    "network_macro",
    "owners",
    "server_macro",
    "toml_text",
]


class Names(NamedTuple):
    """The words of a new twinboot.toml that are not a network."""

    site: str
    share: Path
    server: str
    segment: str
    address: IPv4Address
    state: Path
    dhcpsvc: Path
    user: str
    domain: str = ""


def toml_text(names: Names, networks: Iterable[Network]) -> str:
    """twinboot.toml of a new server. Values were checked by the readers of the configuration: none needs escaping."""
    lines = [
        "# twinboot.toml: see `docs/configuration.md` for every key.",
        "[site]",
        f'name = "{names.site}"',
        f'share = "{names.share}"',
        *([f'domain = "{names.domain}"'] if names.domain else []),
        "",
        "[server]",
        f'name = "{names.server}"',
        f'segment = "{names.segment}"',
        f'address = "{names.address}"',
        f'state = "{names.state}"',
        f'dhcpsvc = "{names.dhcpsvc}"',
        f'user = "{names.user}"',
    ]
    for network in networks:
        lines += ["", f"[networks.{network.name}]", f'subnet = "{network.subnet}"']
        lines += [f'router = "{network.router}"'] if network.router else []
        lines += [f'link = "{network.link}"'] if network.link else []
    lines += ["", "# [storage]             # take the marks away where this server is to keep guests' disks:"]
    lines += ['# backend = "local"     # docs/volumes.md']
    return "\n".join(lines) + "\n"


def dhcpsvc_text(share: Path, owned: Iterable[IPv4Address], devices: Iterable[str], resource: str) -> str:
    """dhcpsvc.conf of a new server: every address in `owned` is answered for, on all `devices`."""
    addresses = ",".join(str(address) for address in owned)
    return (
        f"DAEMON_ENABLED=TRUE\nRESOURCE={resource}\nRUN_MODE=server\n"
        f"PATH={share}/dhcp\nCONVER=1\nOWNER_IP={addresses}\nINTERFACES={','.join(devices)}\nRESCAN_INTERVAL=1\n"
    )


def network_macro(network: Network, domain: str | None, name_server: IPv4Address | None = None) -> TabEntry:
    """The macro of a network, named by its number: what every machine there is told.

    `domain` and `name_server` are those of the site, for a network that has none of its own.
    """
    parts = [f"Subnet={network.subnet.netmask}", f"Broadcst={network.subnet.broadcast_address}"]
    if network.router:
        parts.append(f"Router={network.router}")
    dns = network.dns or ((name_server,) if name_server else ())
    if dns:
        parts.append("DNSserv=" + " ".join(map(str, dns)))
    if network.domain or domain:
        parts.append(f'DNSdmain="{network.domain or domain}"')
    parts += ["Hostname", f"LeaseTim={network.lease_s}", "LeaseNeg"]  # reservations tell hosts and guests their names
    return TabEntry(str(network.subnet.network_address), MACRO, 0, f":{':'.join(parts)}:")


def server_macro(server: str) -> TabEntry:
    """The macro that a server's addresses bear; a place for what a site wants to tell all of them."""
    return TabEntry(server, MACRO, 0, ":LeaseNeg:")


def firmware_entries() -> list[TabEntry]:
    """The dhcptab rows of the firmware table, and the symbol that host macros use."""
    macros = [TabEntry(name, MACRO, 0, text) for name, text in class_macros()]
    return [TabEntry(GRUB_MENU_SYMBOL[0], SYMBOL, 0, GRUB_MENU_SYMBOL[1]), *macros]


def free_rows(first: IPv4Address, last: IPv4Address, owner: IPv4Address, macro: str) -> list[Binding]:
    """Free addresses from `first` to `last`, all owned by one server."""
    return [Binding(address, FREE_ID, 0, int(owner), 0, 0, macro, "") for address in range(int(first), int(last) + 1)]


def owners(records: Records, tables: Iterable[str]) -> list[IPv4Address]:
    """Every address that owns a binding, in order: the servers of a site that is already there."""
    found = {row.owner for table in tables for row in stores.rows(records, table, Binding)}
    return [IPv4Address(owner) for owner in sorted(found)]


def lay_tables(dhcp: Records, state: Records, apart: Path) -> None:
    """Make the dhcptab and the table of installs where they are missing.

    A site that went from one datastore to another (`dhcpconfig -C`) may have its installs where they were: in Sun's
    container in the directory `apart`, or in the store of the bindings. They are taken along. RecordsError.
    """
    if stores.DHCPTAB not in dhcp.tables():
        dhcp.create(stores.DHCPTAB)
    if TABLE in state.tables():
        return
    state.create(TABLE)
    other = dhcp if state is not dhcp else open_records(stores.STATE_RESOURCE, apart) if apart.is_dir() else None
    if other is not None:
        found = stores.rows(other, TABLE, Install)
        state.commit([Change(TABLE, None, row) for row in found])  # EXISTS: the other server was first


def lay_network(
    dhcp: Records,
    network: Network,
    domain: str | None,
    name_server: IPv4Address | None,
    rows: Iterable[Binding] = (),
) -> bool:
    """Make a network's container with `rows`, and its macro, where missing; True if the container is new.

    The container appears last and whole: a run that was cut short is finished by the next one.
    """
    macro = network_macro(network, domain, name_server)
    if macro.key not in {row.key for row in stores.rows(dhcp, stores.DHCPTAB, TabEntry)}:
        stores.commit(dhcp, [Change(stores.DHCPTAB, None, macro)])
    is_new = macro.name not in dhcp.tables()
    if is_new:
        dhcp.create(macro.name)
    if not stores.rows(dhcp, macro.name, Binding):
        stores.commit(dhcp, [Change(macro.name, None, row) for row in rows])
    return is_new
