"""Why a machine did or did not boot: a pure function from events and state to a timeline, a verdict and a way out.

Theory of operation:

- Events come from the journals of all servers; `seen_by` names whose. Two servers answer one machine, and a boot that
  one of them began may end at the other.
- `story` picks the machine's events. An event that names only an address counts while the latest acknowledgement of
  that address went to this machine; addresses change hands.
- The last boot begins with the latest request of boot firmware (option 60 says PXEClient or HTTPClient) after
  something was over: a menu, a report, or BOOT_GAP_S of silence.
- `PATTERNS` is the whole judgement: the first row that fits gives the verdict and the command that fixes it. Rows are
  ordered from "nothing is wrong" over "it got this far" to "nothing was heard".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from twinboot.sentences import Fields, sentence

__all__ = ["BOOT_CLASSES", "PATTERNS", "Explanation", "Known", "explain", "story"]

Event = dict[str, Any]
BOOT_GAP_S = 120.0
SHOWN_MAX = 200
BOOT_CLASSES = ("PXEClient", "HTTPClient")
OVER = frozenset({"menu.rendered", "report.received"})
FIRST_WORDS = frozenset({"dhcp.discover", "dhcp.offer", "dhcp.silent"})
FOLDED = frozenset({"tftp.start", "http.start", "tftp.progress"})
"""Shown only when nothing followed them: a done or failed transfer says it all."""


class Known(NamedTuple):
    """What is known of the machine besides events: state of the install, faults of its host file."""

    name: str
    macs: tuple[str, ...] = ()
    is_host: bool = False
    state: str = ""
    target: str = ""
    detail: str = ""
    faults: tuple[str, ...] = ()


class Moment(NamedTuple):
    """One event of a boot, `seconds` since it began."""

    seconds: float
    kind: str
    words: str
    seen_by: str


class Explanation(NamedTuple):
    """`pattern` is the row that fitted."""

    began: float
    timeline: tuple[Moment, ...]
    pattern: str
    verdict: str
    fix: str


class Boot(NamedTuple):
    """One boot and what is known: what patterns look at."""

    events: tuple[Event, ...]
    known: Known

    def last(self, *kinds: str) -> Event | None:
        """The latest event of one of these kinds."""
        return next((event for event in reversed(self.events) if event["kind"] in kinds), None)

    def words(self, *kinds: str) -> dict[str, Any]:
        """Fields of that event for a sentence, `?` for what it lacks."""
        return Fields({**(self.last(*kinds) or {}), "name": self.known.name})


class Pattern(NamedTuple):
    """One row: `fits` a boot, `kinds` whose latest event fills the sentences."""

    name: str
    fits: Callable[[Boot], bool]
    kinds: tuple[str, ...]
    verdict: str
    fix: str


def story(events: Iterable[Event], known: Known) -> list[Event]:
    """The events that are this machine's, in order of time."""
    holder: dict[str, str] = {}
    mine: list[Event] = []
    for event in sorted(events, key=lambda one: one["at"]):
        mac, address = str(event.get("mac", "")), str(event.get("address", ""))
        if event["kind"] == "dhcp.ack" and mac:
            holder[address] = mac
        named = event.get("host") == known.name or (bool(mac) and mac in known.macs)
        if named or (not mac and not event.get("host") and holder.get(address, "-") in known.macs):
            mine.append(event)
    return mine


def last_boot(events: Sequence[Event]) -> tuple[Event, ...]:
    """The events since the machine last began to boot."""
    begin, before, over = 0, None, False
    for number, event in enumerate(events):
        is_firmware = str(event.get("class_id", "")).startswith(BOOT_CLASSES)
        quiet = before is not None and event["at"] - before >= BOOT_GAP_S
        if event["kind"] in FIRST_WORDS and (quiet or (over and is_firmware)):
            begin, over = number, False
        over = over or event["kind"] in OVER
        before = event["at"]
    return tuple(events[begin:])


def _ended(boot: Boot, ending: str) -> bool:
    """The latest transfer ended so, and no transfer succeeded after it."""
    last = boot.last("tftp.done", "http.done", "tftp.failed", "http.failed", "tftp.refused", "http.refused")
    return last is not None and last["kind"].endswith(ending)


def _plan(boot: Boot, *plans: str) -> bool:
    menu = boot.last("menu.rendered")
    return menu is not None and menu.get("plan") in plans


def _silent(*reasons: str) -> Callable[[Boot], bool]:
    def fits(boot: Boot) -> bool:
        event = boot.last("dhcp.silent", "dhcp.offer", "dhcp.ack", "dhcp.nak")
        return event is not None and event["kind"] == "dhcp.silent" and (not reasons or event.get("reason") in reasons)

    return fits


def _loaded_kernel(boot: Boot) -> bool:
    state = boot.last("install.state")
    fetched = any(
        event["kind"] in ("http.done", "tftp.done") and "install/" in str(event.get("file", ""))
        for event in boot.events
    )
    return _plan(boot, "install") and (fetched or (state is not None and state.get("state") == "installing"))


def _report(state: str) -> Callable[[Boot], bool]:
    return lambda boot: (boot.last("report.received") or {}).get("state") == state


