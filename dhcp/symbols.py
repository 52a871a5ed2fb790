"""Symbols of the dhcptab: names for option values, their types, and how their text becomes bytes.

The built-in symbols are those of Solaris' inittab (dhcp_inittab(4)), kept in one table, `INITTAB`. An `s` record of
the dhcptab adds others: `Context,Code,Type,Granularity,Maximum` (dhcptab(4)). Rules as Solaris' own parser has them:

- Context is `Site` (codes 128 to 254), `Extend` (108 to 127) or `Vendor=class class ...` (1 to 254); letter case
  counts, classes are split at blanks unless in double quotes, 128 characters each and 1280 together at most.
- Type is one of `Kind`. The manual page's BOOLEAN is not one: the parser has always known BOOL only.
- Granularity is how many values belong together (IP: addresses; NUMBER: octets in one number, 1, 2, 4 or 8) and is 0
  for BOOL only. Maximum is how many of those may be given; 0 is no limit.
- A name that the built-in table has cannot be defined anew. The SUNW vendor symbols are *not* in the server's view of
  that table, so a site that uses them must define them; an error about one of them says with which text.

Deliberate difference: symbols that are the protocol's own business (`RESERVED`) may not be set in a macro.
"""

import ipaddress
from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

NAME_MAX_CHARS: Final = 128
CLASS_MAX_CHARS: Final = 128
CLASSES_MAX_CHARS: Final = 1280
TEXT_MAX_BYTES: Final = 255
VALUE_MAX_BYTES: Final = 1024  # of other types: longer than one option, RFC 3396 splits it


class Category(Enum):
    """Where a symbol's value goes."""

    STANDARD = "Standard"
    EXTEND = "Extend"
    SITE = "Site"
    VENDOR = "Vendor"  # inside option 43
    FIELD = "Field"  # a fixed field of the packet; the code is its offset
    INTERNAL = "Internal"  # tells the server something; never sent


class Kind(Enum):
    """Type of a symbol's value."""

    ASCII = "ASCII"
    OCTET = "OCTET"
    IP = "IP"
    NUMBER = "NUMBER"
    BOOL = "BOOL"
    UNUMBER8 = "UNUMBER8"
    UNUMBER16 = "UNUMBER16"
    UNUMBER32 = "UNUMBER32"
    UNUMBER64 = "UNUMBER64"
    SNUMBER8 = "SNUMBER8"
    SNUMBER16 = "SNUMBER16"
    SNUMBER32 = "SNUMBER32"
    SNUMBER64 = "SNUMBER64"


class Symbol(NamedTuple):
    """One symbol. `classes` are the vendor classes it is for (Category.VENDOR only)."""

    category: Category
    name: str
    code: int
    kind: Kind
    granularity: int
    maximum: int
    classes: tuple[str, ...] = ()


class SymbolError(ValueError):
    """A definition or value that cannot be used; the text says what to write instead."""


_CODES: Final = {Category.SITE: range(128, 255), Category.EXTEND: range(108, 128), Category.VENDOR: range(1, 255)}
_NUMBER_BYTES: Final = {
    kind: int(bits) // 8
    for kind in Kind
    if (bits := kind.value.removeprefix("UNUMBER").removeprefix("SNUMBER")).isdigit()
}

