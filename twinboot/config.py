"""twinboot.toml: one table of keys, one frozen Config, all faults at once.

Rules of this room:

- `KEYS` is the whole language of the file: section, name, reader, default, meaning. `docs/configuration.md` is checked
  against it by a test.
- `load` reads only the file. It never touches the share or the state directory, so that `explain` and `events` work
  while the share hangs; `twinboot.machine` looks at the machine before `serve`.
- A fault names the file, the key as a person would write it (`networks.public.router`), the reason and the way out.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
from pathlib import Path
from typing import Any

from twinboot import guestsconf, storageconf, values
from twinboot.document import Reader, read
from twinboot.faults import ConfigError, Fault
from twinboot.guestsconf import Guests
from twinboot.keys import REQUIRED, Key
from twinboot.storageconf import Storage

__all__ = ["DEFAULT_PATH", "KEYS", "Config", "Key", "Network", "config_path", "default_user", "load"]

DEFAULT_PATH = Path("/etc/twinboot/twinboot.toml")
BACKEND_LINK = "be"
SOCKET_PATH_BYTES_MAX = 107  # sun_path less its NUL, unix(7)


def default_user() -> str:
    """The account that services run as: `twinboot` where it exists, else `nobody`."""
    try:
        return pwd.getpwnam("twinboot").pw_name
    except KeyError:
        return "nobody"


PORT = values.integer(1, 65535)
LEASE_S = values.integer(60, 0xFFFFFFFE)
KEYS: tuple[Key, ...] = (
    Key("site", "name", values.label, REQUIRED, "name of the site: both servers use the same"),
    Key("site", "domain", values.domain, None, "DNS domain of hosts and guests"),
    Key(
        "site", "share", values.path, REQUIRED, "directory that both servers see (NFS mount), or any directory for one"
    ),
    Key("server", "name", values.label, REQUIRED, "name of this server, unique in the site"),
    Key("server", "segment", values.label, "odd", "physical network segment that this server stands on"),
    Key("server", "address", values.address, REQUIRED, "address of this server that machines boot from"),
    Key("server", "state", values.path, Path("/var/lib/twinboot"), "node-local directory of the journal; never on NFS"),
    Key("server", "dhcpsvc", values.path, Path("/etc/twinboot/dhcpsvc.conf"), "configuration of the DHCP daemon"),
    Key("server", "user", values.text, default_user, "account that services run as when started by root"),
    Key(
        "server",
        "interfaces",
        values.devices,
        (),
        "devices to serve; else INTERFACES of dhcpsvc.conf, else those with an address in a network below, else all",
    ),
    Key("server", "tftp_port", PORT, 69, "UDP port of TFTP"),
    Key("server", "http_port", PORT, 80, "TCP port of HTTP"),
    Key("server", "dns_port", PORT, 53, "UDP and TCP port of DNS"),
    Key("names", "enable", values.switch, None, "answer DNS for `site.domain`; if absent: true where that is set"),
    Key("names", "forward", values.addresses, (), "name servers that other questions of our networks are passed to"),
    Key(
        "boot",
        "transport",
        values.choice("tftp", "http"),
        "tftp",
        "how GRUB fetches kernels and archives (iPXE uses HTTP)",
    ),
    Key("networks.*", "subnet", values.subnet, REQUIRED, "prefix of the network"),
    Key("networks.*", "router", values.address, None, "router handed to machines; without it they get none"),
    Key("networks.*", "link", values.label, None, "vanity link name prefix: fe (public) or be (backend)"),
    Key("networks.*", "dns", values.addresses, (), "name servers handed to machines"),
    Key("networks.*", "domain", values.domain, None, "domain handed to machines; else that of the site"),
    Key("networks.*", "lease_s", LEASE_S, 3600, "lease time handed out, seconds"),
    *storageconf.KEYS,
    *guestsconf.KEYS,
)


@dataclass(frozen=True, slots=True)
class Network:
    """One [networks.NAME] section."""

    name: str
    subnet: IPv4Network
    router: IPv4Address | None
    link: str | None
    dns: tuple[IPv4Address, ...]
    domain: str | None
    lease_s: int


@dataclass(frozen=True, slots=True)
class Config:
    """A checked twinboot.toml. Paths are absolute; nothing here was looked up on the machine."""

    path: Path
    site: str
    domain: str | None
    share: Path
    server: str
    segment: str
    address: IPv4Address
    state: Path
    dhcpsvc: Path
    user: str
    interfaces: tuple[str, ...]
    tftp_port: int
    http_port: int
    dns_port: int
    names: bool
    forward: tuple[IPv4Address, ...]
    transport: str
    networks: tuple[Network, ...]
    storage: Storage | None
    """None: this server keeps no volumes."""
    guests: Guests
    warnings: tuple[Fault, ...]

    @property
    def hosts_dir(self) -> Path:
        """Where the host files are."""
        return self.share / "hosts"

    @property
    def boot_dir(self) -> Path:
        """Root of what TFTP and HTTP serve."""
        return self.share / "boot"

    @property
    def journal_path(self) -> Path:
        """The journal's SQLite file."""
        return self.state / "journal.db"

    @property
    def socket_path(self) -> Path:
        """Where services send their events."""
        return self.state / "events.sock"

    @property
    def name_server(self) -> IPv4Address | None:
        """What machines are told as their name server where a network names none: this server, if it answers names."""
        return self.address if self.names else None

    def network_of(self, address: IPv4Address) -> Network | None:
        """The network whose subnet holds `address`."""
        return next((net for net in self.networks if address in net.subnet), None)


