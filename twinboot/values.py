"""Readers for the values of a configuration: plain TOML value in, checked value out, or ValueError with the way out.

A reader says nothing about files and keys: its caller knows those.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TypeVar

__all__ = [
    "address",
    "addresses",
    "choice",
    "devices",
    "domain",
    "integer",
    "label",
    "month",
    "path",
    "portal",
    "subnet",
    "switch",
    "text",
    "texts",
]

T = TypeVar("T")
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")  # RFC 1123 section 2.1
DEVICE = re.compile(r"[^\s/:]{1,15}")  # IFNAMSIZ less the NUL; the kernel refuses blanks, / and :
MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)
DOMAIN_BYTES_MAX = 253
ISCSI_PORT = 3260
TEXT_CHARS_MAX = 255


def text(value: object) -> str:
    """A line of printable text: it may reach a log line or a menu."""
    if not isinstance(value, str):
        raise ValueError(f"must be text in quotes, not {value!r}")
    if not value or len(value) > TEXT_CHARS_MAX or not value.isprintable():
        raise ValueError(f"must be 1 to {TEXT_CHARS_MAX} printable characters")
    return value


def label(value: object) -> str:
    """A host, site or segment name: one DNS label, kept in lower case."""
    name = text(value)
    if not LABEL.fullmatch(name):
        raise ValueError(f"{name!r} is not a name of letters, digits and inner hyphens, 63 at most")
    return name.lower()


def domain(value: object) -> str:
    """A DNS domain in lower case, without the final dot."""
    name = text(value).rstrip(".")
    if len(name) > DOMAIN_BYTES_MAX or not all(LABEL.fullmatch(part) for part in name.split(".")):
        raise ValueError(f"{name!r} is not a domain name such as example.com")
    return name.lower()


def path(value: object) -> Path:
    """An absolute path, normalised without touching the file system (it may be a dead NFS mount)."""
    name = text(value)
    if not name.startswith("/"):
        raise ValueError(f"{name!r} is not absolute: begin it with /")
    return Path(os.path.normpath(name))


def address(value: object) -> IPv4Address:
    """One IPv4 address."""
    try:
        return IPv4Address(text(value))
    except ValueError as error:
        raise ValueError(f"{value!r} is not an IPv4 address such as 10.0.0.1") from error


def portal(value: object) -> str:
    """An IPv4 address and a TCP port, `10.0.0.1:3260`; without a port, that of iSCSI."""
    host, colon, port = text(value).partition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    if colon and not 1 <= number <= 65535:
        raise ValueError(f"{value!r} is not an address and port such as 10.0.0.1:{ISCSI_PORT}")
    return f"{address(host)}:{number if colon else ISCSI_PORT}"


def month(value: object) -> str:
    """A year and month."""
    if not MONTH.fullmatch(text(value)):
        raise ValueError(f"{value!r} is not a year and month such as 2026-11")
    return str(value)


def subnet(value: object) -> IPv4Network:
    """An IPv4 prefix with no host bits set, /8 to /30."""
    try:
        net = IPv4Network(text(value), strict=False)
    except ValueError as error:
        raise ValueError(f"{value!r} is not a subnet such as 10.0.0.0/24") from error
    if "/" not in str(value):
        raise ValueError(f"{value!r} has no prefix length: write {value}/24 or what your netmask says")
    if not 8 <= net.prefixlen <= 30:
        raise ValueError(f"/{net.prefixlen} leaves no sensible number of hosts: use /8 to /30")
    if str(net.network_address) != str(value).partition("/")[0]:
        raise ValueError(f"{value} has host bits set: did you mean {net}?")
    return net


def integer(low: int, high: int) -> Callable[[object], int]:
    """A whole number from `low` to `high`."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{value!r} is not a whole number from {low} to {high}")
        return value

    return read


def switch(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is not true or false")
    return value


def choice(*words: str) -> Callable[[object], str]:
    """One of `words`."""

    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is not one of {', '.join(words)}")
        return str(value)

    return read


def _each(read: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    def read_all(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise ValueError(f'must be a list such as ["a", "b"], not {value!r}')
        return tuple(read(item) for item in value)

    return read_all


def _device(value: object) -> str:
    name = text(value)
    if not DEVICE.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a network device")
    return name


addresses = _each(address)
texts = _each(text)
devices = _each(_device)
