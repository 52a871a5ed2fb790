"""What each of two servers saw of boots is told by either."""

from __future__ import annotations

import json

import pytest

from storage.records.files import LocalFiles
from tests.twinboot.conftest import Site
from tests.twinboot.peers.conftest import BEGUN, MAC, Server, keep, shift, tell
from twinboot import peershare

LOADED = {"at": 100.2, "kind": "tftp.done", "address": "10.77.0.5", "file": "grub/i386-pc/core.0", "bytes": 9}
TAKEN = {"at": 105.0, "kind": "http.done", "address": "10.77.0.5", "file": "install/hv1/xen", "bytes": 9}


def test_a_boot_is_told_by_either_server_with_what_both_saw(site: Site, pair: tuple[Server, Server]) -> None:
    first, second = pair
    keep(second, *BEGUN, LOADED)
    keep(first, TAKEN)  # it only ever saw the address
    for server in pair:
        tell(server)
    lines = site.ok("explain", MAC).splitlines()[1:5]
    assert [line.split()[3:5] for line in lines] == [
        ["s2", "dhcp.offer"],
        ["s2", "dhcp.ack"],
        ["s2", "tftp.done"],
        ["s1", "http.done"],
    ]
    other = site.ok("--config", str(second.config.path), "explain", MAC).splitlines()[1:5]
    assert other == lines
    told = json.loads(site.ok("explain", MAC, "--json"))["timeline"]
    assert [moment["seen_by"] for moment in told] == ["s2", "s2", "s2", "s1"]


def test_the_story_is_in_one_time_though_a_clock_is_wrong(site: Site, pair: tuple[Server, Server]) -> None:
    first, second = pair
    shift(second.file, -60)  # its clock is a minute ahead of the share's
    keep(second, *({**event, "at": event["at"] + 60} for event in BEGUN))
    keep(first, LOADED)
    tell(second)
    told = json.loads(site.ok("explain", MAC, "--json"))["timeline"]
    assert [round(moment["seconds"]) for moment in told] == [0, 0, 0]
    assert [moment["kind"] for moment in told] == ["dhcp.offer", "dhcp.ack", "tftp.done"]


def test_only_news_are_written(pair: tuple[Server, Server]) -> None:
    _, second = pair
    file = second.file.with_suffix(".events")
    teller = tell(second)  # there is no journal yet
    assert not file.exists()
    keep(second, *BEGUN)
    teller.once()
    before = file.stat()
    keep(second, {"at": 101.0, "kind": "clock.skew"})
    teller.once()
    assert file.stat() == before
    keep(second, LOADED)
    teller.once()
    assert [event["kind"] for event in peershare.stories(peershare.files_of(pair[0].config), "s1")["s2"]] == [
        "dhcp.offer",
        "dhcp.ack",
        "tftp.done",
    ]


def test_what_the_share_did_not_take_is_told_later(
    pair: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = pair
    teller = tell(second)
    keep(second, *BEGUN)
    with monkeypatch.context() as patch:
        patch.setattr(LocalFiles, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        teller.once()
    teller.once()
    assert second.file.with_suffix(".events").exists()


def test_a_journal_begun_anew_is_read_from_its_start(pair: tuple[Server, Server]) -> None:
    _, second = pair
    keep(second, *BEGUN, LOADED)
    teller = tell(second)
    second.config.journal_path.unlink()
    keep(second, *BEGUN[:1])
    teller.once()
    assert len(peershare.stories(peershare.files_of(second.config), "s1")["s2"]) == 4


def test_a_story_that_is_none_is_left_out(site: Site, pair: tuple[Server, Server]) -> None:
    first, second = pair
    keep(first, *BEGUN)
    folder = second.file.parent
    (folder / "s2.events").write_bytes(b"\0\n{}\n[1]\n")
    (folder / "s3.events").mkdir()
    assert "dhcp.offer" in site.ok("explain", MAC)
