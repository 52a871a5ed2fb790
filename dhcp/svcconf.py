"""dhcpsvc.conf: the daemon's configuration, in the form of dhcpsvc.conf(4). Text <-> checked values; pure.

Rules of the room:

* A file is `KEY=VALUE`, one a line; `#` in column one is a comment; nothing is trimmed; keys are compared without
  case; a line without `=` says nothing. Unlike Sun's parser a last line without a line feed counts.
* All faults of a file are reported together, each with its key and how to put it right. What is merely odd (an
  address twice in OWNER_IP, a key twice, a key nobody knows) is a warning: the reference site itself wrote OWNER_IP
  with a duplicate.
* What the keys are, and mean, is in `dhcp.svcconf_keys`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from dhcp.svcconf_keys import BY_NAME, KEYS, check_value


class ConfFault(NamedTuple):
    """One thing wrong with a configuration file."""

    file: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.reason}" if self.key else f"{self.file}: {self.reason}"


class ConfError(Exception):
    """A configuration that cannot be used; `faults` names everything that is wrong with it."""

    def __init__(self, faults: Iterable[ConfFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


@dataclass(frozen=True)
class ServiceConf:
    """The keys that the daemon acts upon, checked. Addresses are ints, `_s` seconds, `_min` minutes.

    `relay_destinations` are addresses or names as written, of a relay; empty means a server. A relay may lack
    `resource` and `path`.
    """

    resource: str
    path: str
    owner_ip: tuple[int, ...] = ()
    interfaces: tuple[str, ...] = ()
    daemon_enabled: bool = True
    icmp_verify: bool = True
    bootp_compat: str | None = None
    rescan_interval_min: int = 0
    offer_cache_timeout_s: int = 10
    secondary_server_timeout_s: int = 20
    lease_min_lru_s: int = 60
    relay_hops: int = 4
    relay_destinations: tuple[str, ...] = ()
    debug_port_offset: int = 0
    verbose: bool = False
    warnings: tuple[str, ...] = ()


def parse_pairs(text: str) -> list[tuple[str, str]]:
    """Return the (KEY, VALUE) pairs of a file in their order, keys in capitals, doubles kept."""
    pairs = []
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            pairs.append((name.upper(), value))
    return pairs


def get(text: str, name: str) -> str | None:
    """Return the value of one key as written, or None; of several the last, which is the one that counts."""
    return dict(parse_pairs(text)).get(name.upper())


def set_pairs(text: str, changes: Mapping[str, str | None]) -> str:
    """Return `text` with each key set, or removed where the value is None. Order stays; new keys go last."""
    left = {name.upper(): value for name, value in changes.items()}
    named = set(left)
    lines = []
    for line in text.split("\n"):
        name = line.partition("=")[0].upper() if "=" in line and not line.startswith("#") else ""
        if name not in named:
            lines.append(line)
        elif (value := left.pop(name, None)) is not None:
            lines.append(f"{name}={value}")
    lines = [line for line in lines if line]
    lines += [f"{name}={value}" for name, value in left.items() if value is not None]
    return "".join(line + "\n" for line in lines)


def check(text: str, file: str = "dhcpsvc.conf") -> ServiceConf:
    """Return the checked configuration. ConfError carries every fault of `text`."""
    pairs = parse_pairs(text)
    values: dict[str, Any] = {}
    faults: list[ConfFault] = []
    warnings: list[str] = []
    for name, value in pairs:
        if name not in BY_NAME:
            warnings.append(f"{file}: {name}: unknown key, ignored")
            continue
        if name in values:
            warnings.append(f"{file}: {name}: written more than once, the last one counts")
        try:
            values[name] = check_value(name, value)
        except ValueError as error:
            faults.append(ConfFault(file, name, str(error)))
    written = {name for name, _ in pairs}
    is_relay = _is_relay(values, written)
    needed = ["RELAY_DESTINATIONS"] if is_relay else [key.name for key in KEYS if key.required]
    faults += [
        ConfFault(file, name, f"missing; add a line {name}=, legal: {BY_NAME[name].legal}")
        for name in needed
        if name not in written
    ]
    if faults:
        raise ConfError(faults)
    if not is_relay and values.pop("RELAY_DESTINATIONS", None):
        warnings.append(f"{file}: RELAY_DESTINATIONS: no effect with RUN_MODE=server; `dhcpconfig -R` sets a relay up")
    return _conf(values, warnings, file)


def _is_relay(values: Mapping[str, Any], written: Iterable[str]) -> bool:
    """RUN_MODE decides where it is written; where it is not, destinations mean a relay, as for in.dhcpd -r."""
    return values.get("RUN_MODE") == "relay" or ("RUN_MODE" not in written and "RELAY_DESTINATIONS" in written)


def _conf(values: dict[str, Any], warnings: list[str], file: str) -> ServiceConf:
    def value(name: str) -> Any:
        return values.get(name, BY_NAME[name].default)

    owners = tuple(dict.fromkeys(value("OWNER_IP")))
    if len(owners) < len(value("OWNER_IP")):
        warnings.append(f"{file}: OWNER_IP: an address is listed twice")
    return ServiceConf(
        resource=value("RESOURCE"),
        path=value("PATH"),
        owner_ip=owners,
        interfaces=tuple(dict.fromkeys(value("INTERFACES"))),
        daemon_enabled=value("DAEMON_ENABLED"),
        icmp_verify=value("ICMP_VERIFY"),
        bootp_compat=value("BOOTP_COMPAT"),
        rescan_interval_min=value("RESCAN_INTERVAL"),
        offer_cache_timeout_s=value("OFFER_CACHE_TIMEOUT"),
        secondary_server_timeout_s=value("SECONDARY_SERVER_TIMEOUT"),
        lease_min_lru_s=value("LEASE_MIN_LRU"),
        relay_hops=value("RELAY_HOPS"),
        relay_destinations=value("RELAY_DESTINATIONS"),
        debug_port_offset=value("DEBUG_PORT_OFFSET"),
        verbose=value("VERBOSE"),
        warnings=tuple(warnings),
    )
