"""The shapes that values of JumpStart files have: what one word may look like, and how to tell a person.

Every shape is an allow-list, and none admits a quote, a backslash, a `$`, a backquote or a control character: Sun's
readers are shell scripts, and what passed here means the same to them as to us. A shape judges one word and nothing
around it.

Sources: Custom JumpStart and Advanced Installations (rule and profile keywords), ZFS Administration Guide (pools),
sysidcfg(4), crypt(5); disk names by the controller, target, disk, slice scheme, with the long targets of multipathing.
"""

import re
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import NamedTuple

DISK = r"c[0-9]{1,3}(?:t(?:[0-9]{1,3}|[0-9A-Fa-f]{16,32}))?d[0-9]{1,5}"
PLAIN = r"[A-Za-z0-9_.,:=/@%+~^!-]"
PATH = r"/[A-Za-z0-9_.,:=/@%+~-]*"
SOURCE = r"/(?:[A-Za-z0-9_.,:=/@%+~-]|\$HOST)*"
"""A path where the installer puts the host's name in place of $HOST."""

HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?"
OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4 = rf"{OCTET}(?:\.{OCTET}){{3}}"
NETMASKS = frozenset(str(IPv4Network((0, bits)).netmask) for bits in range(33))
NUMBER = r"[0-9]{1,9}"
RANGE = re.compile(rf"({NUMBER})-({NUMBER})")


class Shape(NamedTuple):
    """What a word must be: the test, its description for a message, an example, and the words where it is a choice."""

    takes: Callable[[str], bool]
    what: str
    example: str
    choices: tuple[str, ...] = ()


def pattern(regex: str, what: str, example: str) -> Shape:
    """A shape given by a regular expression for the whole word."""
    compiled = re.compile(regex)
    return Shape(lambda word: compiled.fullmatch(word) is not None, what, example)


def one_of(*choices: str) -> Shape:
    """One of these words, exactly as written."""
    return Shape(lambda word: word in choices, " or ".join(choices), choices[0], choices)


def any_case(*choices: str) -> Shape:
    """One of these words, capitals or not."""
    lower = frozenset(choice.lower() for choice in choices)
    return Shape(lambda word: word.lower() in lower, " or ".join(choices), choices[0], choices)


def either(*shapes: Shape) -> Shape:
    """What any of `shapes` takes."""
    return Shape(
        lambda word: any(shape.takes(word) for shape in shapes),
        " or ".join(shape.what for shape in shapes),
        shapes[0].example,
        tuple(choice for shape in shapes for choice in shape.choices),
    )


def read_range(text: str) -> tuple[int, int] | None:
    """`lo-hi` as two numbers, lo not above hi; a single number is the range of itself. None if it is neither."""
    found = RANGE.fullmatch(text)
    low, high = (int(found[1]), int(found[2])) if found else (-1, -1)
    if re.fullmatch(NUMBER, text):
        low = high = int(text)
    return (low, high) if 0 <= low <= high else None


def _is_range(text: str) -> bool:
    return "-" in text and read_range(text) is not None


