"""The keys of dhcpsvc.conf(4): type, default, legal values, who may see and set each, and what it does here.

`KEYS` is the one table. `docs/dhcpsvc.md` is printed from it (`reference()`), a file is checked by it (`dhcp.svcconf`),
and so is what Sun's commands are asked to write. Keys whose machinery does not exist here are read, checked and kept,
and say so in their `effect`.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from dhcp.names import is_name
from storage.records import ipv4_int

DESTINATIONS_MAX = 16  # of a relay; in.dhcpd takes 5

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
    Key("LOGGING_FACILITY", _number(0, 7), None, "0 to 7", Show.OPEN,
        "no effect: every transaction is in the journal (`twinboot events`)"),
    Key("VERBOSE", _boolean, False, _BOOL, Show.OPEN,
        "TRUE: the journal also has what is in each packet and reply, option by option (`twinboot explain`)"),
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
