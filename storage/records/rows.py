"""The rows that both servers share, as plain values.

Four kinds, each with one natural key and one *signature* (the version of the stored row, by which a writer
proves that it has seen the latest one):

* `Binding`: an address of a subnet and the client it belongs to (Sun's `dhcp_network(4)` row);
* `TabEntry`: a DHCP macro or symbol (Sun's `dhcptab(4)` row);
* `Install`: what one host is doing with its unattended install (ours);
* `Guest`: what one guest is, where it runs, and which command is at work on it (ours).

IPv4 addresses are ints in rows, because they are compared, hashed and counted far more often than printed;
`ipv4_text` and `ipv4_int` convert at the edges. Texts are str decoded as UTF-8 with `surrogateescape`: names and
comments typed in UTF-8 read as typed, and bytes of any other encoding survive a round trip unchanged.
"""

import socket
from typing import Final, NamedTuple

DYNAMIC: Final = 0
PERMANENT: Final = 1
MANUAL: Final = 2
UNUSABLE: Final = 4
BOOTP: Final = 8
"""Binding flags. DYNAMIC is the absence of the others; they may be combined (`PERMANENT | MANUAL`)."""

KNOWN_FLAGS: Final = PERMANENT | MANUAL | UNUSABLE | BOOTP

FREE_ID: Final = b"\0"
"""Client id of an address that belongs to nobody."""

FOREVER_S: Final = 0xFFFFFFFF
"""`Binding.lease_s` of a lease that never ends."""

SIGNATURE_MASK: Final = 2**64 - 1
"""Signatures are counted modulo 2^64; more than half of them do not fit a signed 64-bit number."""

MACRO: Final = "m"
SYMBOL: Final = "s"

OWN_TABLES: Final = ("guests", "installs")
"""Tables that Sun does not know."""

IPV4_MAX: Final = 0xFFFFFFFF


class Binding(NamedTuple):
    """One address of a subnet: who holds it, until when, and which server owns it.

    `lease_s` is the end of the lease in seconds since 1970 (0: none, `FOREVER_S`: never), `owner` the address of
    the server that answers for it, `macro` the name of the macro sent with this address.
    """

    address: int
    client_id: bytes
    flags: int
    owner: int
    lease_s: int
    signature: int
    macro: str
    comment: str

    @property
    def key(self) -> int:
        """The address."""
        return self.address


class TabEntry(NamedTuple):
    """One macro (`kind` "m") or symbol (`kind` "s") of the dhcptab; `value` is its definition as typed."""

    name: str
    kind: str
    signature: int
    value: str

    @property
    def key(self) -> tuple[str, str]:
        """Name and kind: a macro and a symbol may bear one name. Case matters."""
        return (self.name, self.kind)


class Install(NamedTuple):
    """One host's unattended install: its state, what is installed, and the token its fetches must bear.

    `changed_s` is the time of the last change of state (seconds since 1970), `server` the address of the server
    that made it, `detail` one line for people (the reason of a failure, a digest of the report).
    """

    host: str
    state: str
    target: str
    token: str
    changed_s: int
    server: int
    signature: int
    detail: str

    @property
    def key(self) -> str:
        """The host's name."""
        return self.host


class Guest(NamedTuple):
    """One guest. The name is that of its domain, `appl-1:vm-1`, which names project and volume as well.

    `origin` is the snapshot that its volume was cloned of, `domain_kind` how it is virtualized, `hypervisor` the host
    that its domain was last put on (empty before it has one), `uuid` the domain's. `links` are words separated by
    blanks, each `link,mac,address,host name` with what is known of them. `changed_s` and `by` tell the last change
    (seconds since 1970; who, and where). `work` is empty unless a command is at work on the guest, or died of it.
    """

    guest: str
    state: str
    origin: str
    domain_kind: str
    segment: str
    memory_mib: int
    vcpus: int
    hypervisor: str
    uuid: str
    changed_s: int
    by: str
    signature: int
    links: str
    work: str

    @property
    def key(self) -> str:
        """The guest's name."""
        return self.guest


Row = Binding | TabEntry | Install | Guest
Key = int | str | tuple[str, str]


def ipv4_text(number: int) -> str:
    """Dotted quad of an address; ValueError if the number has no 32-bit unsigned form."""
    try:
        return socket.inet_ntoa(number.to_bytes(4, "big"))
    except OverflowError as error:
        raise ValueError(f"{number} is not an IPv4 address") from error


def ipv4_int(text: str) -> int:
    """Number of a canonical dotted quad ("10.0.0.1"); ValueError for every other spelling."""
    try:
        packed = socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError) as error:
        raise ValueError(f"{text!r} is not a dotted IPv4 address") from error
    if socket.inet_ntoa(packed) != text:  # some C libraries take "010.0.0.1"
        raise ValueError(f"{text!r} is not written as {socket.inet_ntoa(packed)}")
    return int.from_bytes(packed, "big")
