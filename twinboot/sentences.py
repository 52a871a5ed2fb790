"""One event as a sentence for people. A table: event kind -> words, filled from the event's fields. Pure.

A kind without a row is shown by its fields, so a new kind is readable before somebody finds words for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["SENTENCES", "Fields", "amount", "sentence"]

SENTENCES: Mapping[str, str] = {
    "dhcp.offer": "DISCOVER answered with an OFFER of {address}",
    "dhcp.ack": "REQUEST ({state}) answered with an ACK for {address}",
    "dhcp.nak": "REQUEST refused with a NAK: {reason}",
    "dhcp.inform": "INFORM answered for {address}",
    "dhcp.release": "RELEASE of {address}",
    "dhcp.decline": "DECLINE: {address} is in use by another machine; it is set aside",
    "dhcp.bootp": "BOOTP request answered with {address}",
    "dhcp.leasequery": "lease query about {address}: {state}",
    "dhcp.totals": "DHCP packets since the start: {detail}",
    "dhcp.conflict": "{address} answers a ping, so another machine has it; it is set aside",
    "dhcp.relayed": "request passed on to {server}",
    "dhcp.returned": "reply for {address} passed back to its client",
    "dhcp.packet": "received {state}: {detail}",
    "dhcp.reply": "sent {state}: {detail}",
    "dhcp.silent": "no answer ({reason}): {detail}",
    "tftp.start": "{file} by TFTP, begun",
    "tftp.progress": "{file} by TFTP, {size} so far",
    "tftp.done": "{file} by TFTP, {size} in {seconds}{why}",
    "tftp.failed": "{file} by TFTP broke off after {size}: {reason}",
    "tftp.refused": "{file} refused by TFTP: {reason}",
    "http.start": "{file} by HTTP, begun",
    "http.done": "{file} by HTTP, {size} in {seconds}{why}",
    "http.failed": "{file} by HTTP broke off: {reason}",
    "http.refused": "{file} refused by HTTP: {reason}",
    "dns.refused": "{count} questions for names not answered: {reason}",
    "menu.rendered": "menu: {plan}, because {reason}",
    "install.state": "install of {target}: {state}{news}",
    "guests.cloned": "guest cloned from {origin} by {by}",
    "guests.defined": "guest defined on {hypervisor} by {by}",
    "guests.made": "guest made on {hypervisor} of {origin} by {by}",
    "guests.started": "guest started on {hypervisor} by {by}",
    "guests.stopped": "guest stopped by {by}",
    "guests.moved": "guest moved to {hypervisor} by {by}",
    "guests.destroyed": "guest destroyed by {by}",
    "guests.bound": "{address} bound to {link} as {name} by {by}",
    "guests.freed": "{address} of {link} given back by {by}",
    "guests.failed": "{command} by {by} broke off: {reason}",
    "records.hung": "the datastore {reason}",
    "records.back": "the datastore answers again, after {elapsed_s} s",
    "clock.skew": "clocks {state}: {reason}",
    "volumes.tended": "volumes: {detail}",
    "volumes.fault": "volumes: {reason} ({state})",
    "volumes.project": "project {volume} made by {by}",
    "volumes.imported": "master {volume} made of {detail} by {by}",
    "volumes.kept": "contents kept as {volume} by {by}",
    "volumes.destroyed": "{volume} destroyed by {by}",
    "report.received": "REPORT: {state}; {detail}",
}

SHOWN = ("file", "bytes", "elapsed_s", "address", "plan", "state", "target", "reason", "detail")
"""Fields of a kind without a sentence, in the order in which they are shown."""


class Fields(dict[str, Any]):
    """An event's fields for `str.format_map`: `?` for what it lacks."""

    def __missing__(self, key: str) -> str:
        """Say that the event does not tell."""
        return "?"


def amount(size_bytes: int) -> str:
    """Return a size as people read it: `512 B`, `14.3 kB`, `20.1 MB`."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1e3:.1f} kB"
    return f"{size_bytes / 1e6:.1f} MB"


def sentence(event: Mapping[str, Any]) -> str:
    """Return the event in words."""
    words = SENTENCES.get(str(event.get("kind")))
    if words is None:
        return " ".join(f"{name}={event[name]}" for name in SHOWN if name in event)
    fields = Fields(event)
    fields["file"] = str(event.get("file", "?")).lstrip("/")
    fields["size"] = amount(int(event.get("bytes") or 0))
    fields["seconds"] = f"{float(event.get('elapsed_s') or 0):.3f} s"
    fields["why"] = f" ({event['reason']})" if event.get("reason") else ""
    # The report of an end has a line of its own; what an install tells on its way has not.
    on_the_way = event.get("state") == "installing" and event.get("detail")
    fields["news"] = f" ({event['detail']})" if on_the_way else ""
    return words.format_map(fields)
