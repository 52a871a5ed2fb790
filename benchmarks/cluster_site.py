"""Lays a site for two loaded servers on the share, from inside a guest.

    cluster_site.py SHARE CONFIG_DIR ROWS NETWORK ...

Half of the addresses of each network (`10.64.0.0/18`) are owned by either server.
"""

import os
import sys
from ipaddress import IPv4Address
from pathlib import Path

from storage.records import FREE_ID, Binding, Change
from storage.records.twinlog import open_twinlog
from tests.system.cluster.site import NOBODY, SERVERS
from twinboot.machine import SHARE_DIRECTORIES

LEASE_S = 3600


def lay(share: Path, configs: Path, rows: int, subnets: list[str]) -> None:
    """Directories, configuration of both, bindings."""
    for name in SHARE_DIRECTORIES:
        (share / name).mkdir(parents=True)
        os.chown(share / name, NOBODY, NOBODY)
    networks = "".join(
        f'[networks.n{index}]\nsubnet = "{subnet}"\nlease_s = {LEASE_S}\n' for index, subnet in enumerate(subnets)
    )
    for name, address in SERVERS.items():
        conf = configs / name
        conf.mkdir()
        (conf / "dhcpsvc.conf").write_text(
            f"DAEMON_ENABLED=TRUE\nRESOURCE=twinlog\nRUN_MODE=server\nPATH={share}/dhcp\nCONVER=1\n"
            f"OWNER_IP={','.join(SERVERS.values())}\nINTERFACES=vec0\nICMP_VERIFY=FALSE\n"
        )
        (conf / "twinboot.toml").write_text(
            f'[site]\nname = "bench"\nshare = "{share}"\n[server]\nname = "{name}"\naddress = "{address}"\n'
            f'state = "/run/state"\ndhcpsvc = "{conf}/dhcpsvc.conf"\n{networks}'
        )
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    owners = [int(IPv4Address(address)) for address in SERVERS.values()]
    records = open_twinlog(share / "dhcp")
    tables = [subnet.partition("/")[0] for subnet in subnets]
    for table in ("dhcptab", *tables):
        records.create(table)
    for table in tables:
        first = int(IPv4Address(table)) + 1
        bindings = (Binding(first + n, FREE_ID, 0, owners[n % 2], 0, 1, "", "") for n in range(rows))
        records.commit([Change(table, None, row) for row in bindings])


if __name__ == "__main__":
    lay(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
