"""Two servers of one site, each looking at the other through the share."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from storage.records import FREE_ID, MANUAL, UNUSABLE, Binding, Change, TabEntry, ipv4_int
from storage.records.files import LocalFiles
from tests.rows import rows_of
from tests.twinboot.conftest import Site
from tests.twinboot.peers.conftest import BEGUN, NETWORK, Server, keep, shift, tell
from twinboot import config as configuration
from twinboot import peershare, stores
from twinboot.faults import Stop
from twinboot.peerlook import Look
from twinboot.services import peers


def test_servers_that_agree_tell_nothing(pair: tuple[Server, Server]) -> None:
    assert [server.told for server in pair] == [[], []]


def test_each_sees_what_the_other_says(pair: tuple[Server, Server]) -> None:
    found = peershare.find(LocalFiles(pair[0].config.share / "state"), "s1")
    (peer,) = found.peers
    assert found.own is not None
    assert (found.own.said.name, peer.said.name, peer.said.address) == ("s1", "s2", "10.77.0.2")
    assert peer.said.networks[NETWORK]["free"] == 10
    assert abs(peer.offset_s) < 1
    assert found.unreadable == ()


def test_a_warning_is_told_when_it_appears_and_when_it_ends(pair: tuple[Server, Server]) -> None:
    first, second = pair
    second.edit("RESCAN_INTERVAL", "LEASE_MIN_LRU=7\nRESCAN_INTERVAL")
    second.beat.once()
    for _ in range(3):
        first.beat.once()
    assert first.told == [("begun", "LEASE_MIN_LRU differs: s1 60, s2 7: let dhcpsvc.conf say the same")]
    second.edit("LEASE_MIN_LRU=7\n", "")
    second.beat.once()
    first.beat.once()
    assert first.told[1:] == [("over", first.told[0][1])]


def test_a_faulty_dhcpsvc_conf_keeps_the_last_good_one(pair: tuple[Server, Server]) -> None:
    first, second = pair
    second.edit("RESOURCE=SUNWfiles", "RESOURCE=nonsense")
    second.beat.once()
    first.beat.once()
    assert first.told == []


def test_a_last_word_is_told_as_an_end(pair: tuple[Server, Server]) -> None:
    first, second = pair
    second.beat.last()
    first.beat.once()
    ((_, line),) = first.told
    assert line.startswith("s2 was stopped: start it")
    second.beat.once()
    first.beat.once()
    assert first.told[1:] == [("over", line)]


def test_a_server_that_fell_silent_is_told(pair: tuple[Server, Server]) -> None:
    first, second = pair
    shift(second.file, -300)
    first.beat.once()
    ((_, line),) = first.told
    assert line.startswith("s2 was last seen 5 min")


def test_a_clock_that_is_wrong_is_told_by_the_share_s_stamp(pair: tuple[Server, Server]) -> None:
    first, second = pair
    said = json.loads(second.file.read_text())
    second.file.write_text(json.dumps(said | {"at_s": said["at_s"] + 3600, "looked_s": said["looked_s"] + 3600}))
    first.beat.once()
    ((_, line),) = first.told
    assert line.startswith("the clock of s2 is 3600 s ahead of that of s1")


def test_a_second_server_of_the_same_name_is_told(pair: tuple[Server, Server]) -> None:
    first, _ = pair
    Server(first.config.path).beat.once()
    first.beat.once()
    ((_, line),) = first.told
    assert line.startswith("another server calls itself s1 as well")


def test_what_a_stranger_put_there_is_named_and_the_rest_read(pair: tuple[Server, Server]) -> None:
    first, second = pair
    folder = first.file.parent
    (folder / "s3.json").write_text("{")
    (folder / "notes.txt").write_text("x")
    (folder / "s4.json").write_bytes(second.file.read_bytes())
    (folder / "link.json").symlink_to("/etc/passwd")
    (folder / ".s2.half").write_text("half a file")
    found = peershare.find(LocalFiles(folder.parent), "s1")
    assert [peer.said.name for peer in found.peers] == ["s2"]
    assert [one.name for one in found.unreadable] == ["link", "s3", "s4"]
    first.beat.once()
    assert len(first.told) == 3
    second.beat.once()
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == [".s2.half"]


def test_a_share_that_fails_is_told_once(pair: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = pair

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalFiles, "write", full)
    first.beat.once()
    first.beat.once()
    ((_, line),) = first.told
    assert "No space left on device: this server cannot be seen by the others" in line
    monkeypatch.undo()
    first.beat.once()
    assert [state for state, _ in first.told] == ["begun", "over"]


def test_counts_follow_what_is_committed(pair: tuple[Server, Server]) -> None:
    first, _ = pair
    look = Look(first.config)
    states: Callable[[], dict[str, int]] = lambda: dict(look.describe().networks[NETWORK])  # noqa: E731
    assert states() == {"free": 10, "used": 0, "reserved": 0, "expired": 0, "unusable": 0}
    rows = {row.address: row for row in rows_of(first.records, NETWORK, Binding)}
    assert {row.client_id for row in rows.values()} == {FREE_ID}
    wanted: dict[str, dict[str, Any]] = {
        "10.77.0.50": {"client_id": b"\1abcdef", "lease_s": 2**31 + 10},
        "10.77.0.51": {"client_id": b"\1abcdeg", "lease_s": 10},
        "10.77.0.52": {"flags": UNUSABLE},
        "10.77.0.53": {"flags": MANUAL, "client_id": b"\1abcdeh"},
    }
    olds = [rows[ipv4_int(address)] for address in wanted]
    changes = [Change(NETWORK, old, old._replace(**new)) for old, new in zip(olds, wanted.values(), strict=True)]
    first.records.commit(changes)
    assert states() == {"free": 6, "used": 1, "reserved": 1, "expired": 1, "unusable": 1}


def test_a_change_of_macros_has_another_digest_and_a_date(pair: tuple[Server, Server]) -> None:
    first, _ = pair
    look = Look(first.config)
    before = look.describe()
    assert look.describe().dhcptab_since_s == before.dhcptab_since_s
    records = first.records
    entry = records.read("dhcptab").rows[0]
    assert isinstance(entry, TabEntry)
    records.commit([Change("dhcptab", entry, entry._replace(value=":Subnet=255.0.0.0:"))])
    after = look.describe()
    assert after.dhcptab != before.dhcptab
    assert after.dhcptab_since_s > before.dhcptab_since_s


def test_records_that_cannot_be_read_are_a_trouble_and_heal(pair: tuple[Server, Server]) -> None:
    first, _ = pair
    look = Look(first.config)
    place = first.config.share / "dhcp"
    place.rename(first.config.share / "away")
    said = look.describe()
    assert str(place) in said.trouble
    assert said.networks == {}
    (first.config.share / "away").rename(place)
    assert look.describe().trouble == ""


def test_a_twinlog_tells_the_number_of_its_last_commit(pair: tuple[Server, Server]) -> None:
    first, _ = pair
    first.edit("RESOURCE=SUNWfiles", "RESOURCE=twinlog")
    records = stores.dhcp_records(first.config)
    records.create("dhcptab")
    records.create(NETWORK)
    said = Look(first.config).describe()
    assert (said.batch, said.commit) == (2, "batch 2")


def test_the_service_is_ready_before_it_touches_the_share(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share that hangs at the start must not hold up the other services: the supervisor waits for all to be ready."""
    site.init()
    monkeypatch.setattr(peers, "on_stop", lambda _stop: None)
    monkeypatch.setattr(os, "nice", lambda _by: None)
    monkeypatch.setattr(peers, "Look", lambda *_: pytest.fail("looked before it was ready"))
    bound = peers.bind(configuration.load(site.config), lambda *_, **__: None)
    shutil.move(site.share, site.root / "away")

    def ready() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bound.serve(ready)