REFUSED = ("tftp.refused", "http.refused")
FAILED = ("tftp.failed", "http.failed")
PATTERNS: tuple[Pattern, ...] = (
    Pattern("reported", _report("installed"), ("report.received",), "it booted and reported home: {detail}", ""),
    Pattern(
        "report-failed",
        _report("failed"),
        ("report.received",),
        "the install failed: {detail}",
        "put that right, then: twinboot install {name}",
    ),
    Pattern(
        "host-file",
        lambda boot: bool(boot.known.faults) and not _plan(boot, "install"),
        (),
        "its host file cannot be used: {fault}",
        "twinboot host check",
    ),
    Pattern(
        "stalled",
        lambda boot: _ended(boot, ".failed"),
        FAILED,
        "the transfer of {file} broke off after {bytes} bytes: {reason}",
        'look at its cable, switch port and duplex; if HTTP fails, set transport = "tftp" in [boot], or the reverse',
    ),
    Pattern(
        "no-report",
        _loaded_kernel,
        ("menu.rendered",),
        "it loaded the install, but no report has come",
        "read its serial console; then arm again: twinboot install {name}",
    ),
    Pattern(
        "menu-only",
        lambda boot: _plan(boot, "install") and _ended(boot, ".refused"),
        REFUSED,
        "it has its menu, but {file} was refused: {reason}",
        "twinboot media build live-xen",
    ),
    Pattern(
        "menu-no-kernel",
        lambda boot: _plan(boot, "install"),
        ("menu.rendered",),
        "it has its menu, but has not fetched the kernel",
        "wait, or read its screen: a loader without the right network driver stops here",
    ),
    Pattern(
        "unknown",
        lambda boot: _plan(boot, "rescue") and not boot.known.is_host,
        ("menu.rendered",),
        "no host file has this MAC, so it got the menu for unknown machines",
        "twinboot host add NAME --mac fe0={mac}",
    ),
    Pattern("rescue", lambda boot: _plan(boot, "rescue"), ("menu.rendered",), "it got a rescue menu: {reason}", ""),
    Pattern(
        "local",
        lambda boot: _plan(boot, "local"),
        ("menu.rendered",),
        "it booted its local disk: {reason}",
        "to install it: twinboot install {name}",
    ),
    Pattern(
        "file-missing",
        lambda boot: _ended(boot, ".refused"),
        REFUSED,
        "{file} was refused: {reason}",
        "twinboot media build live-xen",
    ),
    Pattern(
        "no-menu",
        lambda boot: boot.last("tftp.done", "http.done") is not None,
        ("tftp.done", "http.done"),
        "it loaded {file}, but asked for no menu",
        "rebuild the boot loader: twinboot media build live-xen",
    ),
    Pattern(
        "unknown-network",
        _silent("no-network"),
        ("dhcp.silent",),
        "DHCP was silent: {detail}",
        "add its network to twinboot.toml as a [networks.NAME] section, then: systemctl restart twinboot",
    ),
    Pattern(
        "full",
        _silent("full"),
        ("dhcp.silent",),
        "DHCP was silent: {detail}",
        "add addresses to the network (pntadm -A ADDRESS NETWORK), or reserve one: twinboot host add --address",
    ),
    Pattern("silent", _silent(), ("dhcp.silent",), "DHCP was silent ({reason}): {detail}", "twinboot status"),
    Pattern(
        "no-fetch",
        lambda boot: boot.last("dhcp.ack") is not None,
        ("dhcp.ack",),
        "it has the address {address}, but fetched nothing",
        "check that it boots from the network and that TFTP (UDP 69) reaches this server: twinboot status",
    ),
    Pattern("refused", lambda boot: boot.last("dhcp.nak") is not None, ("dhcp.nak",), "DHCP refused: {reason}", ""),
    Pattern(
        "offer-not-taken",
        lambda boot: boot.last("dhcp.offer", "dhcp.discover") is not None,
        ("dhcp.offer", "dhcp.discover"),
        "it was offered {address} and did not take it",
        "look for another DHCP server on the segment, and for a switch that blocks our answers",
    ),
    Pattern(
        "nothing",
        lambda boot: True,  # noqa: ARG005 - the row that always fits
        (),
        "nothing was ever heard from it",
        "check power, cable, VLAN and boot order; watch with: twinboot events -f --kind dhcp",
    ),
)


def explain(events: Iterable[Event], known: Known) -> Explanation:
    """The last boot of a machine: timeline, verdict, and what to type."""
    boot = Boot(last_boot(story(events, known)), known)
    row = next(pattern for pattern in PATTERNS if pattern.fits(boot))
    words = boot.words(*row.kinds)
    began = boot.events[0]["at"] if boot.events else 0.0
    shown = [event for number, event in enumerate(boot.events) if not _is_folded(boot.events, number)]
    timeline = tuple(
        Moment(event["at"] - began, event["kind"], sentence(event), str(event.get("seen_by", "")))
        for event in shown[:SHOWN_MAX]
    )
    fix = row.fix.format_map(words)
    words["fault"] = known.faults[0] if known.faults else ""
    return Explanation(began, timeline, row.name, row.verdict.format_map(words), fix)


def _is_folded(events: Sequence[Event], number: int) -> bool:
    event = events[number]
    if event["kind"] not in FOLDED:
        return False
    same = ((later["kind"], later.get("file"), later.get("address")) for later in events[number + 1 :])
    door = event["kind"].split(".")[0]
    ends = {f"{door}.{word}" for word in ("progress", "done", "failed")}
    return any(kind in ends and (file, at) == (event.get("file"), event.get("address")) for kind, file, at in same)
