"""The rack as a person sees it: phases, bytes and rates computed from events alone."""

from __future__ import annotations

from twinboot.lab.view import RackView, Seen, line

MAC = "00:14:4f:00:00:01"


def view() -> RackView:
    return RackView({"hv1": Seen("hv1", frozenset({MAC}))})


def event(kind: str, **fields: object) -> dict[str, object]:
    return {"kind": kind, **fields}


def test_a_boot_walks_through_its_phases() -> None:
    boot = [
        event("dhcp.offer", mac=MAC),
        event("dhcp.ack", mac=MAC, address="10.77.0.50"),
        event("tftp.start", address="10.77.0.50", file="grub/i386-pc/core.0"),
        event("tftp.done", address="10.77.0.50", file="grub/i386-pc/core.0", bytes=300_000, elapsed_s=0.1),
        event("menu.rendered", host="hv1", plan="install"),
        event("install.state", host="hv1", state="installing"),
        event("http.done", address="10.77.0.50", file="boot/install/x/vmlinuz", bytes=8_000_000, elapsed_s=0.9),
        event("report.received", host="hv1"),
    ]
    phases = [view().after(boot[: n + 1]).machines["hv1"].phase for n in range(len(boot))]
    assert phases == ["DHCP", "DHCP", "loader", "loader", "menu", "kernel", "kernel", "done"]
    seen = view().after(boot).machines["hv1"]
    assert (seen.address, seen.loaded_bytes, round(seen.rate_mb_s, 1)) == ("10.77.0.50", 8_300_000, 8.3)


def test_the_loader_asking_again_does_not_begin_a_new_boot() -> None:
    boot = [event("dhcp.ack", mac=MAC, address="10.77.0.50"), event("menu.rendered", host="hv1", plan="install")]
    seen = view().after([*boot, event("dhcp.offer", mac=MAC)]).machines["hv1"]
    assert seen.phase == "menu"


def test_an_offer_after_the_report_is_the_next_boot() -> None:
    seen = view().after([event("report.received", host="hv1"), event("dhcp.offer", mac=MAC)]).machines["hv1"]
    assert (seen.phase, seen.loaded_bytes) == ("DHCP", 0)


def test_strangers_change_nothing() -> None:
    assert view().after([event("dhcp.ack", mac="02:00:00:00:00:09", address="10.77.0.60")]) == view()


def test_a_refusal_is_shown_with_its_reason() -> None:
    refused = event("tftp.refused", host="hv1", file="grub/none", reason="no such file")
    assert "no such file" in line(view().after([refused]).machines["hv1"])