def config_path(given: str | None) -> Path:
    """The file to read: --config, else TWINBOOT_CONFIG, else /etc/twinboot/twinboot.toml."""
    return Path(given or os.environ.get("TWINBOOT_CONFIG") or DEFAULT_PATH)


def load(path: Path) -> Config:
    """Read and check `path`. Raises ConfigError with every fault in the file."""
    faults: list[Fault] = []
    document = read(path)
    found = Reader(KEYS, str(path), faults)
    found.unknown_sections(document)
    plain = {
        name: found.section(document, name) for name in dict.fromkeys(key.section for key in KEYS) if "*" not in name
    }
    site, server = plain["site"], plain["server"]
    networks = tuple(Network(name=name, **row) for name, row in found.sections(document, "networks"))
    faults.extend(_cross_faults(str(path), networks, plain["server"]))
    faults.extend(_names_faults(str(path), plain["names"], site, server))
    given = document.get("storage", {})
    if isinstance(given, dict):
        faults.extend(storageconf.faults(str(path), plain, given))
    faults.extend(guestsconf.faults(str(path), plain["guests"]))
    if faults:
        raise ConfigError(tuple(faults))
    is_on = plain["names"]["enable"]
    config = Config(
        path=path,
        site=site["name"],
        domain=site["domain"],
        share=site["share"],
        storage=storageconf.storage(plain),
        server=server.pop("name"),
        **server,
        names=site["domain"] is not None if is_on is None else is_on,
        forward=plain["names"]["forward"],
        transport=plain["boot"]["transport"],
        networks=networks,
        guests=guestsconf.guests(plain["guests"], site),
        warnings=(),
    )
    return replace(config, warnings=tuple(_warnings(config)))


def _cross_faults(file: str, networks: tuple[Network, ...], server: Mapping[str, Any]) -> Iterator[Fault]:
    for one, other in combinations(networks, 2):
        if one.subnet.overlaps(other.subnet):
            key = f"networks.{other.name}.subnet"
            yield Fault(file, key, f"{other.subnet} overlaps {one.subnet} of networks.{one.name}: make them disjoint")
    for net in networks:
        edges = (net.subnet.network_address, net.subnet.broadcast_address)
        if net.router and (net.router not in net.subnet or net.router in edges):
            key = f"networks.{net.name}.router"
            yield Fault(file, key, f"{net.router} is not a host address in {net.subnet}: machines could not reach it")
    if server["state"] and len(os.fsencode(server["state"] / "events.sock")) > SOCKET_PATH_BYTES_MAX:
        yield Fault(
            file,
            "server.state",
            f"longer than {SOCKET_PATH_BYTES_MAX - 12} bytes: a socket must fit; use a shorter path",
        )


def _names_faults(
    file: str, names: Mapping[str, Any], site: Mapping[str, Any], server: Mapping[str, Any]
) -> Iterator[Fault]:
    if names["enable"] and site["domain"] is None:
        yield Fault(file, "names.enable", "there is no domain to answer for: set site.domain, or take this key out")
    if server["address"] in (names["forward"] or ()):
        yield Fault(file, "names.forward", f"{server['address']} is this server: questions would go in a circle")


def _warnings(config: Config) -> Iterator[Fault]:
    file, address, networks = str(config.path), config.address, config.networks
    if networks and config.network_of(address) is None:
        yield Fault(
            file, "server.address", f"{address} is in no network of this file: only relayed machines will be served"
        )
    if config.storage and any(net.link == BACKEND_LINK for net in networks):
        at = config.network_of(IPv4Address(config.storage.portal.partition(":")[0]))
        if at and at.link != BACKEND_LINK:
            text = f"{config.storage.portal} is in networks.{at.name}: guests' disks will be read over it, "
            yield Fault(file, "storage.portal", text + "not over the backend network; set this server's address there")
