"""DHCP option codes, message types, and the values of options that are made of several parts.

The names are those of RFC 2132 and of the RFC that added the option; code refers to options by them. What every option
is called for people, and how its value is shown, is in `dhcp.option_text`.
"""

from enum import IntEnum
from typing import Final, NamedTuple

PAD: Final = 0
SUBNET_MASK: Final = 1
TIME_OFFSET: Final = 2
ROUTER: Final = 3
DNS_SERVERS: Final = 6
HOST_NAME: Final = 12
DOMAIN_NAME: Final = 15
INTERFACE_MTU: Final = 26
BROADCAST_ADDRESS: Final = 28
VENDOR_SPECIFIC: Final = 43
REQUESTED_ADDRESS: Final = 50
LEASE_TIME: Final = 51
OVERLOAD: Final = 52
MESSAGE_TYPE: Final = 53
SERVER_ID: Final = 54
PARAMETER_LIST: Final = 55
MESSAGE: Final = 56
MAX_MESSAGE_SIZE: Final = 57
RENEWAL_TIME: Final = 58
REBINDING_TIME: Final = 59
CLASS_ID: Final = 60
CLIENT_ID: Final = 61
TFTP_SERVER_NAME: Final = 66
BOOT_FILE_NAME: Final = 67
USER_CLASS: Final = 77
CLIENT_FQDN: Final = 81
RELAY_INFO: Final = 82
LAST_TRANSACTION: Final = 91
ASSOCIATED_ADDRESSES: Final = 92
CLIENT_ARCH: Final = 93
CLIENT_NDI: Final = 94
CLIENT_UUID: Final = 97
SUBNET_SELECTION: Final = 118
CLASSLESS_ROUTES: Final = 121
END: Final = 255

RELAY_CIRCUIT_ID: Final = 1  # sub-options of RELAY_INFO, RFC 3046
RELAY_REMOTE_ID: Final = 2
RELAY_LINK_SELECTION: Final = 5  # RFC 3527
RELAY_SERVER_ID: Final = 11  # RFC 5107


class MessageType(IntEnum):
    """Values of option 53: RFC 2132, RFC 3203 (9), RFC 4388 (10 to 13)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8
    FORCERENEW = 9
    LEASEQUERY = 10
    LEASEUNASSIGNED = 11
    LEASEUNKNOWN = 12
    LEASEACTIVE = 13


# by name of their own, because looking one up in the class takes longer, and each packet asks several times
DISCOVER: Final = MessageType.DISCOVER
OFFER: Final = MessageType.OFFER
REQUEST: Final = MessageType.REQUEST
ACK: Final = MessageType.ACK
LEASEQUERY: Final = MessageType.LEASEQUERY


class Route(NamedTuple):
    """One classless static route: `network`/`prefix_bits` by way of `router` (addresses as integers)."""

    network: int
    prefix_bits: int
    router: int


def suboptions(data: bytes) -> dict[int, bytes]:
    """Split the code/length/value triples inside options 43 and 82; the first of a repeated code stands.

    A zero code is padding and 255 ends the list, as RFC 2132 section 8.4 has it for option 43; RFC 3046 gives
    neither code to a relay. Raises ValueError when a triple runs past the end.
    """
    found: dict[int, bytes] = {}
    at, end = 0, len(data)
    while at < end and data[at] != END:
        if data[at] == PAD:
            at += 1
            continue
        stop = at + 2 + data[at + 1] if at + 1 < end else end + 1
        if stop > end:
            raise ValueError(f"sub-option {data[at]} runs past the end")
        found.setdefault(data[at], data[at + 2 : stop])
        at = stop
    return found


def user_classes(data: bytes) -> tuple[str, ...]:
    """Names in option 77: RFC 3004 puts a length before each; iPXE and others send one bare name instead."""
    names: list[str] = []
    at = 0
    while at < len(data):
        stop = at + 1 + data[at]
        if data[at] == 0 or stop > len(data):
            return (data.decode("latin-1"),)
        names.append(data[at + 1 : stop].decode("latin-1"))
        at = stop
    return tuple(names)


def decode_routes(data: bytes) -> tuple[Route, ...]:
    """Decode option 121 (RFC 3442); ValueError for a prefix above 32 bits or a route cut short."""
    routes: list[Route] = []
    at = 0
    while at < len(data):
        prefix_bits = data[at]
        middle = at + 1 + (prefix_bits + 7) // 8
        if prefix_bits > 32 or middle + 4 > len(data):
            raise ValueError(f"route with prefix {prefix_bits} is not whole")
        network = int.from_bytes(data[at + 1 : middle].ljust(4, b"\0"), "big")
        routes.append(Route(network, prefix_bits, int.from_bytes(data[middle : middle + 4], "big")))
        at = middle + 4
    return tuple(routes)