disk = pattern(DISK, "a disk", "c0t0d0")
slice_ = pattern(DISK + "s[0-7]", "a slice", "c0t0d0s0")
root_slice = pattern(r"rootdisk\.s[0-7]", "a slice of the root disk", "rootdisk.s0")
number = pattern(NUMBER, "a number", "4")
mib = pattern(NUMBER, "a number of MB", "4096")
size_range = Shape(_is_range, "a range of MB, the smaller first", "400-600")
size_or_range = Shape(lambda word: read_range(word) is not None, "MB or a range of MB, the smaller first", "64-128")
ipv4 = pattern(IPV4, "an IPv4 address", "192.168.78.21")
quad = pattern(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", "four numbers with dots", "192.168.78.0")
host = pattern(HOST, "a host name or address", "hv1")
name = pattern(r"[A-Za-z0-9][A-Za-z0-9_.,:@+-]{0,254}", "a name", "name")
quotable = pattern(
    r"[A-Za-z0-9][A-Za-z0-9_.,:@+()/ -]{0,254}", "a name (quoted where it holds blanks)", "'SUNW,Ultra-5'"
)
word = pattern(PLAIN + "{1,1024}", "one plain word", "word")
path = pattern(PATH, "an absolute path", "/export/install")
source_path = pattern(SOURCE, "an absolute path", "/export/install")
file_name = pattern(
    r"(?!\.\.?(?:/|$))[A-Za-z0-9_.+@%~][A-Za-z0-9_.+@%,~-]*(?:/(?!\.\.?(?:/|$))[A-Za-z0-9_.+@%,~-]+)*",
    "a file below this directory",
    "profiles/hv1",
)
remote_path = pattern(rf"(?:{HOST}):{SOURCE}", "a server and a path", "192.168.78.14:/export/install")
nfs_url = pattern(rf"nfs://(?:{HOST}){SOURCE}", "an nfs URL", "nfs://server/path")
http_url = pattern(rf"https?://(?:{HOST})(?::{NUMBER})?{SOURCE}", "an http URL", "http://server/path")
ftp_url = pattern(rf"ftp://(?:{PLAIN}+@)?(?:{HOST}){SOURCE}", "an ftp URL", "ftp://server/path")
proxy = pattern(rf"(?:{HOST}):[0-9]{{1,5}}", "a host and a port", "proxy:8080")
user_path = pattern(rf"{PLAIN}+@(?:{HOST}):{PATH}", "user@host:/path", "backup@server:/path")
mount_options = pattern(r"[A-Za-z0-9_.,=+-]{1,1024}", "mount options without blanks", "ro,nosuid")
pool_name = pattern(r"[A-Za-z][A-Za-z0-9_.:-]{0,29}", "a name of at most 30 characters, a letter first", "rpool")
pool_mib = pattern(NUMBER + "[mMgG]?", "MB, or a number with g", "80g")
be_name = pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,29}", "a name of at most 30 letters, digits and -_.", "snv_105")
metadevice = pattern(
    r"mirror(?::(?:d(?:[0-9]{1,2}|1[01][0-9]|12[0-7])|[A-Za-z][A-Za-z0-9_.-]{0,29}))?",
    "mirror or mirror:NAME",
    "mirror:d10",
)
cylinders = pattern(NUMBER + ":" + NUMBER, "start:size in cylinders", "0:60")
hex_type = pattern(r"0[xX][0-9A-Fa-f]{1,2}", "a partition type in hexadecimal", "0x82")
decimal_type = pattern(r"[0-9]{1,3}", "a partition type", "130")
locale = pattern(r"[A-Za-z][A-Za-z0-9_.@-]{0,63}", "a locale", "en_US.UTF-8")
patch_ids = pattern(r"[0-9]{6}-[0-9]{2}(?:,[0-9]{6}-[0-9]{2})*", "patch numbers with commas", "119254-50")

# sysidcfg
zone_path = pattern(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*", "a time zone", "Europe/London")
terminal = pattern(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}", "a terminal type", "vt100")
link = pattern(r"[a-z][a-z0-9_]{0,29}[0-9]", "the name of an interface", "e1000g0")
keyboard = pattern(r"[A-Za-z][A-Za-z0-9_-]{0,63}", "a keyboard layout", "US-English")
distinguished = pattern(r"[A-Za-z0-9_.,:=@+ -]{1,1024}", "a distinguished name", "cn=proxyagent,ou=profile")
netmask = Shape(lambda word: word in NETMASKS, "a netmask", "255.255.255.0")
domain = pattern(r"[A-Za-z][A-Za-z0-9_.-]{0,254}", "a domain name", "example.com")
server = pattern(rf"(?:{HOST})(?:\({IPV4}\))?", "a server and its address", "ns1(192.168.78.14)")
crypt_hash = pattern(
    r"[./A-Za-z0-9]{13}|\$[a-z0-9]{1,8}[$,][./A-Za-z0-9$=,]{8,400}",
    "a password hash",
    "the output of `openssl passwd -5`",
)
