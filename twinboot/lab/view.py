"""What a person watching the rack wants to know, computed from the journal's events. Pure: events in, text out.

Each machine goes through the phases of `PHASES` in order within one boot; an event never moves it back, except that a
an offer after its end begins a new boot. Events name a machine by its MAC or by an address that DHCP gave to that MAC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from twinboot.sentences import amount

PHASES = ("waiting", "DHCP", "loader", "menu", "kernel", "done")

KIND_PHASE = {
    "dhcp.offer": "DHCP",
    "dhcp.ack": "DHCP",
    "tftp.start": "loader",
    "http.start": "loader",
    "menu.rendered": "menu",
    "report.received": "done",
}
"""Event kind -> the earliest phase that it proves."""

TRANSFERS = {"tftp": "TFTP", "http": "HTTP"}


@dataclass(frozen=True, slots=True)
class Seen:
    """One machine as far as the journal shows it. Bytes and seconds are of the present boot."""

    name: str
    macs: frozenset[str]
    phase: str = "waiting"
    address: str = ""
    doing: str = "switched off"
    loaded_bytes: int = 0
    transfer_s: float = 0.0
    in_flight_bytes: int = 0
    plan: str = ""

    @property
    def rate_mb_s(self) -> float:
        """Mean transfer rate of finished files, in megabytes a second; 0 before the first."""
        return self.loaded_bytes / 1e6 / self.transfer_s if self.transfer_s else 0.0


@dataclass(frozen=True, slots=True)
class RackView:
    """All machines, by name."""

    machines: Mapping[str, Seen] = field(default_factory=dict)

    def after(self, events: Iterable[Mapping[str, object]]) -> RackView:
        """Return the view once `events` (oldest first) have happened."""
        machines = dict(self.machines)
        for event in events:
            name = _whose(machines, event)
            if name:
                machines[name] = _after(machines[name], event)
        return RackView(machines)


def _whose(machines: Mapping[str, Seen], event: Mapping[str, object]) -> str:
    host, mac, address = (str(event.get(key) or "") for key in ("host", "mac", "address"))
    if host in machines:
        return host
    by_mac = (name for name, seen in machines.items() if mac and mac in seen.macs)
    by_address = (name for name, seen in machines.items() if address and address == seen.address)
    return next(by_mac, "") or next(by_address, "")


def _after(seen: Seen, event: Mapping[str, object]) -> Seen:
    kind = str(event["kind"])
    service, _, what = kind.partition(".")
    if kind == "dhcp.offer" and seen.phase == "done":
        # The boot loader and the dom0 ask for an address again; only a machine that had finished begins anew.
        seen = Seen(seen.name, seen.macs)
    seen = _advance(seen, KIND_PHASE.get(kind, ""))
    if service == "dhcp" and event.get("address") and what in ("ack", "offer"):
        return replace(seen, address=str(event["address"]), doing=f"address {event['address']}")
    if service in TRANSFERS:
        return _transfer(seen, TRANSFERS[service], what, event)
    if kind == "menu.rendered":
        return replace(seen, plan=str(event.get("plan", "")), doing=f"menu says: {event.get('plan', '')}")
    if kind == "install.state" and event.get("state") == "installing":
        return replace(_advance(seen, "kernel"), doing="loads Xen and dom0")
    if kind == "report.received":
        return replace(seen, doing="reported home")
    return seen


def _advance(seen: Seen, phase: str) -> Seen:
    if phase and PHASES.index(phase) > PHASES.index(seen.phase):
        return replace(seen, phase=phase)
    return seen


def _transfer(seen: Seen, door: str, what: str, event: Mapping[str, object]) -> Seen:
    file = str(event.get("file", "")).rsplit("/", 1)[-1]
    size, elapsed_s = _number(event.get("bytes")), _number(event.get("elapsed_s"))
    if what == "start":
        return replace(seen, doing=f"{door} {file}", in_flight_bytes=0)
    if what == "progress":
        return replace(seen, doing=f"{door} {file}", in_flight_bytes=int(size))
    if what == "done":
        return replace(
            seen,
            loaded_bytes=seen.loaded_bytes + int(size),
            transfer_s=seen.transfer_s + elapsed_s,
            in_flight_bytes=0,
            doing=f"{door} {file} done",
        )
    return replace(seen, doing=f"{door} {file}: {event.get('reason', what)}")


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def line(seen: Seen) -> str:
    """Return one machine as a line of plain text, for logs and for output that is not a terminal."""
    total = seen.loaded_bytes + seen.in_flight_bytes
    load = f"  {amount(total)}" if total else ""
    rate = f" at {seen.rate_mb_s:.1f} MB/s" if seen.rate_mb_s else ""
    return f"{seen.name:6} {seen.phase:8} {seen.address:15} {seen.doing}{load}{rate}"
