"""The table of DHCP options, and their values as text for people.

One table, `OPTIONS`, names every option that we know: its RFC name (RFC 2132 and the RFC that added it), the symbol
that Sun's dhcptab uses for it, and the *shape* of its value. A shape is one function from bytes to short text; adding
an option is one row.

Nothing here trusts its input: `describe` accepts any bytes, its answer is printable ASCII and at most
`DESCRIBE_MAX_CHARS` long, so what a stranger sends can be logged.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from dhcp.options import MessageType, Route, decode_routes, suboptions, user_classes

DESCRIBE_MAX_CHARS: Final = 200
_SHOWN_MAX_BYTES: Final = 96  # of a text or hex value; the rest is counted, not shown

Shape = Callable[[bytes], str]  # ValueError: the bytes do not have this shape


def _address_text(data: bytes) -> str:
    return ".".join(map(str, data))


def _cells(data: bytes, size: int) -> list[bytes]:
    if not data or len(data) % size:
        raise ValueError(f"{len(data)} bytes are not a multiple of {size}")
    return [data[at : at + size] for at in range(0, len(data), size)]


def _only(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes instead of {size}")
    return data


def _text(data: bytes) -> str:
    shown = data[:_SHOWN_MAX_BYTES]
    quoted = "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in shown)
    return f'"{quoted}"' + _rest(data)


def _hex(data: bytes) -> str:
    return (data[:_SHOWN_MAX_BYTES].hex() or "(empty)") + _rest(data)


def _rest(data: bytes) -> str:
    return f" and {len(data) - _SHOWN_MAX_BYTES} more bytes" if len(data) > _SHOWN_MAX_BYTES else ""


def _address(data: bytes) -> str:
    return _address_text(_only(data, 4))


def _addresses(data: bytes) -> str:
    return " ".join(map(_address_text, _cells(data, 4)))


def _address_pairs(data: bytes) -> str:
    return " ".join(f"{_address_text(pair[:4])}/{_address_text(pair[4:])}" for pair in _cells(data, 8))


def _number(size: int, *, signed: bool = False) -> Shape:
    def show(data: bytes) -> str:
        return str(int.from_bytes(_only(data, size), "big", signed=signed))

    return show


def _numbers(size: int) -> Shape:
    def show(data: bytes) -> str:
        return " ".join(str(int.from_bytes(cell, "big")) for cell in _cells(data, size))

    return show


def _flag(data: bytes) -> str:
    return {b"\0": "no", b"\1": "yes"}[_only(data, 1)]


def _seconds(data: bytes) -> str:
    seconds = int.from_bytes(_only(data, 4), "big")
    return "forever" if seconds == 0xFFFFFFFF else f"{seconds} s"


def _message_type(data: bytes) -> str:
    return MessageType(_only(data, 1)[0]).name


def _code_list(data: bytes) -> str:
    return " ".join(map(str, data[:_SHOWN_MAX_BYTES])) + _rest(data)


def _suboptions(data: bytes) -> str:
    return " ".join(f"{code}:{value.hex() or '-'}" for code, value in suboptions(data).items())


def _user_classes(data: bytes) -> str:
    return " ".join(_text(name.encode("latin-1")) for name in user_classes(data))


def _routes(data: bytes) -> str:
    def show(route: Route) -> str:
        network, router = (_address_text(n.to_bytes(4, "big")) for n in (route.network, route.router))
        return f"{network}/{route.prefix_bits} by {router}"

    return " ".join(map(show, decode_routes(data)))


class Option(NamedTuple):
    """One row of `OPTIONS`: code, RFC name, Sun's symbol ("" if none), and how its value is shown."""

    code: int
    name: str
    symbol: str
    shape: Shape


_U8, _U16, _U32, _S32 = _number(1), _number(2), _number(4), _number(4, signed=True)

