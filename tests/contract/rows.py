"""Rows of every kind, as every datastore has to keep them."""

from typing import Any

from storage.records import (
    FOREVER_S,
    FREE_ID,
    MANUAL,
    PERMANENT,
    Binding,
    Change,
    Guest,
    Install,
    Outcome,
    TabEntry,
    ipv4_int,
)

NET = "192.168.76.0"
SERVER = ipv4_int("192.168.76.1")


def binding(last: int, **fields: Any) -> Binding:
    row = Binding(ipv4_int(f"192.168.76.{last}"), FREE_ID, 0, SERVER, 0, 0, "pxe1", "")
    return row._replace(**fields)


def entry(name: str, kind: str = "m", value: str = ":LeaseTim=60:") -> TabEntry:
    return TabEntry(name, kind, 0, value)


INSTALL = Install("hv1", "armed", "live-xen", "abc", 1_700_000_000, SERVER, 0, "a|b")
GUEST = Guest(
    *("appl-1:vm-1", "defined", "masters/osol-0811@version-01", "pv", "odd", 1024, 1, "hv1"),
    *("5f0a5a0e-54fc-4b1c-a8a4-2f2f6f0a7c11", 1_700_000_000, "root@install-odd", 0),
    *("fe0,52:54:00:00:00:01,192.168.76.71,vm-host1 be0", "up|1"),
)
SAMPLES = [
    (NET, binding(10, client_id=bytes.fromhex("01080020AABBCC"), flags=PERMANENT | MANUAL, lease_s=FOREVER_S)),
    (NET, binding(11, macro="0108|x", comment="a|b comment")),
    (NET, binding(12, comment="back\\slash, gr\u00fc\u00dfe")),
    ("dhcptab", entry("a|b", value=':Rootpath="/x|y":')),
    ("dhcptab", entry("SrootIP4", "s", "Vendor=SUNW.i86pc,2,IP,1,1")),
    ("dhcptab", entry("empty", value="")),
    ("installs", INSTALL),
    ("installs", INSTALL._replace(token="", detail="")),
    ("guests", GUEST),
    ("guests", GUEST._replace(hypervisor="", uuid="", memory_mib=2**32 - 1, links="", work="")),
]


def one(store, table, old, new):
    (result,) = store.records.commit([Change(table, old, new)])
    return result


def add(store, table, *rows):
    results = store.records.commit([Change(table, None, row) for row in rows])
    assert [result.outcome for result in results] == [Outcome.STORED] * len(rows)
    return [result.row for result in results]
