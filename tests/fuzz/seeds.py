"""Honest inputs, from which the fuzzer begins."""

from __future__ import annotations

import struct

from dnslib import DNSRecord

DISCOVER = (
    struct.pack("!4BI2H4I", 1, 1, 6, 0, 7, 0, 0, 0, 0, 0, 0)
    + bytes.fromhex("00144f000001")
    + bytes(10 + 64 + 128)
    + bytes.fromhex("63825363 350101 3c20")
    + b"PXEClient:Arch:00007:UNDI:003016"
    + bytes.fromhex("3d07 0100144f000001 3704 01030642 5d020007 340101 52060104c0a84c01 ff")
)
LINES = b"0100144F000001|2|192.168.76.21|192.168.76.1|0|5|s1|a host\n00|0|10.0.0.5|10.0.0.1|0|1|s|\n"
EXCHANGE = (
    b"# twinboot exchange 1\n[dhcptab]\nx|m|0|:a=1:\n[192.168.76.0]\n# note\n"
    b"192.168.76.9|00|00|10.0.0.1|0|0|m|a b\n[end]\n"
)
TAB = b"Router1|s|1|Site,150,ASCII,1,0\nx|m|2|:Subnet=255.255.255.0:Include=y:\\\n  Router=10.0.0.1:\n#note\n"
HOST = (
    b'name = "hv1"\nsegment = "odd"\ntarget = "live-xen"\ndom0_mem = "1G,max:2G"\nconsole = "com1=9600,8n1"\n'
    b'ssh_keys = ["ssh-ed25519 AAAA me"]\n[links.fe0]\nmac = "00:14:4f:00:00:01"\naddress = "10.0.0.5"\n'
)
CONF = (
    b"DAEMON_ENABLED=TRUE\nRESOURCE=SUNWfiles\nRUN_MODE=server\nPATH=/var/dhcp\nCONVER=1\n"
    b"OWNER_IP=192.168.78.14,192.168.78.16\nRESCAN_INTERVAL=1\n# note\n"
)
RULES = b"probe memsize\n! hostname a && \\\n model 'Sun, 1' b p f # x\nmemsize 1-9 && arch i386 - p -\nany - b = -\n"
PROFILE = b"install_type initial_install\npool rpool auto 2g 2g mirror c0t0d0s0 c0t1d0s0\ncluster SUNWCall add\n"
SYSIDCFG = (
    b"timezone=UTC\nname_service=DNS {domain_name=a.com name_server=10.0.0.1,10.0.0.2}\n"
    b"network_interface=PRIMARY {hostname='a' ip_address=10.0.0.5 netmask=255.0.0.0 primary}\n"
)
QUESTION = bytes(DNSRecord.question("ip-10-0-0-50.example.com").pack())
EDNS = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 12) + struct.pack("!HH", 10, 8) + b"12345678"
