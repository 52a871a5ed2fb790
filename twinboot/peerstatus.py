"""The servers of the site as `twinboot status` shows them: this one looked at now, the others by what they say."""

from __future__ import annotations

import dataclasses
import time
from typing import Any, NamedTuple

from storage.records import Records
from twinboot import peershare
from twinboot.config import Config
from twinboot.peerfacts import Description, Sighting
from twinboot.peerjudge import clock_difference_s, judge, last_seen_s, state
from twinboot.peerlook import Look
from twinboot.peermounts import advice

__all__ = ["Servers", "look"]


class Servers(NamedTuple):
    """This server, a document about each other one, what is wrong, and what is merely not needed."""

    own: Description
    peers: list[dict[str, Any]]
    faults: list[str]
    advice: list[str]


def look(config: Config, records: Records) -> Servers:
    """Look at all servers; OSError if the share fails.

    How wrong our own clock is, only a file that we wrote can tell: that of the peers service.
    """
    found = peershare.find(peershare.files_of(config), config.server)
    said = Look(config, records).describe()
    offset_s = 0.0
    if found.own is not None:
        offset_s = found.own.offset_s
        if found.own.said.dhcptab == said.dhcptab:
            said = dataclasses.replace(said, dhcptab_since_s=found.own.said.dhcptab_since_s)
    own = Sighting(said, said.at_s - offset_s)
    now_s = time.time() - offset_s
    faults = [warned.text for warned in judge(own, found.peers, now_s)]
    faults += [one.reason for one in found.unreadable]
    hints = [f"mount option {option} of the share: {why}" for option, why in advice(said.share)] if found.peers else []
    peers = [_document(own, peer, now_s, is_measured=found.own is not None) for peer in found.peers]
    return Servers(said, peers, faults, hints)


def _document(own: Sighting, peer: Sighting, now_s: float, *, is_measured: bool) -> dict[str, Any]:
    said = peer.said
    return {
        "name": said.name,
        "state": state(peer, now_s),
        "last_seen_s": round(last_seen_s(peer, now_s), 1),
        "address": said.address,
        "addresses": said.addresses,
        "version": said.version,
        "clock_difference_s": round(clock_difference_s(own, peer), 3) if is_measured else None,
        "commit": said.commit,
        "batch": said.batch,
        "resource": said.resource,
        "path": said.path,
        "owner_ip": said.owner_ip,
        "boot": said.boot,
        "started_s": said.started_s,
        "mount": {"type": said.share.kind, "options": said.share.options},
        "networks": said.networks,
    }
