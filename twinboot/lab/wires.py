"""The lab's cables: two switches (public, backend), a namespace for each install server, a tap for each machine link.

`plan` is pure: it returns the ip(8) commands in order. `lay` runs them.
"""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

ROLES = {"fe": "public", "be": "backend"}
"""Role of a link -> the switch (a Linux bridge) that it is plugged into."""


class Server(NamedTuple):
    """An install server's place: its namespace and, for each role, its address with prefix length (`10.77.0.1/24`)."""

    name: str
    addresses: dict[str, str]


class Plug(NamedTuple):
    """A machine's network card: the tap device's name and the role of the link."""

    tap: str
    role: str


def plan(servers: Iterable[Server], plugs: Iterable[Plug]) -> list[list[str]]:
    """Return the `ip` commands (without the leading `ip`) that build the wires, in order."""
    steps: list[list[str]] = [["link", "set", "lo", "up"]]
    for switch in ROLES.values():
        steps += bridge(switch)
    for server in servers:
        steps += _server(server)
    for plug in plugs:
        steps.append(["tuntap", "add", "dev", plug.tap, "mode", "tap"])
        steps.append(["link", "set", plug.tap, "master", ROLES[plug.role], "up"])
    return steps


def bridge(name: str, inside: Sequence[str] = ()) -> list[list[str]]:
    """The steps that make a bridge, in the namespace that the words `inside` choose.

    Its MAC address is chosen here. Left to itself a bridge takes the lowest of its ports' (br_stp_recalculate_bridge_id
    in Linux), so it may take that of a guest's tap and lose it with the guest, and until the neighbours have forgotten
    the former one, which takes them half a minute, a host with its address there hears nobody. A veth's address is
    drawn by lot, so without this it happens in one lab of seventy.
    """
    own = zlib.crc32(" ".join([*inside, name]).encode()).to_bytes(4)
    address = (b"\x02\x00" + own).hex(":")  # of those that are given locally
    return [
        [*inside, "link", "add", name, "address", address, "type", "bridge", "forward_delay", "0"],
        [*inside, "link", "set", name, "up"],
    ]


def _server(server: Server) -> list[list[str]]:
    inside = ["-n", server.name]
    steps = [["netns", "add", server.name], [*inside, "link", "set", "lo", "up"]]
    for role, address in server.addresses.items():
        port, card = f"{server.name}-{role}", f"{role}0"
        steps.append(["link", "add", port, "type", "veth", "peer", "name", card, "netns", server.name])
        steps.append(["link", "set", port, "master", ROLES[role], "up"])
        steps.append([*inside, "addr", "add", address, "dev", card])
        steps.append([*inside, "link", "set", card, "up"])
    return steps


def lay(steps: Iterable[Sequence[str]]) -> None:
    """Run the steps of `plan`; the first that fails raises CalledProcessError with ip's own words on stderr."""
    for step in steps:
        subprocess.run(["ip", *step], check=True)