def test_a_relay_has_no_peers(site: Site) -> None:
    site.init()
    site.dhcpsvc.write_text("RUN_MODE=relay\nRELAY_DESTINATIONS=192.0.2.1\n")
    with pytest.raises(Stop, match="RUN_MODE=relay"):
        peers.bind(configuration.load(site.config), lambda *_, **__: None)
    facts = json.loads(site.run("status", "--json").stdout)
    assert facts["services"]["peers"]["state"] == "off"
    assert not any("peers is" in line for line in facts["faults"])


def test_status_shows_the_other_server(site: Site, pair: tuple[Server, Server]) -> None:
    first, second = pair
    second.edit("RESCAN_INTERVAL", "LEASE_MIN_LRU=7\nRESCAN_INTERVAL")
    second.beat.once()
    facts = json.loads(site.run("status", "--json").stdout)
    (peer,) = facts["peers"]
    assert (peer["name"], peer["state"], peer["address"]) == ("s2", "up", "10.77.0.2")
    assert abs(peer["clock_difference_s"]) < 1
    assert peer["networks"][NETWORK]["free"] == 10
    assert peer["last_seen_s"] < 60
    assert any(line.startswith("LEASE_MIN_LRU differs") for line in facts["faults"])
    plain = site.run("status")
    assert "s2" in plain.stdout
    assert "LEASE_MIN_LRU differs" in plain.stderr
    assert first.told == []


def test_a_server_can_be_forgotten(site: Site, pair: tuple[Server, Server]) -> None:
    keep(pair[1], *BEGUN)
    tell(pair[1])
    assert "s2 is forgotten" in site.ok("status", "--forget", "s2")
    assert not list(pair[1].file.parent.glob("s2.*"))
    assert "no server s2 is known" in site.fails("status", "--forget", "s2")[0]
    assert "s1 is this server" in site.fails("status", "--forget", "s1")[0]
    assert "no server ../../x is known" in site.fails("status", "--forget", "../../x")[0]


def test_one_server_alone_has_no_peers(ready_site: Site) -> None:
    facts = json.loads(ready_site.run("status", "--json").stdout)
    assert facts["peers"] == []
    assert not any("OWNER_IP" in line for line in facts["faults"])