INITTAB: Final = """
    Standard Subnet 1 IP 1 1        | Standard UTCoffst 2 SNUMBER32 1 1  | Standard Router 3 IP 1 0
    Standard Timeserv 4 IP 1 0      | Standard IEN116ns 5 IP 1 0         | Standard DNSserv 6 IP 1 0
    Standard Logserv 7 IP 1 0       | Standard Cookie 8 IP 1 0           | Standard Lprserv 9 IP 1 0
    Standard Impress 10 IP 1 0      | Standard Resource 11 IP 1 0        | Standard Bootsize 13 UNUMBER16 1 1
    Standard Dumpfile 14 ASCII 1 0  | Standard DNSdmain 15 ASCII 1 0     | Standard Swapserv 16 IP 1 1
    Standard Rootpath 17 ASCII 1 0  | Standard ExtendP 18 ASCII 1 0      | Standard IpFwdF 19 UNUMBER8 1 1
    Standard NLrouteF 20 UNUMBER8 1 1  | Standard PFilter 21 IP 2 0      | Standard MaxIpSiz 22 UNUMBER16 1 1
    Standard IpTTL 23 UNUMBER8 1 1  | Standard PathTO 24 UNUMBER32 1 1   | Standard PathTbl 25 UNUMBER16 1 0
    Standard MTU 26 UNUMBER16 1 1   | Standard SameMtuF 27 UNUMBER8 1 1  | Standard Broadcst 28 IP 1 1
    Standard MaskDscF 29 UNUMBER8 1 1  | Standard MaskSupF 30 UNUMBER8 1 1  | Standard RDiscvyF 31 UNUMBER8 1 1
    Standard RSolictS 32 IP 1 1     | Standard StaticRt 33 IP 2 0        | Standard TrailerF 34 UNUMBER8 1 1
    Standard ArpTimeO 35 UNUMBER32 1 1 | Standard EthEncap 36 UNUMBER8 1 1  | Standard TcpTTL 37 UNUMBER8 1 1
    Standard TcpKaInt 38 UNUMBER32 1 1 | Standard TcpKaGbF 39 UNUMBER8 1 1  | Standard NISdmain 40 ASCII 1 0
    Standard NISservs 41 IP 1 0     | Standard NTPservs 42 IP 1 0        | Standard Vendor 43 OCTET 1 0
    Standard NetBNms 44 IP 1 0      | Standard NetBDsts 45 IP 1 0        | Standard NetBNdT 46 UNUMBER8 1 1
    Standard NetBScop 47 ASCII 1 0  | Standard XFontSrv 48 IP 1 0        | Standard XDispMgr 49 IP 1 0
    Standard ReqIP 50 IP 1 1        | Standard LeaseTim 51 UNUMBER32 1 1 | Standard OptOvrld 52 UNUMBER8 1 1
    Standard DHCPType 53 UNUMBER8 1 1  | Standard ServerID 54 IP 1 1     | Standard ReqList 55 OCTET 1 0
    Standard Message 56 ASCII 1 0   | Standard DHCP_MTU 57 UNUMBER16 1 1 | Standard T1Time 58 UNUMBER32 1 1
    Standard T2Time 59 UNUMBER32 1 1   | Standard ClassID 60 ASCII 1 0   | Standard ClientID 61 OCTET 1 0
    Standard NW_dmain 62 ASCII 1 0  | Standard NWIPOpts 63 OCTET 1 128   | Standard NIS+dom 64 ASCII 1 0
    Standard NIS+serv 65 IP 1 0     | Standard TFTPsrvN 66 ASCII 1 64    | Standard OptBootF 67 ASCII 1 128
    Standard MblIPAgt 68 IP 1 0     | Standard SMTPserv 69 IP 1 0        | Standard POP3serv 70 IP 1 0
    Standard NNTPserv 71 IP 1 0     | Standard WWWservs 72 IP 1 0        | Standard Fingersv 73 IP 1 0
    Standard IRCservs 74 IP 1 0     | Standard STservs 75 IP 1 0         | Standard STDAservs 76 IP 1 0
    Standard UserClas 77 ASCII 1 0  | Standard SLP_DA 78 OCTET 1 0       | Standard SLP_SS 79 OCTET 1 0
    Standard ClientFQDN 81 OCTET 1 0   | Standard AgentOpt 82 OCTET 1 0  | Standard FQDN 89 OCTET 1 0
    Standard PXEarch 93 NUMBER 2 1
    Field Opcode 0 UNUMBER8 1 1     | Field Htype 1 UNUMBER8 1 1         | Field HLen 2 UNUMBER8 1 1
    Field Hops 3 UNUMBER8 1 1       | Field Xid 4 UNUMBER32 1 1          | Field Secs 8 UNUMBER16 1 1
    Field Flags 10 OCTET 1 2        | Field Ciaddr 12 IP 1 1             | Field Yiaddr 16 IP 1 1
    Field BootSrvA 20 IP 1 1        | Field Giaddr 24 IP 1 1             | Field Chaddr 28 OCTET 1 16
    Field BootSrvN 44 ASCII 1 64    | Field BootFile 108 ASCII 1 128     | Field Magic 236 OCTET 1 4
    Field Options 240 OCTET 1 60
    Internal Hostname 1024 BOOL 0 0 | Internal LeaseNeg 1025 BOOL 0 0
    Internal EchoVC 1026 BOOL 0 0   | Internal BootPath 1027 ASCII 1 128
    Vendor SrootOpt 1 ASCII 1 0     | Vendor SrootIP4 2 IP 1 1           | Vendor SrootNM 3 ASCII 1 0
    Vendor SrootPTH 4 ASCII 1 0     | Vendor SswapIP4 5 IP 1 1           | Vendor SswapPTH 6 ASCII 1 0
    Vendor SbootFIL 7 ASCII 1 0     | Vendor Stz 8 ASCII 1 0             | Vendor SbootRS 9 UNUMBER16 1 1
    Vendor SinstIP4 10 IP 1 1       | Vendor SinstNM 11 ASCII 1 0        | Vendor SinstPTH 12 ASCII 1 0
    Vendor SsysidCF 13 ASCII 1 0    | Vendor SjumpsCF 14 ASCII 1 0       | Vendor Sterm 15 ASCII 1 0
    Vendor SbootURI 16 ASCII 1 0    | Vendor SHTTPproxy 17 ASCII 1 0
"""


