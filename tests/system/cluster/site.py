"""Lays a site on the share from inside a guest, as root: `python site.py RESOURCE SHARE CONFIG_DIR LEASE_S FREE`.

One network, half of its addresses owned by each server, reserved ones for the crowd's fixed clients; the configuration
of both servers.
"""

import os
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from storage.records import FREE_ID, MANUAL, Binding, Change, TabEntry, ipv4_int, open_records
from twinboot import sitefiles
from twinboot.config import Network
from twinboot.machine import SHARE_DIRECTORIES

SERVERS = {"odd": "10.98.0.11", "even": "10.98.0.12"}
NETWORK = IPv4Network("10.98.0.0/16")
TABLE = str(NETWORK.network_address)
FIRST_FREE = ipv4_int("10.98.16.1")
RESERVED = (ipv4_int("10.98.15.0"), 64)
NOBODY = 65534


def lay(resource: str, share: Path, configs: Path, lease_s: int, free: int) -> None:
    for name in SHARE_DIRECTORIES:
        (share / name).mkdir(parents=True)
        os.chown(share / name, NOBODY, NOBODY)
    for name, address in SERVERS.items():
        conf = configs / name
        conf.mkdir(parents=True)
        names = sitefiles.Names(
            "lab", share, name, name, IPv4Address(address), Path("/run/state"), conf / "dhcpsvc.conf", "nobody"
        )
        network = Network("public", NETWORK, None, "fe", (), None, lease_s)
        (conf / "twinboot.toml").write_text(sitefiles.toml_text(names, [network]))
        text = sitefiles.dhcpsvc_text(share, map(IPv4Address, SERVERS.values()), ["vec0"], resource)
        (conf / "dhcpsvc.conf").write_text(f"{text}ICMP_VERIFY=FALSE\nLEASE_MIN_LRU=5\n")
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    _lay_rows(resource, share / "dhcp", lease_s, free)


def _lay_rows(resource: str, folder: Path, lease_s: int, free: int) -> None:
    records = open_records(resource, folder)
    for table in ("dhcptab", TABLE):
        records.create(table)
    entry = TabEntry(TABLE, "m", 0, f":Subnet={NETWORK.netmask}:LeaseTim={lease_s}:LeaseNeg:")
    records.commit([Change("dhcptab", None, entry)])
    owners = [ipv4_int(address) for address in SERVERS.values()]
    rows = [Binding(FIRST_FREE + n, FREE_ID, 0, owners[n % 2], 0, 0, "", "") for n in range(free)]
    first, count = RESERVED
    for n in range(count):
        client_id = bytes([1, 2, 0xFD, 0, 0, n >> 8, n & 255])
        rows.append(Binding(first + n, client_id, MANUAL, owners[n % 2], 0, 0, "", ""))
    records.commit([Change(TABLE, None, row) for row in rows])


if __name__ == "__main__":
    lay(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
