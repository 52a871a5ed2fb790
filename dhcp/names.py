"""Host names that clients send and get: options 12 (RFC 2132) and 81 (RFC 4702), cleaned.

Rules of the room:

* A client's name is a stranger's text. `clean` keeps letters, digits and hyphens of each label (RFC 952, RFC 1123),
  and returns "" for what is then no name: an empty label, one over 63 octets, more than 253 in all. It is shown, and
  never looked up, stored or run.
* Names are never given out because a client asks for one: the records say what a machine is called.
* No DNS server is updated from here, so the answer to option 81 says so: N set, S clear, O set when that is not what
  the client asked for, and 255 in both result codes.
"""

import re
from typing import Final

from dhcp import options as o
from dhcp.packet import Packet

LABEL_MAX: Final = 63
NAME_MAX: Final = 253
_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_STRAY: Final = re.compile(r"[^A-Za-z0-9-]")

_HEAD_BYTES: Final = 3  # of option 81: flags and two result codes
S, O, E, N = 1, 2, 4, 8  # noqa: E741 - the RFC's names of the flags
_NO_RESULT: Final = b"\xff\xff"


def is_label(text: str) -> bool:
    """Tell whether a text is one host label as it stands."""
    return _LABEL.fullmatch(text) is not None


def clean(text: str) -> str:
    """Return a host name of letters, digits and hyphens; "" when nothing usable is left."""
    if len(text) > NAME_MAX + 1:
        return ""
    labels = [_STRAY.sub("", label).strip("-") for label in text.removesuffix(".").split(".")]
    return ".".join(labels) if all(0 < len(label) <= LABEL_MAX for label in labels) else ""


def sent_by(request: Packet) -> str:
    """Return the name that a client calls itself, cleaned: option 81's, else option 12's, else ""."""
    fqdn = request.options.get(o.CLIENT_FQDN)
    if fqdn is not None and (name := fqdn_name(fqdn)):
        return name
    return clean(request.options.get(o.HOST_NAME, b"").rstrip(b"\0").decode("latin-1"))


def fqdn_name(data: bytes) -> str:
    """Return the cleaned name in option 81; "" when there is none, or it is malformed."""
    if len(data) < _HEAD_BYTES:
        return ""
    name = data[_HEAD_BYTES:]
    return clean(_from_wire(name) if data[0] & E else name.rstrip(b"\0").decode("latin-1"))


def _from_wire(name: bytes) -> str:
    """Read RFC 1035 labels, not compressed; the end may be missing, for that is a partial name (RFC 4702 3.3.1)."""
    labels: list[str] = []
    at = 0
    while at < len(name) and name[at]:
        stop = at + 1 + name[at]
        if name[at] > LABEL_MAX or stop > len(name) or b"." in name[at + 1 : stop]:
            return ""
        labels.append(name[at + 1 : stop].decode("latin-1"))
        at = stop
    return ".".join(labels)


def fqdn_reply(asked: bytes, host: bytes, domain: bytes) -> bytes | None:
    """Return option 81 of a reply: the name that the records have, else the client's own; None where there is none.

    `host` is the label of the client's binding or empty, `domain` option 15 of the reply.
    """
    if len(asked) < _HEAD_BYTES:
        return None
    parts = (host.decode("ascii"), clean(domain.decode("latin-1")))
    name = ".".join(filter(None, parts)) if host else fqdn_name(asked)
    if not is_name(name):
        return None
    flags = N | (asked[0] & E) | (O if asked[0] & S else 0)
    return bytes((flags,)) + _NO_RESULT + (_to_wire(name) if flags & E else name.encode())


def is_name(text: str) -> bool:
    """Tell whether a text is a host name that DNS can hold."""
    return len(text) <= NAME_MAX and all(map(is_label, text.split(".")))


def _to_wire(name: str) -> bytes:
    labels = name.encode().split(b".")
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