def _read_inittab() -> tuple[Symbol, ...]:
    cells = (cell.split() for line in INITTAB.strip().splitlines() for cell in line.split("|"))
    return tuple(Symbol(Category(c), n, int(code), Kind(k), int(g), int(m)) for c, n, code, k, g, m in cells)


_ALL: Final = _read_inittab()
BUILT_IN: Final[Mapping[str, Symbol]] = {row.name: row for row in _ALL if row.category is not Category.VENDOR}
SUN_VENDOR: Final[Mapping[str, Symbol]] = {row.name: row for row in _ALL if row.category is Category.VENDOR}
_SETTABLE_FIELDS: Final = frozenset({"BootSrvA", "BootSrvN", "BootFile"})
_PROTOCOL: Final = frozenset(
    {"ReqIP", "OptOvrld", "DHCPType", "ServerID", "ReqList", "DHCP_MTU", "ClientID", "AgentOpt"}
)
RESERVED: Final = _PROTOCOL | {row.name for row in _ALL if row.category is Category.FIELD} - _SETTABLE_FIELDS


def unknown_symbol(name: str) -> str:
    """Say what to do about a name that no symbol has."""
    vendor = SUN_VENDOR.get(name)
    if vendor:
        rest = f"{vendor.code},{vendor.kind.value},{vendor.granularity},{vendor.maximum}"
        return f"symbol {name} must be defined by the site: add it as Vendor=<client class>,{rest}"
    close = next((known for known in BUILT_IN if known.lower() == name.lower()), None)
    return f"symbol {name} is not defined: " + (f"write {close}" if close else "define it, or correct its name")


def parse_symbol(name: str, text: str) -> Symbol:
    """Read the definition of an `s` record; SymbolError says what is wrong with it."""
    if not 0 < len(name) <= NAME_MAX_CHARS or not name.isprintable() or set(name) & set(':=@"\\ '):
        raise SymbolError(
            f'symbol name {name[:32]!r}: use 1 to {NAME_MAX_CHARS} characters, none of them : = @ " \\ or blank'
        )
    if name in BUILT_IN or name == "Include":
        raise SymbolError(f"symbol {name} is built in and cannot be defined again: choose another name")
    fields = [field.strip() for field in text.split(",")]
    if len(fields) != 5 or not all(fields):
        raise SymbolError("a definition has five fields: write Context,Code,Type,Granularity,Maximum")
    category, classes = _context(fields[0])
    code = _small(fields[1], "code")
    if code not in _CODES[category]:
        codes = _CODES[category]
        raise SymbolError(f"code {code} is outside {category.value}'s range: use {codes.start} to {codes.stop - 1}")
    kind = Kind.__members__.get(fields[2])
    if kind is None:
        raise SymbolError(f"type {fields[2]!r} is unknown: use one of {' '.join(Kind.__members__)}")
    granularity, maximum = _small(fields[3], "granularity"), _small(fields[4], "maximum")
    if kind is Kind.NUMBER and granularity not in (1, 2, 4, 8):
        raise SymbolError(f"a NUMBER has 1, 2, 4 or 8 octets, not {granularity}: correct the granularity")
    if granularity == 0 and kind is not Kind.BOOL:
        raise SymbolError("granularity 0 is for BOOL only: write 1")
    return Symbol(category, name, code, kind, granularity, maximum, classes)


def _small(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255):
        raise SymbolError(f"{what} {text[:16]!r} is not a number from 0 to 255")
    return int(text)