_ROWS: Final = (
    Option(1, "subnet-mask", "Subnet", _address),
    Option(2, "time-offset", "UTCoffst", _S32),
    Option(3, "routers", "Router", _addresses),
    Option(4, "time-servers", "Timeserv", _addresses),
    Option(5, "name-servers", "IEN116ns", _addresses),
    Option(6, "domain-name-servers", "DNSserv", _addresses),
    Option(7, "log-servers", "Logserv", _addresses),
    Option(8, "cookie-servers", "Cookie", _addresses),
    Option(9, "lpr-servers", "Lprserv", _addresses),
    Option(10, "impress-servers", "Impress", _addresses),
    Option(11, "resource-location-servers", "Resource", _addresses),
    Option(12, "host-name", "", _text),
    Option(13, "boot-size", "Bootsize", _U16),
    Option(14, "merit-dump", "Dumpfile", _text),
    Option(15, "domain-name", "DNSdmain", _text),
    Option(16, "swap-server", "Swapserv", _address),
    Option(17, "root-path", "Rootpath", _text),
    Option(18, "extensions-path", "ExtendP", _text),
    Option(19, "ip-forwarding", "IpFwdF", _flag),
    Option(20, "non-local-source-routing", "NLrouteF", _flag),
    Option(21, "policy-filter", "PFilter", _address_pairs),
    Option(22, "max-dgram-reassembly", "MaxIpSiz", _U16),
    Option(23, "default-ip-ttl", "IpTTL", _U8),
    Option(24, "path-mtu-aging-timeout", "PathTO", _U32),
    Option(25, "path-mtu-plateau-table", "PathTbl", _numbers(2)),
    Option(26, "interface-mtu", "MTU", _U16),
    Option(27, "all-subnets-local", "SameMtuF", _flag),
    Option(28, "broadcast-address", "Broadcst", _address),
    Option(29, "perform-mask-discovery", "MaskDscF", _flag),
    Option(30, "mask-supplier", "MaskSupF", _flag),
    Option(31, "router-discovery", "RDiscvyF", _flag),
    Option(32, "router-solicitation-address", "RSolictS", _address),
    Option(33, "static-routes", "StaticRt", _address_pairs),
    Option(34, "trailer-encapsulation", "TrailerF", _flag),
    Option(35, "arp-cache-timeout", "ArpTimeO", _U32),
    Option(36, "ethernet-encapsulation", "EthEncap", _flag),
    Option(37, "default-tcp-ttl", "TcpTTL", _U8),
    Option(38, "tcp-keepalive-interval", "TcpKaInt", _U32),
    Option(39, "tcp-keepalive-garbage", "TcpKaGbF", _flag),
    Option(40, "nis-domain", "NISdmain", _text),
    Option(41, "nis-servers", "NISservs", _addresses),
    Option(42, "ntp-servers", "NTPservs", _addresses),
    Option(43, "vendor-specific", "Vendor", _suboptions),
    Option(44, "netbios-name-servers", "NetBNms", _addresses),
    Option(45, "netbios-dd-servers", "NetBDsts", _addresses),
    Option(46, "netbios-node-type", "NetBNdT", _U8),
    Option(47, "netbios-scope", "NetBScop", _text),
    Option(48, "font-servers", "XFontSrv", _addresses),
    Option(49, "x-display-managers", "XDispMgr", _addresses),
    Option(50, "requested-address", "ReqIP", _address),
    Option(51, "lease-time", "LeaseTim", _seconds),
    Option(52, "overload", "OptOvrld", _U8),
    Option(53, "message-type", "DHCPType", _message_type),
    Option(54, "server-id", "ServerID", _address),
    Option(55, "parameter-list", "ReqList", _code_list),
    Option(56, "message", "Message", _text),
    Option(57, "max-message-size", "DHCP_MTU", _U16),
    Option(58, "renewal-time", "T1Time", _seconds),
    Option(59, "rebinding-time", "T2Time", _seconds),
    Option(60, "class-id", "ClassID", _text),
    Option(61, "client-id", "ClientID", _hex),
    Option(62, "netware-domain", "NW_dmain", _text),
    Option(63, "netware-options", "NWIPOpts", _hex),
    Option(64, "nisplus-domain", "NIS+dom", _text),
    Option(65, "nisplus-servers", "NIS+serv", _addresses),
    Option(66, "tftp-server-name", "TFTPsrvN", _text),
    Option(67, "boot-file-name", "OptBootF", _text),
    Option(68, "mobile-ip-home-agents", "MblIPAgt", _addresses),
    Option(69, "smtp-servers", "SMTPserv", _addresses),
    Option(70, "pop3-servers", "POP3serv", _addresses),
    Option(71, "nntp-servers", "NNTPserv", _addresses),
    Option(72, "www-servers", "WWWservs", _addresses),
    Option(73, "finger-servers", "Fingersv", _addresses),
    Option(74, "irc-servers", "IRCservs", _addresses),
    Option(75, "streettalk-servers", "STservs", _addresses),
    Option(76, "streettalk-directory-servers", "STDAservs", _addresses),
    Option(77, "user-class", "UserClas", _user_classes),
    Option(78, "slp-directory-agent", "SLP_DA", _hex),
    Option(79, "slp-service-scope", "SLP_SS", _hex),
    Option(80, "rapid-commit", "", _hex),
    Option(81, "client-fqdn", "ClientFQDN", _hex),
    Option(82, "relay-agent-information", "AgentOpt", _suboptions),
    Option(89, "fqdn", "FQDN", _hex),
    Option(91, "client-last-transaction-time", "", _seconds),
    Option(92, "associated-ip", "", _addresses),
    Option(93, "client-architecture", "PXEarch", _numbers(2)),
    Option(94, "client-network-interface", "", _hex),
    Option(97, "client-machine-id", "", _hex),
    Option(100, "posix-timezone", "", _text),
    Option(101, "tzdb-timezone", "", _text),
    Option(116, "auto-configure", "", _flag),
    Option(118, "subnet-selection", "", _address),
    Option(119, "domain-search", "", _hex),
    Option(121, "classless-routes", "", _routes),
    Option(124, "vendor-identifying-class", "", _hex),
    Option(125, "vendor-identifying-specific", "", _hex),
    Option(150, "tftp-servers", "", _hex),
    Option(175, "ipxe-encapsulated", "", _suboptions),
    Option(209, "pxelinux-config-file", "", _text),
    Option(210, "pxelinux-path-prefix", "", _text),
    Option(211, "pxelinux-reboot-time", "", _seconds),
)
OPTIONS: Final[dict[int, Option]] = {row.code: row for row in _ROWS}


def describe(code: int, data: bytes) -> str:
    """One line such as `routers 10.0.0.1`, safe for any bytes: printable ASCII, `DESCRIBE_MAX_CHARS` at most.

    A value that does not have its option's shape is shown as hexadecimal and marked malformed.
    """
    row = OPTIONS.get(code)
    if row is None:
        return f"option-{code} {_hex(data)}"[:DESCRIBE_MAX_CHARS]
    try:
        value = row.shape(data)
    except (ValueError, KeyError):
        value = f"malformed {_hex(data)}"
    line = f"{row.name} {value}"
    return line if len(line) <= DESCRIBE_MAX_CHARS else line[: DESCRIBE_MAX_CHARS - 3] + "..."
