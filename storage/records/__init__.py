"""Rows that both servers share: one port, several adapters.

`open_records(resource, path)` gives the datastore that a configuration names; `port` says what every datastore
does and how it may fail; `rows` are the values kept; docs/records.md describes the files.
"""

from storage.records.memory import MemoryRecords
from storage.records.open import ADAPTERS, open_records
from storage.records.port import (
    Change,
    Delta,
    Epoch,
    Fault,
    Outcome,
    Records,
    RecordsError,
    Rescan,
    Result,
    WithoutCopies,
)
from storage.records.rows import (
    BOOTP,
    DYNAMIC,
    FOREVER_S,
    FREE_ID,
    KNOWN_FLAGS,
    MACRO,
    MANUAL,
    OWN_TABLES,
    PERMANENT,
    SIGNATURE_MASK,
    SYMBOL,
    UNUSABLE,
    Binding,
    Guest,
    Install,
    Key,
    Row,
    TabEntry,
    ipv4_int,
    ipv4_text,
)
from storage.records.sunwfiles import SunwFiles

__all__ = [
    "ADAPTERS",
    "BOOTP",
    "DYNAMIC",
    "FOREVER_S",
    "FREE_ID",
    "KNOWN_FLAGS",
    "MACRO",
    "MANUAL",
    "OWN_TABLES",
    "PERMANENT",
    "SIGNATURE_MASK",
    "SYMBOL",
    "UNUSABLE",
    "Binding",
    "Change",
    "Delta",
    "Epoch",
    "Fault",
    "Guest",
    "Install",
    "Key",
    "MemoryRecords",
    "Outcome",
    "Records",
    "RecordsError",
    "Rescan",
    "Result",
    "Row",
    "SunwFiles",
    "TabEntry",
    "WithoutCopies",
    "ipv4_int",
    "ipv4_text",
    "open_records",
]
