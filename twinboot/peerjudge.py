"""What is set up wrongly among servers that share one directory: descriptions in, warnings out. Pure.

Each rule is one function in a table: `ALONE` judges this server, `BESIDE` this server and one other. A warning is one
line that says what to do; `code` and `server` stay the same while its numbers change, so that it can be told once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from twinboot.peerfacts import Description, Sighting
from twinboot.peermounts import is_network, objections

__all__ = ["BEAT_S", "CLOCKS_S", "LATE_S", "SETTLE_S", "Warned", "clock_difference_s", "judge", "last_seen_s", "state"]

BEAT_S = 10.0
"""How often a server describes itself."""
LATE_S = 3.5 * BEAT_S
"""From this age on a description is old news: the server is down, cut off, or its share hangs."""
CLOCKS_S = 5.0
"""Difference of clocks that is told: leases end by the clock of the server that looks."""
SETTLE_S = 3 * BEAT_S
"""For so long two servers may see different macros: an edit reaches them one after the other."""
LAG_S = 5.0
"""By so much a look must be later than another one before it must have seen at least as much."""
ROOM_BYTES = 64 * 2**20
ROOM_FILES = 1000
OFFLINE = "127."


class Warned(NamedTuple):
    """One warning: what kind, about which server, and the line for people."""

    code: str
    server: str
    text: str


class Pair(NamedTuple):
    """This server and another one, and the share's time."""

    own: Sighting
    peer: Sighting
    now_s: float

    @property
    def both(self) -> tuple[Description, Description]:
        """The two descriptions."""
        return self.own.said, self.peer.said


Lines = Iterator[tuple[str, str]]
"""(code, line): a rule may have several."""


def judge(own: Sighting, peers: Sequence[Sighting], now_s: float) -> list[Warned]:
    """All warnings for this server, `now_s` by the share's clock. Of a peer that is not there only that is told."""
    name = own.said.name
    found = [Warned(code, name, text) for rule in ALONE for code, text in rule(own.said)]
    if peers:
        found += [Warned(code, name, text) for code, text in _mounts(own.said)]
    for peer in peers:
        pair = Pair(own, peer, now_s)
        rules: Iterable[Callable[[Pair], Lines]] = BESIDE if state(peer, now_s) == "up" else (_absent,)
        found += [Warned(code, peer.said.name, text) for rule in rules for code, text in rule(pair)]
    return found


def last_seen_s(peer: Sighting, now_s: float) -> float:
    """Seconds since the server described itself, by the share's clock."""
    return max(0.0, now_s - peer.stamp_s)


def clock_difference_s(own: Sighting, peer: Sighting) -> float:
    """By how much the peer's clock is ahead of ours."""
    return peer.offset_s - own.offset_s


def state(peer: Sighting, now_s: float) -> str:
    """`up`, `stopped` (it said so) or `silent`."""
    if peer.said.stopped:
        return "stopped"
    return "silent" if last_seen_s(peer, now_s) > LATE_S else "up"


def _room(own: Description) -> Lines:
    if not own.writable:
        yield "share-read-only", "the share is read-only here: nothing can be stored: mount and export it read-write"
    elif own.free_bytes < ROOM_BYTES or 0 <= own.free_files < ROOM_FILES:
        left = f"{own.free_bytes >> 20} MiB and {max(own.free_files, 0)} files are left on the share"
        yield "share-full", f"{left}: free some room, or soon no lease can be stored"


def _mounts(own: Description) -> Lines:
    told = set()
    for mount in (own.share, own.records):
        for option, why in objections(mount, own.resource):
            if option not in told:
                told.add(option)
                yield f"mount-{option.partition('=')[0]}", f"mount option {option} of the share: {why}"


def _absent(pair: Pair) -> Lines:
    name = pair.peer.said.name
    gone = f"if it is gone for good, `twinboot status --forget {name}`"
    if pair.peer.said.stopped:
        yield "stopped", f"{name} was stopped: start it (`systemctl start twinboot` there); {gone}"
    else:
        minutes, seconds = divmod(int(last_seen_s(pair.peer, pair.now_s)), 60)
        what = f"{name} was last seen {minutes} min {seconds} s ago"
        yield "silent", f"{what}: see whether it runs and reaches the share; {gone}"


def _versions(pair: Pair) -> Lines:
    own, peer = pair.both
    if own.version != peer.version:
        yield "version", f"versions differ: {_each(pair, own.version, peer.version)}: update the older one"


def _places(pair: Pair) -> Lines:
    own, peer = pair.both
    if own.inode and peer.inode and own.inode != peer.inode:
        each = _each(pair, own.path, peer.path)
        yield "place", f"records are in two places: {each}: let PATH and the mounts be the same"


