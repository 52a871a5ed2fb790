"""dhcpsvc.conf: the daemon's configuration, in the form of dhcpsvc.conf(4).

Rules of the room:

* `KEYS` is the one table of Sun's keys: type, default, legal values, who may see and set a key, and what it does
  here. `docs/dhcpsvc.md` is printed from it (`reference()`), `load` and `check` read it, and so do Sun's commands.
* A file is `KEY=VALUE`, one a line; `#` in column one is a comment; nothing is trimmed; keys are compared without
  case; a line without `=` says nothing. Unlike Sun's parser a last line without a line feed counts.
* All faults of a file are reported together, each with its key and how to put it right. What is merely odd (an
  address twice in OWNER_IP, a key twice, a key nobody knows) is a warning: the reference site itself wrote OWNER_IP
  with a duplicate.
* Keys whose machinery does not exist here are read, checked and kept, and say so in their `effect`.
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from dhcp.names import is_name
from storage.records import ipv4_int

DESTINATIONS_MAX = 16  # of a relay; in.dhcpd takes 5
CONF_MAX_BYTES = 64 * 1024  # Sun's own files have a few hundred bytes

_PASSWORD = re.compile(r"(password *= *)(?:'(?:[^'\\]|\\.)*'?|[^\s&]*)|(://[^\s/@:]*:)\S*(?=@)")


class Show(Enum):
    """Who may see and set a key with `dhcpconfig -P`."""

    OPEN = "open"
    HIDDEN = "hidden"  # settable, but not in the plain listing
    READ_ONLY = "read-only"  # set when the server is configured, refused afterwards


class Key(NamedTuple):
    """One row of dhcpsvc.conf(4). `parse` raises ValueError with the legal values as its text."""

    name: str
    parse: Callable[[str], Any]
    default: Any
    legal: str
    show: Show
    effect: str
    required: bool = False


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


def _number(low: int, high: int = 2**31 - 1) -> Callable[[str], int]:
    def parse(text: str) -> int:
        digits = text[1:] if text.startswith("-") else text
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 10 and low <= int(text) <= high):
            raise ValueError(text)
        return int(text)

    return parse


def _word(*legal: str) -> Callable[[str], str]:
    """One of `legal`, compared without case; any non-empty text where `legal` is empty."""

    def parse(text: str) -> str:
        if not text or (legal and text.lower() not in {word.lower() for word in legal}):
            raise ValueError(text)
        return next((word for word in legal if word.lower() == text.lower()), text)

    return parse


def _boolean(text: str) -> bool:
    if text.upper() not in {"TRUE", "FALSE"}:
        raise ValueError(text)
    return text.upper() == "TRUE"


def _items(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _addresses(text: str) -> tuple[int, ...]:
    addresses = tuple(ipv4_int(item) for item in _items(text))
    if not addresses or 0 in addresses:
        raise ValueError(text)
    return addresses


_LIKE_AN_ADDRESS = re.compile(r"[0-9.]+")


def _hosts(text: str) -> tuple[str, ...]:
    """Addresses or host names; names are looked up when the relay starts."""
    hosts = tuple(dict.fromkeys(_items(text)))
    for host in hosts:
        if _LIKE_AN_ADDRESS.fullmatch(host):
            ipv4_int(host)
        elif not is_name(host):
            raise ValueError(text)
    if not 0 < len(hosts) <= DESTINATIONS_MAX:
        raise ValueError(text)
    return hosts


def _names(text: str) -> tuple[str, ...]:
    names = tuple(_items(text))
    if not names or any(":" in name or "/" in name or len(name) > 15 for name in names):
        raise ValueError(text)
    return names


def _place(text: str) -> str:
    is_connection = "=" in text or "://" in text  # of libpq; the datastore reads it, and says more if it cannot
    if not (text.startswith("/") or is_connection) or "\0" in text:
        raise ValueError(text)
    return text


_S = "seconds, 0 or more"
_BOOL = "TRUE or FALSE"
_JOURNAL = "no effect: every transaction is in the journal (`twinboot events`)"
_ONE_LOOP = "no effect: one loop serves every client, nothing is kept for each"
_HOSTS = "no effect in the daemon; `pntadm -h` writes host names there"

# fmt: off
KEYS: tuple[Key, ...] = (
    Key("DAEMON_ENABLED", _boolean, True, _BOOL, Show.READ_ONLY, "FALSE: `twinboot serve` starts no DHCP service"),
    Key("RESOURCE", _word("SUNWfiles", "twinlog", "postgresql"), "", "SUNWfiles (or twinlog, postgresql where built)",
        Show.READ_ONLY, "the kind of datastore", required=True),
    Key("RUN_MODE", _word("server", "relay"), "server", "server or relay", Show.READ_ONLY,
        "server answers clients; relay passes them on to RELAY_DESTINATIONS, and needs no datastore"),
    Key("PATH", _place, "", "an absolute directory, or for postgresql a connection string", Show.READ_ONLY,
        "where the datastore is: the shared directory, or the database", required=True),
    Key("CONVER", _number(1, 1), 1, "1", Show.READ_ONLY, "version of the containers", required=True),
    Key("OWNER_IP", _addresses, (), "IPv4 addresses with `,` between", Show.OPEN,
        "addresses of all servers, whose bindings are served; the server's own addresses are always meant too"),
    Key("RESCAN_INTERVAL", _number(0), 0, "minutes, 0 or more", Show.OPEN,
        "how often all is read anew and offers are forgotten; 0: at SIGHUP only. Edits are seen at once anyhow"),
    Key("INTERFACES", _names, (), "interface names with `,` between", Show.OPEN,
        "interfaces to serve; absent: all that are up and have an IPv4 address, loopback left out. A relay hears "
        "clients there, and takes replies from those that lead to its servers too"),
    Key("ICMP_VERIFY", _boolean, True, _BOOL, Show.OPEN,
        "before an offer of an address that its client does not hold, an ICMP echo asks who has it; only that offer "
        "waits, 1 s at most; an address that answers is marked UNUSABLE, a silent one is not asked again for 60 s"),
    Key("OFFER_CACHE_TIMEOUT", _number(0), 10, _S, Show.OPEN, "life of an offer"),
    Key("SECONDARY_SERVER_TIMEOUT", _number(0), 20, _S, Show.OPEN,
        "renewals of a binding owned elsewhere are answered when the client has tried for so long"),
    Key("LEASE_MIN_LRU", _number(0), 60, _S, Show.HIDDEN,
        "an ended lease must be older than this to be given to another"),
    Key("BOOTP_COMPAT", _word("automatic", "manual"), None, "automatic or manual", Show.OPEN,
        "absent: BOOTP clients get no answer; manual: those with a BOOTP binding of their own do; automatic: others "
        "are given a free BOOTP binding, for ever"),
    Key("RELAY_HOPS", _number(0, 255), 4, "0 to 255", Show.OPEN,
        "packets that crossed more relays are dropped, by a server and by a relay"),
    Key("RELAY_DESTINATIONS", _hosts, (), f"addresses or names of 1 to {DESTINATIONS_MAX} servers, with `,` between",
        Show.OPEN, "whom a relay passes requests on to; names are looked up at start. Without RUN_MODE: relay"),
    Key("DEBUG_PORT_OFFSET", _number(0, 65467), 0, "0 to 65467", Show.HIDDEN, "added to the ports 67 and 68 (tests)"),
    Key("CACHE_TIMEOUT", _number(0), 10, _S, Show.OPEN, "no effect: what changes in the datastore is seen at once"),
    Key("LOGGING_FACILITY", _number(0, 7), None, "0 to 7", Show.OPEN, _JOURNAL),
    Key("VERBOSE", _boolean, False, _BOOL, Show.OPEN, _JOURNAL),
    Key("MAX_CLIENTS", _number(-1), 0, "-1 or more", Show.HIDDEN, _ONE_LOOP),
    Key("MAX_THREADS", _number(-1), 0, "-1 or more", Show.HIDDEN, _ONE_LOOP),
    Key("UPDATE_TIMEOUT", _number(-1), None, "seconds, -1 or more", Show.OPEN,
        "no effect: names are answered by twinboot's own resolver, no DNS server is updated"),
    Key("HOSTS_RESOURCE", _word("files", "nisplus", "dns"), None, "files, nisplus or dns", Show.READ_ONLY, _HOSTS),
    Key("HOSTS_DOMAIN", _word(), None, "a domain", Show.READ_ONLY, _HOSTS),
    Key("RESOURCE_CONFIG", _word(), None, "any text", Show.READ_ONLY,
        "kept for the datastore; SUNWfiles has no use for it"),
    Key("DEBUG_MEMORY_NET", _word(), None, "any text", Show.HIDDEN, "no effect: Sun's debug builds only"),
)
# fmt: on

BY_NAME: Mapping[str, Key] = {key.name: key for key in KEYS}


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


def shown(value: str) -> str:
    """A value as people may see it: a connection string without its password."""
    return _PASSWORD.sub(r"\1\2***", value)


def check_value(name: str, value: str) -> Any:
    """Return the parsed value of one key. ValueError says in one line what is legal."""
    key = BY_NAME.get(name.upper())
    if key is None:
        raise ValueError(f"{name} is no key of dhcpsvc.conf")
    try:
        return key.parse(value)
    except ValueError:
        raise ValueError(f'"{shown(value)}" is not legal; legal: {key.legal}') from None


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
        warnings=tuple(warnings),
    )


def read_text(path: str | Path) -> str:
    """Return the text of a configuration file. ConfError when it cannot be read, is too long or is not UTF-8."""
    try:
        with open(path, "rb") as file:
            data = file.read(CONF_MAX_BYTES + 1)
        if len(data) > CONF_MAX_BYTES:
            raise ConfError([ConfFault(str(path), "", f"longer than {CONF_MAX_BYTES} bytes, not a dhcpsvc.conf")])
        return data.decode()
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); `twinboot init` writes it"
        raise ConfError([ConfFault(str(path), "", reason)]) from error
    except UnicodeDecodeError as error:
        raise ConfError([ConfFault(str(path), "", f"byte {error.start} is not UTF-8 text")]) from error


def load(path: str | Path) -> ServiceConf:
    """Read and check a configuration file. ConfError carries every fault."""
    return check(read_text(path), str(path))


def write(path: str | Path, text: str) -> None:
    """Put `text` in place of the file in one step, durably. OSError as the file system gives it."""
    target = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f"{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def reference() -> str:
    """Return the table of all keys as Markdown, for docs/dhcpsvc.md."""
    lines = ["| key | legal values | default | shown | what it does here |", "|---|---|---|---|---|"]
    for key in KEYS:
        default = "required" if key.required else _default_text(key.default)
        lines.append(f"| {key.name} | {key.legal} | {default} | {key.show.value} | {key.effect} |")
    return "\n".join(lines)


def _default_text(default: Any) -> str:
    if default in (None, ()):
        return "-"
    return str(default).upper() if isinstance(default, bool) else str(default)
