from __future__ import annotations

import pytest

from twinboot.explain import PATTERNS, Known, explain

MAC = "00:14:4f:00:00:01"
HOST = Known("hv1", (MAC,), is_host=True)
STRANGER = Known(MAC, (MAC,))
IP = "10.0.0.50"


def event(at: float, kind: str, **fields: object) -> dict:
    return {"at": at, "kind": kind, **fields}


OFFER = event(100.0, "dhcp.offer", mac=MAC, address=IP, class_id="PXEClient:Arch:00000:UNDI:002001")
ACK = event(100.2, "dhcp.ack", mac=MAC, address=IP, class_id="PXEClient:Arch:00000:UNDI:002001")
LOADER = [
    event(100.3, "tftp.start", address=IP, file="grub/i386-pc/core.0", bytes=200_000),
    event(100.4, "tftp.done", address=IP, file="grub/i386-pc/core.0", bytes=200_000, elapsed_s=0.1),
]
MENU = event(101.0, "menu.rendered", host="hv1", mac=MAC, address=IP, plan="install", reason="live-xen was armed")
KERNEL = [
    event(101.1, "http.done", address=IP, file="install/hv1/xen", bytes=1_000_000),
    event(101.2, "install.state", host="hv1", state="installing", target="live-xen"),
]
REPORT = event(120.0, "report.received", host="hv1", address=IP, state="installed", detail="memory_mib=512")
BOOTED = [OFFER, ACK, *LOADER, MENU, *KERNEL, REPORT]
LOCAL = MENU | {"plan": "local", "reason": "live-xen was installed"}


@pytest.mark.parametrize(
    ("known", "events", "pattern", "verdict", "fix"),
    [
        (HOST, BOOTED, "reported", "memory_mib=512", ""),
        (
            HOST,
            [*BOOTED[:-1], REPORT | {"state": "failed", "detail": "no disk"}],
            "report-failed",
            "no disk",
            "install hv1",
        ),
        (
            HOST,
            [event(1.0, "dhcp.silent", mac=MAC, reason="no-network", detail="not in the list of networks here")],
            "unknown-network",
            "not in the list",
            "[networks.NAME]",
        ),
        (
            HOST,
            [event(1.0, "dhcp.silent", mac=MAC, reason="full", detail="no free address")],
            "full",
            "no free",
            "pntadm -A",
        ),
        (HOST, [event(1.0, "dhcp.silent", mac=MAC, reason="blocked", detail="barred")], "silent", "blocked", "status"),
        (
            HOST,
            [OFFER, ACK, event(101.0, "tftp.refused", address=IP, file="grub/i386-pc/core.0", reason="not there")],
            "file-missing",
            "grub/i386-pc/core.0 was refused",
            "twinboot media build live-xen",
        ),
        (
            STRANGER,
            [
                OFFER,
                ACK,
                *LOADER,
                event(101.0, "menu.rendered", mac=MAC, address=IP, plan="rescue", reason="not known"),
            ],
            "unknown",
            "no host file has this MAC",
            f"twinboot host add NAME --mac fe0={MAC}",
        ),
        (
            HOST,
            [
                OFFER,
                ACK,
                LOADER[0],
                event(130.0, "tftp.failed", address=IP, file="core.0", bytes=512, reason="timeout"),
            ],
            "stalled",
            "broke off after 512 bytes: timeout",
            "cable",
        ),
        (HOST, [*BOOTED[:-1]], "no-report", "no report has come", "serial console"),
        (HOST, [OFFER, ACK, *LOADER, LOCAL], "local", "local disk: live-xen was installed", "twinboot install hv1"),
        (HOST, [OFFER, ACK, *LOADER], "no-menu", "asked for no menu", "media build"),
        (HOST, [OFFER, ACK, *LOADER, MENU], "menu-no-kernel", "has not fetched the kernel", "screen"),
        (
            HOST,
            [OFFER, ACK, *LOADER, MENU, event(101.5, "http.refused", address=IP, file="install/...", reason="gone")],
            "menu-only",
            "install/... was refused: gone",
            "media build",
        ),
        (HOST, [OFFER, ACK], "no-fetch", f"has the address {IP}", "UDP 69"),
        (HOST, [OFFER], "offer-not-taken", f"was offered {IP}", "another DHCP server"),
        (HOST, [event(1.0, "dhcp.nak", mac=MAC, reason="wrong address")], "refused", "wrong address", ""),
        (HOST, [], "nothing", "nothing was ever heard", "cable"),
        (HOST._replace(faults=("hv1.toml: dom0_mem: bad",)), [OFFER, ACK], "host-file", "dom0_mem: bad", "host check"),
        (HOST, [OFFER, ACK, *LOADER, LOCAL | {"plan": "rescue", "reason": "menu broken"}], "rescue", "menu broken", ""),
    ],
)
def test_golden_boots(known: Known, events: list[dict], pattern: str, verdict: str, fix: str) -> None:
    told = explain(events, known)
    assert told.pattern == pattern
    assert verdict in told.verdict
    assert fix in told.fix
    assert "?" not in told.verdict + told.fix


def test_every_pattern_has_a_golden_boot() -> None:
    mark = next(mark for mark in test_golden_boots.pytestmark if mark.name == "parametrize")
    assert {row[2] for row in mark.args[1]} == {pattern.name for pattern in PATTERNS}


def test_the_timeline_counts_from_the_first_word_and_folds_what_ended() -> None:
    told = explain(BOOTED, HOST)
    assert told.timeline[0][:2] == (0.0, "dhcp.offer")
    assert [moment.kind for moment in told.timeline].count("tftp.start") == 0
    assert told.timeline[-1][:2] == (20.0, "report.received")


def test_a_second_boot_is_told_alone() -> None:
    again = [one | {"at": one["at"] + 30} for one in (OFFER, ACK, *LOADER, LOCAL)]
    told = explain([*BOOTED, *again], HOST)
    assert told.began == 130.0
    assert told.pattern == "local"


def test_the_installed_system_asking_for_an_address_is_the_same_boot() -> None:
    system = event(115.0, "dhcp.ack", mac=MAC, address=IP, class_id="udhcp 1.35.0")
    assert explain([*BOOTED[:-1], system, REPORT], HOST).began == 100.0


def test_what_another_machine_did_with_the_address_is_not_ours() -> None:
    before = event(50.0, "tftp.failed", address=IP, file="x", reason="other machine")
    other = event(200.0, "dhcp.ack", mac="00:14:4f:00:00:99", address=IP)
    after = event(201.0, "tftp.failed", address=IP, file="x", reason="other machine")
    told = explain([before, *BOOTED, other, after], HOST)
    assert told.pattern == "reported"
    assert all("other machine" not in moment.words for moment in told.timeline)


def test_events_out_of_order_are_put_in_order() -> None:
    assert explain(reversed(BOOTED), HOST) == explain(BOOTED, HOST)


def test_two_servers_tell_one_boot() -> None:
    seen = [{**one, "seen_by": "even" if one["kind"].startswith("tftp") else "odd"} for one in BOOTED]
    told = explain(sorted(seen, key=lambda one: one["seen_by"]), HOST)
    assert told.pattern == "reported"
    assert [(moment.kind, moment.seen_by) for moment in told.timeline][:4] == [
        ("dhcp.offer", "odd"),
        ("dhcp.ack", "odd"),
        ("tftp.done", "even"),
        ("menu.rendered", "odd"),
    ]
