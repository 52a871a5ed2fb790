"""The shapes of the values a host file may hold: text in, canonical value out.

Each function takes one string and returns its one canonical form, or raises ValueError with a single line that
says what is wrong and how to put it right. Nothing here knows keys, files or tables; `hostfile.py` does. What has
passed through here is safe on a kernel command line, in a boot menu and in a script, because every shape is an
allow-list and none of them admits white space, quotes or control characters (an ssh key's comment excepted).

Sources: RFC 1123 section 2.1 (host labels), IEEE 802 (group bit), xen-command-line(7) for `dom0_mem` and `com1`,
dladm(8) and Linux IFNAMSIZ for link names, crypt(5) for password hashes, sshd(8) for authorized keys.
"""

import base64
import binascii
import ipaddress
import re

LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
LINK_NAME = re.compile(r"[a-z][a-z0-9_]{0,13}[0-9]")  # dladm wants a final digit, Linux at most 15 characters
DEVICE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,30}")
DISK = re.compile(r"[A-Za-z0-9][A-Za-z0-9/_.:+-]{0,254}")
SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9/_.:@,+-]{0,254}")
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9/_.:@+-]{0,254}")
URI = re.compile(r"[a-z][a-z0-9+]{0,31}:[A-Za-z0-9/_.:@%?=&+~-]{0,222}")
INITIATOR = re.compile(r"iqn\.[0-9]{4}-(?:0[1-9]|1[0-2])\.[a-z0-9.:-]{1,211}|eui\.[0-9A-Fa-f]{16}")
CRYPT_HASH = re.compile(r"\$(?:1|2[aby]|5|6|7|y|gy|md5|sha1)[$,][./A-Za-z0-9$=,]{8,400}")
MAC_SPELLINGS = (
    re.compile(r"([0-9a-f]{1,2})" + r"[:-]([0-9a-f]{1,2})" * 5),
    re.compile(r"([0-9a-f]{2})([0-9a-f]{2})\." * 2 + r"([0-9a-f]{2})([0-9a-f]{2})"),
    re.compile(r"([0-9a-f]{2})" * 6),
)
SSH_KEY_TYPES = frozenset(
    {
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)
SEGMENTS = ("odd", "even")


def one_line(text: str) -> str:
    """Return text unchanged; refuse newlines and every other control or invisible character."""
    if not text.isprintable():
        raise ValueError(f"{text!r} holds a newline or control character; write it on one line of plain text")
    return text


def label(text: str) -> str:
    """A lower-case RFC 1123 label: a host, network or target name."""
    if not LABEL.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a name; use 1 to 63 lower-case letters, digits and inner hyphens, such as hv1"
        )
    return text


def segment(text: str) -> str:
    """One of the two physical network segments."""
    if text not in SEGMENTS:
        raise ValueError(f'{text!r} is not a segment; write "odd" or "even"')
    return text


def link_name(text: str) -> str:
    """A vanity link name: fe0, be0."""
    if not LINK_NAME.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a link name; use lower-case letters ending in a number, 15 at most, such as fe0"
        )
    return text


def mac(text: str) -> str:
    """A unicast hardware address in any common spelling, returned as aa:bb:cc:dd:ee:ff."""
    matches = (spelling.fullmatch(text.lower()) for spelling in MAC_SPELLINGS)
    found = next((match for match in matches if match), None)
    if found is None:
        raise ValueError(f"{text!r} is not a MAC address; write six hexadecimal pairs, such as 00:14:4f:00:00:01")
    octets = bytes(int(pair, 16) for pair in found.groups())
    if not any(octets):
        raise ValueError(f"{text!r} is the zero address; write the MAC address that the machine sends from")
    if octets[0] & 1:
        raise ValueError(
            f"{text!r} is a multicast or broadcast address; write the MAC address that the machine sends from"
        )
    return octets.hex(":")


def host_address(text: str) -> str:
    """An IPv4 address that one machine can have, as a dotted quad."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv4 address; write four numbers, such as 192.168.76.21") from None
    if address.is_multicast or address.is_loopback or address.is_unspecified or int(address) == 0xFFFFFFFF:
        raise ValueError(f"{text!r} cannot be the address of a machine; write a unicast IPv4 address")
    return str(address)


def peer(text: str) -> str:
    """Who may send a live migration here: an IPv4 address, an IPv4 network or a host label."""
    if LABEL.fullmatch(text) and not text.replace("-", "").isdigit():
        return text
    try:
        return str(ipaddress.IPv4Network(text)) if "/" in text else host_address(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no migration peer; write an address, a network such as 192.168.78.0/24, or a host name"
        ) from None


def password_hash(text: str) -> str:
    """A modular crypt(5) hash. A password in clear, or an old 13-character DES hash, is refused."""
    if not CRYPT_HASH.fullmatch(text):  # the value is not echoed: it may be somebody's password
        raise ValueError("this is not a password hash; make one with `openssl passwd -6` and paste its output")
    return text


def ssh_key(text: str) -> str:
    """One public key line: type, base64 and an optional comment, fields separated by single spaces."""
    kind, _, rest = text.strip().partition(" ")
    encoded, _, comment = rest.strip().partition(" ")
    if kind not in SSH_KEY_TYPES:
        raise ValueError(
            f"{kind[:40]!r} is not an ssh key type; paste the one line of the .pub file, such as ssh-ed25519 ..."
        )
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    if not blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
        raise ValueError(f"the {kind} key is damaged; paste the whole line of the .pub file again")
    return " ".join(part for part in (kind, encoded, comment.strip()) if part)


def _pattern(text: str, pattern: re.Pattern[str], what: str, example: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r} is not {what}; write it without spaces or quotes, such as {example}")
    return text


def device(text: str) -> str:
    """The operating system's own name of a NIC."""
    return _pattern(text, DEVICE, "a device name", "e1000g0")


def disk(text: str) -> str:
    """A disk, partition or slice name of the install target."""
    return _pattern(text, DISK, "a disk name", "c1t0d0s0 or sda")


def service(text: str) -> str:
    """A service to switch off: an SMF FMRI or a systemd unit."""
    return _pattern(text, SERVICE, "a service name", "svc:/application/cde-printinfo or cups.service")


def package(text: str) -> str:
    """A package to add."""
    return _pattern(text, PACKAGE, "a package name", "SUNWgcc or lldpd")


def uri(text: str) -> str:
    """Where a hypervisor is asked, as libvirt or ssh write it: `qemu+tcp://192.168.78.21/system`."""
    return _pattern(text, URI, "a hypervisor's URI", "qemu+ssh://root@192.168.78.21/system")


def initiator(text: str) -> str:
    """Name of an iSCSI initiator, RFC 3720 3.2.6: `iqn.2026-11.com.example:hv1`."""
    return _pattern(text, INITIATOR, "an initiator's name", "iqn.2026-11.com.example:hv1")
