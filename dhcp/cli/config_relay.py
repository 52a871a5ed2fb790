"""dhcpconfig -R: this host as a relay agent, and the way back from that for -U. A relay has no datastore.

As in Sun's command, names are looked up when they are typed and dhcpsvc.conf gets the addresses: a relay that starts
before the name service does must not depend on it. A name written there by hand is looked up at the start.
"""

from dhcp import svcconf, svcconf_file, svcconf_keys
from dhcp.cli.common import CommandError, Options, Session, conf_path
from dhcp.cli.config_file import explained, locked
from dhcp.cli.config_setup import announce_start
from dhcp.cli.hostnames import server_address
from storage.records import ipv4_text

MULTICAST = 224 << 24  # and broadcast above it


def configure_relay(options: Options, session: Session) -> int:
    """-R: write dhcpsvc.conf of a relay and start it. CommandError."""
    del session
    path = conf_path(options)
    if path.exists():
        what = "server is already configured as a BOOTP relay agent"
        if not is_relay(svcconf_file.read_text(path)):
            what = "DHCP service is already configured on this server"
        raise CommandError(f"{what} ({path}): -U unconfigures it")
    pairs = {
        "DAEMON_ENABLED": "TRUE",
        "RUN_MODE": "relay",
        "RELAY_DESTINATIONS": _destinations(options.values["R"]),
    }
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            svcconf_file.write(path, svcconf.set_pairs("", pairs))
    print("Created DHCP configuration file.")
    announce_start(path)
    return 0


def is_relay(text: str) -> bool:
    """Tell whether a dhcpsvc.conf is that of a relay, its faults aside."""
    mode = svcconf.get(text, "RUN_MODE")
    return mode.lower() == "relay" if mode is not None else svcconf.get(text, "RELAY_DESTINATIONS") is not None


def _destinations(text: str) -> str:
    """The servers' addresses, with commas between. CommandError with all that is wrong."""
    found: dict[str, None] = {}
    faults = []
    for name in text.replace(",", " ").split():
        try:
            address = server_address(name)
        except ValueError as error:
            faults.append(f"-R: {error}")
            continue
        if not address or address >> 24 == 127 or address >= MULTICAST:
            faults.append(f"-R: {name} is no server's address: give one that leads to a server")
        found[ipv4_text(address)] = None
    if faults:
        raise CommandError("\n".join(faults))
    value = ",".join(found)
    try:
        svcconf_keys.check_value("RELAY_DESTINATIONS", value)
    except ValueError as error:
        raise CommandError(f"-R: {error}") from None
    return value
