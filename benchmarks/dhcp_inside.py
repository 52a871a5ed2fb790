"""What an exchange costs inside the server: no sockets, no other process, the datastore as it is.

The service gets batches of packets handed in and its replies are taken off its hands; commits go to the disk. Printed
are CPU microseconds for each packet and exchange, of the quietest fifth of the batches, so that a busy machine shows
little. (-P: else `dhcp` would be the script beside this one.)

\b
    .venv/bin/python -P benchmarks/dhcp_inside.py --resource twinlog --rows 15000
    .venv/bin/python -P benchmarks/dhcp_inside.py --profile            # where it goes, function by function
    .venv-fast/bin/python -P benchmarks/dhcp_inside.py                 # the compiled build, see `make fast`
"""

from __future__ import annotations

import cProfile
import pstats
import random
import struct
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from dhcp import options as o
from dhcp import wire
from dhcp.decision import Reply
from dhcp.networks import network
from dhcp.options import MessageType
from dhcp.packet import Packet
from dhcp.service import Service
from dhcp.sockets import Interface, Port
from dhcp.svcconf import ServiceConf
from storage.records import FREE_ID, Binding, Change, Records, TabEntry, ipv4_int, open_records
from twinboot.commands.version import build

NUMBER: Final = "10.1.0.0"
SERVER: Final = ipv4_int("10.1.0.1")
RELAY: Final = ipv4_int("10.1.0.2")
MACRO: Final = ":Subnet=255.255.0.0:Router=10.1.0.1:DNSserv=10.1.0.1:LeaseTim=3600:LeaseNeg:"
QUIET: Final = 5  # the quietest batch of so many is shown


class Basket:
    """Takes the replies."""

    def __init__(self) -> None:
        self.replies: list[bytes] = []

    def send(self, _port: Port, replies: Sequence[Reply]) -> None:
        """Keep them."""
        self.replies += [reply.data for reply in replies]

    def ask(self, _port: Port, _address: int) -> bool:
        """Nobody is asked by ICMP."""
        return False

    def emptied(self) -> list[bytes]:
        """Everything since the last time."""
        taken, self.replies = self.replies, []
        return taken


def fill(records: Records, rows: int) -> None:
    for table in ("dhcptab", NUMBER):
        records.create(table)
    first = ipv4_int(NUMBER) + 10
    free = [Binding(first + at, FREE_ID, 0, SERVER, 0, 0, NUMBER, "") for at in range(rows)]
    records.commit([Change("dhcptab", None, TabEntry(NUMBER, "m", 0, MACRO))])
    records.commit([Change(NUMBER, None, row) for row in free])


def ask(kind: MessageType, mac: bytes, *, ciaddr: int = 0, more: dict[int, bytes] | None = None) -> bytes:
    options = {o.MESSAGE_TYPE: bytes((kind,)), o.CLIENT_ID: b"\1" + mac, **(more or {})}
    options |= {o.MAX_MESSAGE_SIZE: b"\5\xdc", o.CLASS_ID: b"bench", o.PARAMETER_LIST: bytes((1, 3, 6, 15, 28, 51, 54))}
    options[o.RELAY_INFO] = b"\1\4eth1"
    chaddr = mac.ljust(wire.CHADDR_BYTES, b"\0")
    xid = random.getrandbits(32)
    return wire.encode(Packet(1, 1, 6, 1, xid, 0, 0, ciaddr, 0, 0, RELAY, chaddr, b"", b"", options))


def chosen(offer: bytes) -> dict[int, bytes]:
    return {o.REQUESTED_ADDRESS: offer[16:20], o.SERVER_ID: SERVER.to_bytes(4, "big")}


def run(service: Service, basket: Basket, batches: int, size: int) -> dict[str, list[float]]:
    port = Port(Interface("eth0", SERVER, 0xFFFF0000, b"", is_loopback=False), None, None)  # type: ignore[arg-type]
    took: dict[str, list[float]] = {"DISCOVER": [], "REQUEST": [], "renewal": []}

    def timed(what: str, packets: list[bytes]) -> list[bytes]:
        began = time.process_time()
        service.handle(port, packets)
        took[what].append((time.process_time() - began) / size * 1e6)
        replies = basket.emptied()
        if len(replies) != size:
            raise click.ClickException(f"{size} {what}s got {len(replies)} answers")
        return replies

    for _ in range(batches):
        macs = [struct.pack(">HI", 0x0200, random.getrandbits(32)) for _ in range(size)]
        offers = timed("DISCOVER", [ask(MessageType.DISCOVER, mac) for mac in macs])
        pairs = list(zip(macs, offers, strict=True))
        timed("REQUEST", [ask(MessageType.REQUEST, mac, more=chosen(offer)) for mac, offer in pairs])
        time.sleep(1)  # so that a renewal has something to store
        timed(
            "renewal", [ask(MessageType.REQUEST, mac, ciaddr=int.from_bytes(one[16:20], "big")) for mac, one in pairs]
        )
    return took


def tell_nobody(_kind: str, **_fields: object) -> None:
    """Events are not part of it."""


@click.command(help=__doc__)
@click.option("--resource", default="SUNWfiles", show_default=True, type=click.Choice(["SUNWfiles", "twinlog"]))
@click.option("--rows", default=15000, show_default=True, help="Bindings in the network.")
@click.option("--batches", default=15, show_default=True)
@click.option("--size", default=256, show_default=True, help="Packets in a batch.")
@click.option(
    "--profile", is_flag=True, help="Print the forty dearest functions; the profiler makes small ones dearer."
)
def main(resource: str, rows: int, batches: int, size: int, profile: bool) -> None:
    """Measure and print."""
    if rows < batches * size:
        raise click.UsageError(f"--rows: {batches} batches of {size} need {batches * size} free addresses")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        records = open_records(resource, Path(place))
        fill(records, rows)
        basket = Basket()
        conf = ServiceConf(resource, place, icmp_verify=False)
        service = Service(conf, frozenset({SERVER}), records, [network(f"{NUMBER}/16")], tell_nobody, basket, time)
        service.reload()
        profiler = cProfile.Profile()
        if profile:
            profiler.enable()
        took = run(service, basket, batches, size)
        profiler.disable()
    quiet = {what: sorted(values)[len(values) // QUIET] for what, values in took.items()}
    print("  ".join(f"{what} {value:.1f} us" for what, value in quiet.items()) + f"  ({build()})")
    print(f"an exchange of four packets: {quiet['DISCOVER'] + quiet['REQUEST']:.1f} us of CPU, {resource}, {rows} rows")
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