def _context(text: str) -> tuple[Category, tuple[str, ...]]:
    """Read the first field of a definition: the category, and the classes of a Vendor symbol."""
    word, equals, rest = text.partition("=")
    word = word.rstrip()
    if word == "Vendor" and equals:
        classes = _classes(rest)
        if not classes or len(rest) > CLASSES_MAX_CHARS or max(map(len, classes)) > CLASS_MAX_CHARS:
            raise SymbolError(
                f"Vendor= needs client classes of up to {CLASS_MAX_CHARS} characters, {CLASSES_MAX_CHARS} in all"
            )
        return Category.VENDOR, classes
    if word in ("Site", "Extend") and not equals:
        return Category(word), ()
    raise SymbolError(f"context {text[:32]!r} is unknown: write Site, Extend or Vendor=class (letter case counts)")


def _classes(text: str) -> tuple[str, ...]:
    """Split client classes at blanks outside double quotes."""
    pieces = text.split('"')
    if len(pieces) % 2 == 0:
        raise SymbolError("a double quote around a client class is not closed")
    names: list[str] = []
    for index, piece in enumerate(pieces):
        names += [piece] if index % 2 else piece.split()
    return tuple(filter(None, names))


def encode_value(symbol: Symbol, text: str) -> bytes:
    """Turn a value's text, quotes already taken off, into the octets to send; SymbolError says what to write."""
    if symbol.kind is Kind.BOOL:
        raise SymbolError(f"{symbol.name} is a flag: write it without a value")
    if symbol.kind is Kind.ASCII:
        return _text_bytes(symbol, text)
    if symbol.kind is Kind.OCTET:
        values, size = _octets(symbol, text), symbol.granularity
    elif symbol.kind is Kind.IP:
        values, size = b"".join(_ip(symbol, word) for word in text.split()), 4 * symbol.granularity
    else:
        width = _NUMBER_BYTES.get(symbol.kind, symbol.granularity)
        values = b"".join(_number(symbol, word, width) for word in text.split())
        size = width if symbol.kind is Kind.NUMBER else width * symbol.granularity
    if not values:
        raise SymbolError(f"{symbol.name} has no value: write {symbol.name}=value")
    if len(values) % size:
        raise SymbolError(
            f"{symbol.name} takes its values in groups of {symbol.granularity}: the last group is not whole"
        )
    if symbol.maximum and len(values) > size * symbol.maximum:
        raise SymbolError(
            f"{symbol.name} takes at most {symbol.maximum}: leave {len(values) // size - symbol.maximum} out"
        )
    limit = TEXT_MAX_BYTES if symbol.category is Category.VENDOR else VALUE_MAX_BYTES
    if len(values) > limit:
        raise SymbolError(f"{symbol.name} is {len(values)} octets long: {limit} is the most")
    return values


def _text_bytes(symbol: Symbol, text: str) -> bytes:
    data = text.rstrip().encode("utf-8", "surrogateescape")
    # The last octet of a limited field is for the NUL that many clients expect there.
    limit = symbol.maximum - 1 if symbol.maximum > 1 else TEXT_MAX_BYTES
    if not data:
        raise SymbolError(f"{symbol.name} is empty: write a value, or {symbol.name}@ to take back an earlier one")
    if any(byte < 32 or byte == 127 for byte in data):
        raise SymbolError(f"{symbol.name} has a control character in it: take it out")
    if len(data) > limit:
        raise SymbolError(f"{symbol.name} is {len(data)} octets long: {limit} is the most")
    return data


def _octets(symbol: Symbol, text: str) -> bytes:
    word = text.strip()
    if not word.isascii() or not word.isalnum() or len(word) % 2:
        raise SymbolError(f"{symbol.name} takes pairs of hexadecimal digits without 0x, such as 4d5205")
    try:
        return bytes.fromhex(word)
    except ValueError:
        raise SymbolError(f"{symbol.name} takes hexadecimal digits without 0x, such as 4d5205") from None


def _ip(symbol: Symbol, word: str) -> bytes:
    try:
        return ipaddress.IPv4Address(word).packed
    except ValueError:
        raise SymbolError(f"{symbol.name}: {word[:32]!r} is not an address: write it as 192.168.76.1") from None


def _number(symbol: Symbol, word: str, width: int) -> bytes:
    """Read a number as C does (0x hexadecimal, 0 octal, minus sign) and cut it to `width` octets, as Solaris does."""
    digits = word.removeprefix("-").lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    try:
        if not digits[:1].isdigit() or "_" in digits or len(digits) > 24:
            raise ValueError(word)
        number = int(digits, base)
    except ValueError:
        raise SymbolError(f"{symbol.name}: {word[:32]!r} is not a number: write 10, 0x0a or 012") from None
    if word.startswith("-"):
        number = -number
    return (number & ((1 << 8 * width) - 1)).to_bytes(width, "big")