def _keys(pair: Pair) -> Lines:
    own, peer = pair.both
    for key in sorted(own.keys.keys() & peer.keys.keys()):
        if own.keys[key] != peer.keys[key]:
            file = "twinboot.toml" if "." in key else "dhcpsvc.conf"
            yield f"key-{key}", f"{key} differs: {_each(pair, own.keys[key], peer.keys[key])}: let {file} say the same"


def _dhcptabs(pair: Pair) -> Lines:
    own, peer = pair.both
    settled = [
        pair.now_s - (said.dhcptab_since_s - sight.offset_s) > SETTLE_S
        for said, sight in ((own, pair.own), (peer, pair.peer))
    ]
    if own.dhcptab and peer.dhcptab and own.dhcptab != peer.dhcptab and all(settled):
        what = f"{peer.name} sees other macros than {own.name}"
        yield "dhcptab", f"{what}: compare `dhtadm -P` on both; is the same share mounted?"


def _owners(pair: Pair) -> Lines:
    """Whose OWNER_IP lacks what: a server answers for the bindings of its own addresses and of those in the list."""
    own, peer = pair.both
    every = {*own.owner_ip, *own.addresses, *peer.owner_ip, *peer.addresses}
    real = {address for address in every if not address.startswith(OFFLINE)}
    for said in (own, peer):
        lacks = real - {*said.owner_ip, *said.addresses}
        if lacks:
            missing, whole = (",".join(sorted(one, key=_octets)) for one in (lacks, real))
            what = f"OWNER_IP of {said.name} lacks {missing}, so it leaves their bindings unanswered"
            yield f"owner-{said.name}", f"{what}: on {said.name} `dhcpconfig -P OWNER_IP={whole}`, then restart it"


def _octets(address: str) -> tuple[int, ...]:
    return tuple(int(part) for part in address.split(".") if part.isdigit())


def _one_address(pair: Pair) -> Lines:
    own, peer = pair.both
    shared = sorted(one for one in {*own.addresses} & {*peer.addresses} if not one.startswith(OFFLINE))
    if shared:
        yield "address", f"{', '.join(shared)} is on {own.name} and on {peer.name}: give each an address of its own"


def _clocks(pair: Pair) -> Lines:
    ahead_s = clock_difference_s(pair.own, pair.peer)
    if abs(ahead_s) > CLOCKS_S:
        own, peer = pair.both
        each = _each(pair, f"{pair.own.offset_s:+.0f} s", f"{pair.peer.offset_s:+.0f} s")
        how = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'}"
        what = f"the clock of {peer.name} is {how} that of {own.name} (beyond {CLOCKS_S:.0f} s; to the share's: {each})"
        yield "clocks", f"{what}: run an NTP client on both"


def _behind(pair: Pair) -> Lines:
    """Who looked later must have seen at least as many commits."""
    if not all(said.batch for said in pair.both):
        return
    sights = sorted((pair.own, pair.peer), key=_looked_s)
    first, second = sights[0].said, sights[1].said
    if _looked_s(sights[1]) - _looked_s(sights[0]) > LAG_S and second.batch < first.batch:
        what = f"{second.name} sees batch {second.batch}, {first.name} saw {first.batch} before"
        yield "behind", f"{what}: is the same share mounted? `twinboot store check` on both tells"


def _looked_s(sight: Sighting) -> float:
    return sight.said.looked_s - sight.offset_s


def _locks(pair: Pair) -> Lines:
    own, peer = pair.both
    if {own.resource, peer.resource} == {"SUNWfiles"} and (is_network(own.records) or is_network(peer.records)):
        what = "two servers share SUNWfiles over NFS, whose locks get lost, stuck or unfair"
        how = f"`dhcpconfig -C -r twinlog -p DIR` here, the same RESOURCE and PATH on {peer.name}"
        yield "sunwfiles", f"{what}: stop both and change to twinlog: {how}"


def _trouble(pair: Pair) -> Lines:
    peer = pair.peer.said
    if peer.trouble:
        yield "trouble", f"{peer.name} cannot read its records: {peer.trouble}"


def _each(pair: Pair, own: str, peer: str) -> str:
    return f"{pair.own.said.name} {own or 'none'}, {pair.peer.said.name} {peer or 'none'}"


ALONE: tuple[Callable[[Description], Lines], ...] = (_room,)
BESIDE: tuple[Callable[[Pair], Lines], ...] = (
    *(_trouble, _versions, _places, _keys, _dhcptabs, _owners, _one_address, _clocks, _behind, _locks),
)
