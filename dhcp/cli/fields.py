"""The fields of a binding as people type and read them (pntadm(1M)): flags, client ids, ends of leases.

Readers raise ValueError with one line that says what to type. Dates are days of the local time zone, and begin at
midnight, as they do for Sun's command.
"""

import re
import time
from datetime import datetime

from storage.records import BOOTP, DYNAMIC, FOREVER_S, FREE_ID, MANUAL, PERMANENT, UNUSABLE

CLIENT_ID_MAX_BYTES = 64
FLAGS = {"DYNAMIC": DYNAMIC, "PERMANENT": PERMANENT, "MANUAL": MANUAL, "UNUSABLE": UNUSABLE, "BOOTP": BOOTP}

_HEX = re.compile(r"(?:[0-9A-F]{2})*")
_DATE = re.compile(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}")


def read_flags(text: str) -> int:
    """Flags from a decimal number ("03") or keywords joined by + ("permanent+MANUAL")."""
    if text.isascii() and text.isdigit():
        number = int(text) if len(text) <= 3 else -1
        if not 0 <= number <= sum(FLAGS.values()):
            raise ValueError(f"flags {text}: a number from 00 to {sum(FLAGS.values())}, the sum of 1, 2, 4 and 8")
        return number
    flags = 0
    for word in text.split("+"):
        if word.upper() not in FLAGS:
            raise ValueError(f'flags "{text}": write {"+".join(FLAGS)} (some of them), or their sum as a number')
        flags |= FLAGS[word.upper()]
    return flags


def flag_names(flags: int) -> list[str]:
    """Keywords of the flags that are set; DYNAMIC if none is."""
    return [name for name, bit in FLAGS.items() if flags & bit] or ["DYNAMIC"]


def flag_letters(flags: int) -> str:
    """Flags as `pntadm -P -v` writes them, such as PM."""
    return "".join(name[0] for name in flag_names(flags))


def read_client_id(text: str, *, is_ascii: bool) -> bytes:
    """A client id from capital hexadecimal digits, or from the text that it is; empty means free."""
    if is_ascii:
        if not (text and text.isascii() and text.isprintable()):
            raise ValueError(f"client id {text!r}: with -a give ASCII text without control characters")
        client_id = text.encode()
    else:
        if not _HEX.fullmatch(text):
            raise ValueError(f'client id "{text}": write pairs of 0-9 and A-F in capitals, such as 0100144F000001')
        client_id = bytes.fromhex(text) or FREE_ID
    if len(client_id) > CLIENT_ID_MAX_BYTES:
        raise ValueError(f"client id has {len(client_id)} bytes: at most {CLIENT_ID_MAX_BYTES} fit")
    return client_id


def read_lease(text: str) -> int:
    """End of a lease in seconds since 1970, from mm/dd/yyyy, 0 (none) or -1 (never ends)."""
    if text in ("0", "-1"):
        return 0 if text == "0" else FOREVER_S
    legal = f'lease "{text}": write the day of its end as mm/dd/yyyy, 0 for none, -1 for one that never ends'
    if not _DATE.fullmatch(text):
        raise ValueError(legal)
    try:
        end_s = int(datetime.strptime(text, "%m/%d/%Y").timestamp())  # noqa: DTZ007 - a local day is meant
    except (ValueError, OverflowError, OSError):
        raise ValueError(legal) from None
    if not 0 < end_s < FOREVER_S:
        raise ValueError(f"lease {text}: a day from 1970 to 2106 fits")
    return end_s


def lease_text(lease_s: int, *, verbose: bool = False, raw: bool = False) -> str:
    """End of a lease as `pntadm -P` writes it: the day, with `verbose` also the time, with `raw` seconds."""
    if raw:
        return "-1" if lease_s == FOREVER_S else str(lease_s)
    if lease_s in (0, FOREVER_S):
        return "Forever" if lease_s else "Zero"
    return time.strftime("%c" if verbose else "%m/%d/%Y", time.localtime(lease_s))
