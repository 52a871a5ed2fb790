"""The reference site's pair of DHCP servers, set up by Sun's commands alone; what the service then reads.

The two lines with -P are those that its operators typed, duplicate and all.
"""

import shlex

from dhcp import svcconf_file
from dhcp.cli import dhtadm, pntadm
from dhcp.macros import MacroTable
from storage.records import MANUAL, Binding, SunwFiles, TabEntry, ipv4_int
from tests.dhcp.cli.dhcpconfig.conftest import Server
from tests.rows import rows_of

COMMANDS = {"dhtadm": dhtadm.main, "pntadm": pntadm.main}

ODD = """\
dhcpconfig -D -r SUNWfiles -p @/dhcp -d example.com -a 192.168.78.10
dhcpconfig -N 192.168.76.0 -m 255.255.255.0 -t 192.168.76.1
dhcpconfig -N 192.168.78.0 -m 255.255.255.0
dhcpconfig -P OWNER_IP=192.168.78.14,192.168.78.16,192.168.76.25,192.168.76.25
dhcpconfig -P RESCAN_INTERVAL=1
dhtadm -A -s GrubMenu -d Site,150,ASCII,1,0
dhtadm -A -m PXEClient:Arch:00000 -d ':BootSrvA=192.168.78.14:BootFile="pxegrub":'
dhtadm -A -m 0100144F000001 -d ':GrubMenu="menu.lst.0100144F000001":'
pntadm -A 192.168.78.21 -f MANUAL -i 0100144F000001 -m install-odd -y -s 192.168.78.14 192.168.78.0
pntadm -A 192.168.76.71 -f MANUAL -i 0100163E000001 -m install-odd -c vm-host1 -s 192.168.76.25 192.168.76.0
"""
EVEN = """\
dhcpconfig -D -r SUNWfiles -p @/dhcp -d example.com -a 192.168.78.10
dhcpconfig -P 'OWNER_IP="192.168.78.14,192.168.78.16,192.168.76.25"'
dhcpconfig -P RESCAN_INTERVAL=1
pntadm -A 192.168.78.22 -f MANUAL -i 0100144F000002 -m install-even -y -s 192.168.78.16 192.168.78.0
"""


def play(server: Server, script: str) -> None:
    for line in script.splitlines():
        program, _, rest = line.partition(" ")
        if program == "dhcpconfig":
            assert server(rest) == 0, server.err
        else:
            assert COMMANDS[program](shlex.split(rest)) == 0, line


def test_two_servers_on_one_store(server: Server) -> None:
    play(server, ODD)
    odd = svcconf_file.load(server.conf)
    server.conf.unlink()  # the other server has a file of its own
    server.machine = server.machine._replace(name="install-even", address=ipv4_int("192.168.78.16"))
    play(server, EVEN)
    even = svcconf_file.load(server.conf)

    assert odd.owner_ip == even.owner_ip == tuple(map(ipv4_int, ("192.168.78.14", "192.168.78.16", "192.168.76.25")))
    assert (odd.rescan_interval_min, even.path) == (1, odd.path)
    store = SunwFiles(server.store)
    assert store.tables() == ["192.168.76.0", "192.168.78.0", "dhcptab"]
    reserved = [row for row in rows_of(store, "192.168.78.0", Binding) if row.flags == MANUAL]
    assert {row.macro for row in reserved} == {"install-odd", "install-even"}
    table = MacroTable.load(rows_of(store, "dhcptab", TabEntry))
    assert table.faults == ()
    told = table.select(
        "PXEClient:Arch:00000:UNDI:002001", (), "192.168.78.0", "install-odd", bytes.fromhex("0100144F000001")
    )
    assert (told.boot_file, told.boot_server) == ("pxegrub", ipv4_int("192.168.78.14"))
    assert told.names == ("PXEClient:Arch:00000", "192.168.78.0", "install-odd", "0100144F000001")
    assert (150, b"menu.lst.0100144F000001") in told.options
    assert told.lease_s == 86400
