"""dhcpconfig -D: a server's dhcpsvc.conf, the datastore and its first macros.

What is typed is checked before anything is written. Two servers of one site run -D on the same datastore: what the
first one made stays, and each adds its own macro. The lines printed are Sun's.
"""

from collections.abc import Sequence
from pathlib import Path

from dhcp import svcconf, svcconf_file, svcconf_keys
from dhcp.cli import service
from dhcp.cli.common import CommandError, Options, Session, conf_path
from dhcp.cli.config_file import explained, locked, warn
from dhcp.cli.config_machine import Machine, is_left_to_root, look, own_by_services
from dhcp.cli.config_tables import DHCPTAB, addresses, macro_text, put_macro
from storage.records import ADAPTERS, MACRO, TabEntry, ipv4_text

LOCALE = "Locale"
DEFAULT_LEASE_S = 86400
LEASE_MAX_S = 0xFFFFFFFE
IN_DIRECTORIES = ("SUNWfiles", "twinlog")
HOSTS_WITH_DOMAIN = ("dns", "nisplus")


def configure(options: Options, session: Session) -> int:
    """-D: write dhcpsvc.conf and make the datastore with its first macros. CommandError, RecordsError."""
    path = conf_path(options)
    if path.exists():
        raise CommandError(f"DHCP service is already configured on this server ({path}): -U unconfigures it")
    pairs = _conf_pairs(options)
    host = look()
    entries = [
        TabEntry(LOCALE, MACRO, 0, macro_text([("UTCoffst", str(host.utc_offset_s))])),
        TabEntry(host.name, MACRO, 0, _server_macro(options, host)),
    ]
    if _is_directory(options.values["p"]):
        place = Path(options.values["p"])
        with explained(place):
            _make_place(place)
    with session.records(options) as records:
        records.tables()
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            svcconf_file.write(path, svcconf.set_pairs("", pairs))
    print("Created DHCP configuration file.")
    try:
        _fill(options, session, entries)
    except BaseException:
        path.unlink(missing_ok=True)  # so that -D can be repeated
        raise
    announce_start(path)
    return 0


def _conf_pairs(options: Options) -> dict[str, str | None]:
    """What dhcpsvc.conf is to say, in Sun's order. CommandError with all that is wrong."""
    pairs: dict[str, str | None] = {
        "DAEMON_ENABLED": "TRUE",
        "RESOURCE": options.values["r"],
        "RUN_MODE": "server",
        "PATH": options.values["p"],
        "CONVER": "1",
        "RESOURCE_CONFIG": options.get("u"),
        "HOSTS_RESOURCE": options.get("h"),
        "HOSTS_DOMAIN": options.get("y"),
    }
    faults = []
    for name, value in pairs.items():
        if value is None:
            continue
        try:
            svcconf_keys.check_value(name, value)
        except ValueError as error:
            faults.append(f"{name}: {error}")
        if not value.isprintable():
            faults.append(f"{name}: the value holds a control character")
    if options.values["r"] not in ADAPTERS and not faults:
        faults.append(f"{options.values['r']} is not a valid resource here: use {', '.join(sorted(ADAPTERS))}")
    if options.values["r"] in IN_DIRECTORIES and not _is_directory(options.values["p"]) and not faults:
        faults.append(f"-p {options.values['p']}: {options.values['r']} needs an absolute directory")
    resource, domain = options.get("h"), options.get("y")
    if domain is not None and resource not in HOSTS_WITH_DOMAIN:
        faults.append(f"-y: a host domain needs -h dns or -h nisplus, not {resource or 'nothing'}")
    if domain is None and resource in HOSTS_WITH_DOMAIN:
        faults.append(f"-h {resource} requires a host domain: give it with -y")
    if faults:
        raise CommandError("\n".join(faults))
    return pairs


def _is_directory(path: str) -> bool:
    return path.startswith("/")


def _server_macro(options: Options, host: Machine) -> str:
    items: list[tuple[str, str | None]] = [("Include", LOCALE)]
    if host.address is None:
        warn(f"this host has no address but loopback's: Timeserv is left out of the macro {host.name}")
    else:
        items.append(("Timeserv", ipv4_text(host.address)))
    items.append(("LeaseTim", str(_lease_s(options.get("l")))))
    if "n" not in options:
        items.append(("LeaseNeg", None))
    domain, dns = _dns(options, host)
    if domain:
        items.append(("DNSdmain", domain))
    if dns:
        items.append(("DNSserv", " ".join(map(ipv4_text, dns))))
    return macro_text(items)


def _lease_s(text: str | None) -> int:
    if text is None:
        return DEFAULT_LEASE_S
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) <= LEASE_MAX_S):
        raise CommandError(f"-l {text}: the lease value is not valid: give seconds, 1 to {LEASE_MAX_S}")
    return int(text)


def _dns(options: Options, host: Machine) -> tuple[str, Sequence[int]]:
    domain, servers = options.get("d"), options.get("a")
    if domain is None and servers is None:
        return host.domain, host.dns
    if not domain or not servers:
        raise CommandError("DNS domain or server information is incomplete: give both -d and -a, or neither")
    return domain, addresses("-a", servers)


def _make_place(path: Path) -> None:
    if path.is_dir():
        if is_left_to_root(path):
            warn(f"{path} belongs to root: give it to the account of the services (chown), or they cannot write there")
        return
    path.mkdir(parents=True)
    own_by_services(path)


def _fill(options: Options, session: Session, entries: Sequence[TabEntry]) -> None:
    locale, server = entries
    with session.records(options) as records:
        if DHCPTAB in records.tables():
            print("Dhcptab already exists.")
        else:
            records.create(DHCPTAB)
            print("Created dhcptab.")
        if put_macro(records, locale, keep=True):
            print(f'Added "{LOCALE}" macro to dhcptab.')
        put_macro(records, server)
        print(f"Added server macro to dhcptab - {server.name}.")


def announce_start(path: Path) -> None:
    """Start the service and say so, or say who starts it."""
    if service.start(service.port(svcconf_file.read_text(path))):
        print("DHCP server started.")
    else:
        print("DHCP server enabled: `twinboot serve` starts it.")
