"""dhcpconfig -U: the way back from -D. The datastore stays, unless -x is given: another server may live on it."""

from collections.abc import Sequence
from pathlib import Path

from dhcp import svcconf, svcconf_file
from dhcp.cli import hostsfile, service
from dhcp.cli.common import CommandError, Options, Session
from dhcp.cli.config_file import configured, confirm, edit, explained, warn
from dhcp.cli.config_machine import look
from dhcp.cli.config_relay import is_relay
from dhcp.cli.config_tables import DHCPTAB, networks, require_stored
from storage.records import FREE_ID, MACRO, Binding, Change, Records


def unconfigure(options: Options, session: Session) -> int:
    """-U: stop the service and remove dhcpsvc.conf; with -x the datastore's tables too. CommandError, RecordsError."""
    path = configured(options)
    if is_relay(svcconf_file.read_text(path)):
        return _end_relay(options, path)
    addresses = _named_addresses(options, session, path)
    if "f" not in options:
        print("Unconfigure will stop the DHCP service and remove the DHCP configuration file.")
        if "x" in options:
            with session.records(options) as records:
                print(_what_goes(records))
        confirm("Are you SURE you want to unconfigure the DHCP service?")
    stop_for_good(path)
    if addresses:
        _forget_names(addresses)  # before the tables go, so that a run that fails here can be repeated
    with session.records(options) as records:
        if "x" in options:
            _drop_all(records)
        else:
            _drop_server_macro(records, look().name)
    _delete(path)
    return 0


def _end_relay(options: Options, path: Path) -> int:
    strange = [letter for letter in "xh" if letter in options]
    if strange:
        raise CommandError(f"-{strange[0]}: this is a relay agent, which has no tables: leave it out")
    if "f" not in options:
        print("Unconfigure will stop the relay agent and remove the DHCP configuration file.")
        confirm("Are you SURE you want to unconfigure the relay agent?")
    stop_for_good(path)
    _delete(path)
    return 0


def _delete(path: Path) -> None:
    with explained(path):
        path.unlink()
    print("Deleted the DHCP configuration file.")


def _named_addresses(options: Options, session: Session, path: Path) -> list[int]:
    """The addresses whose host names -h deletes; read first, for -x deletes the tables that tell."""
    if "h" not in options:
        return []
    resource = svcconf.get(svcconf_file.read_text(path), "HOSTS_RESOURCE")
    if resource != "files":
        warn(f"-h: names are deleted in {hostsfile.HOSTS_FILE} only, and HOSTS_RESOURCE is {resource or 'not set'}")
        return []
    with session.records(options) as records:
        found = (row for name in networks(records) for row in records.read(name).rows)
        return [row.address for row in found if isinstance(row, Binding)]


def _forget_names(addresses: Sequence[int]) -> None:
    with explained(hostsfile.HOSTS_FILE):
        try:
            for address in addresses:
                hostsfile.remove(address)
        except ValueError as error:
            raise CommandError(str(error)) from None
    print("Deleted the hosts entries.")


def _what_goes(records: Records) -> str:
    names = networks(records)
    held = sum(
        isinstance(row, Binding) and row.client_id != FREE_ID for name in names for row in records.read(name).rows
    )
    return f"-x deletes the dhcptab and {len(names)} networks with {held} bound addresses, for every server."


def stop_for_good(path: Path) -> None:
    """Disable the service and stop it if it runs, saying so. CommandError, and all is as before, if it cannot be."""
    before = svcconf.get(svcconf_file.read_text(path), "DAEMON_ENABLED")
    text = edit(path, lambda old: svcconf.set_pairs(old, {"DAEMON_ENABLED": "FALSE"}))
    try:
        print("DHCP server shutdown." if service.stop(service.port(text)) else "DHCP server not running.")
    except CommandError:
        edit(path, lambda old: svcconf.set_pairs(old, {"DAEMON_ENABLED": before}))
        raise


def _drop_all(records: Records) -> None:
    for name in networks(records):
        records.drop(name)
        print(f"Deleted table for network {name}.")
    if DHCPTAB in records.tables():
        records.drop(DHCPTAB)
        print("Deleted the dhcptab.")


def _drop_server_macro(records: Records, name: str) -> None:
    """Remove this server's macro, unless addresses still bear it: another server may be serving those."""
    if DHCPTAB not in records.tables():
        return
    macro = next((row for row in records.read(DHCPTAB).rows if row.key == (name, MACRO)), None)
    users = [table for table in networks(records) for row in records.read(table).rows if _bears(row, name)]
    if macro is not None and users:
        warn(f"the server macro {name} stays: {len(users)} addresses bear it (`pntadm -M -m` gives them another)")
    elif macro is not None:
        require_stored(records, [Change(DHCPTAB, macro, None)])
        print("Deleted the server macro from dhcptab.")


def _bears(row: object, name: str) -> bool:
    return isinstance(row, Binding) and row.macro == name
