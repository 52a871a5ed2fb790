from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.volumes import Access, Outcome, VolumesError
from storage.volumes.local_target import Tgt
from storage.volumes.local_view import FuseViews
from storage.volumes.memory import MemoryVolumes
from storage.volumes.names import parse_project, parse_volume
from tests.processes import wait_for
from tests.twinboot.conftest import Site, wait_until_ready
from tests.twinboot.serve.conftest import events
from tests.volume_stores import tgt_programs
from twinboot import machine, volumestatus, volumestore
from twinboot.config import Config, load
from twinboot.services import wanted
from twinboot.services.volumes import Tender

DEADLINE_S = 30.0
LOOPBACK = {"subnet": "127.0.0.0/8", "address": "127.0.0.1", "range": "127.0.0.50-127.0.0.59"}
HV1 = "iqn.1986-03.com.sun:01:hv1"
GUEST = parse_volume("appl-1/vm-1")


class Tended(MemoryVolumes):
    """A store that says what a test tells it to."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: tuple[str, ...] = ()
        self.wrong: tuple[str, ...] = ()
        self.error: Exception | None = None

    def tend(self) -> tuple[str, ...]:
        if self.error:
            raise self.error
        return self.lines

    def faults(self) -> tuple[str, ...]:
        return self.wrong


@pytest.fixture
def store() -> Tended:
    return Tended()


@pytest.fixture
def told() -> list[tuple[str, ...]]:
    return []


@pytest.fixture
def tender(store: Tended, told: list[tuple[str, ...]]) -> Tender:
    return Tender(lambda: store, lambda kind, **fields: told.append((kind, *fields.values())))


def test_what_was_put_right_is_told_and_what_cannot_be_is_told_once(store: Tended, told, tender) -> None:
    store.lines = ("appl-1/vm-1: exported again", "appl-1/vm-2: exported again? No: tgtd died")
    tender.once()
    store.lines = store.lines[1:]
    tender.once()
    tender.once()
    assert told == [("volumes.tended", line) for line in ("appl-1/vm-1: exported again", store.lines[0])]
    store.lines = ("appl-1/vm-1: exported again",)
    tender.once()
    tender.once()  # its daemon died twice in two seconds
    assert len(told) == 4


def test_a_fault_has_a_beginning_and_an_end(store: Tended, told, tender) -> None:
    store.error = VolumesError(Outcome.UNAVAILABLE, "the disk is gone")
    tender.once()
    tender.once()
    store.error, store.wrong = None, ("a/b/volume.json: damaged",)
    tender.once()
    store.wrong = ()
    tender.once()
    assert told == [
        ("volumes.fault", "the disk is gone", "begun"),
        ("volumes.fault", "a/b/volume.json: damaged", "begun"),
        ("volumes.fault", "the disk is gone", "over"),
        ("volumes.fault", "a/b/volume.json: damaged", "over"),
    ]


def test_a_store_that_does_not_open_is_opened_again(store: Tended, told) -> None:
    tries = iter([VolumesError(Outcome.UNAVAILABLE, "not yet"), None])

    def opened() -> Tended:
        if error := next(tries):
            raise error
        return store

    tender = Tender(opened, lambda kind, **fields: told.append((kind, *fields.values())))
    tender.open()
    tender.once()
    assert [line[2] for line in told] == ["begun", "over"]


def with_storage(site: Site, more: str = "") -> Config:
    text = site.config.read_text()
    portal = f"127.0.0.1:{site.iscsi_port}"
    site.config.write_text(f'{text}[storage]\nbackend = "local"\nportal = "{portal}"\n{more}')
    return load(site.config)


def root_of(config: Config) -> Path:
    assert config.storage is not None
    return config.storage.root


def test_only_a_server_with_storage_tends_it(ready_site: Site) -> None:
    assert "volumes" not in wanted(load(ready_site.config))
    assert ready_site.run("serve", "--ask", "volumes").exit_code == 1
    assert "this server keeps none" in ready_site.fails("serve", "volumes")[0]
    assert "volumes" in wanted(with_storage(ready_site))
    assert ready_site.run("serve", "--ask", "volumes").exit_code == 0


def test_it_needs_no_share(ready_site: Site) -> None:
    config = with_storage(ready_site)
    shutil.rmtree(ready_site.share)
    assert machine.check(config, "volumes") == []
    assert machine.check(config, "tftp") != []


def test_status_tells_what_is_kept_and_makes_nothing(ready_site: Site) -> None:
    config = with_storage(ready_site)
    assert "volumes: none yet" in ready_site.run("status").stdout
    root = root_of(config)
    assert not root.exists()
    store = volumestore.open_volumes(config)
    store.make_project(parse_project("appl-1"))
    store.create(GUEST, 512 * 2048)
    assert f"volumes in {root}: 1 volume, 0 exported, 0 in use; " in ready_site.run("status").stdout
    facts = json.loads(ready_site.run("status", "--json").stdout)["volumes"]
    assert (facts["state"], facts["volumes"], facts["exports"]) == ("open", 1, [])
    (root / "appl-1" / "vm-1" / "volume.json").write_text("{")
    assert any("volume.json" in line for line in ready_site.fails("status"))


def test_status_does_not_wait_for_a_store_that_hangs(ready_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_storage(ready_site)
    root_of(config).mkdir()
    monkeypatch.setattr(volumestatus, "LOOK_S", 0.05)

    def slowly(_: object) -> MemoryVolumes:
        time.sleep(0.5)
        return MemoryVolumes()

    monkeypatch.setattr(volumestore, "open_volumes", slowly)
    looked = volumestatus.look(config)
    assert looked is not None
    assert (looked.facts, looked.faults) == ({"state": "hung"}, (volumestatus.LATE,))


@pytest.mark.parametrize("error", [VolumesError(Outcome.BUSY, "held"), PermissionError(13, "no")])
def test_status_tells_why_it_cannot_look(ready_site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    config = with_storage(ready_site)
    root_of(config).mkdir()

    def refuse(_: Config) -> None:
        raise error

    monkeypatch.setattr(volumestore, "open_volumes", refuse)
    looked = volumestatus.look(config)
    assert looked is not None
    assert looked.faults == (str(error),)


@pytest.fixture
def kept(loopback_site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[object, Config]]:
    """A server that can serve, with storage and the daemons for it."""
    programs = tgt_programs()
    if programs is None or not shutil.which("qemu-storage-daemon") or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs tgt, qemu-utils and /dev/fuse: packaging/apt-packages-test.txt")
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{programs}")
    config = with_storage(loopback_site)
    assert config.storage is not None
    yield loopback_site, config
    Tgt(config.storage.run, config.storage.portal).stop()
    FuseViews(config.storage.run).down(GUEST.domain)


def seen(config: Config) -> bool:
    assert config.storage is not None
    argv = ["iscsi-ls", "-i", HV1, f"iscsi://{config.storage.portal}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    return GUEST.iqn(config.storage.authority) in done.stdout


@pytest.mark.system
def test_what_is_exported_comes_back_and_outlives_the_service(kept) -> None:
    site, config = kept
    with site.serving() as server:
        assert f", volumes {config.storage.portal}; share" in wait_until_ready(server)
        store = volumestore.open_volumes(config)
        store.make_project(parse_project("appl-1"))
        store.create(GUEST, 512 * 2048)
        store.export(GUEST, Access((HV1,)))
        assert seen(config)
        Tgt(config.storage.run, config.storage.portal).stop()
        wait_for(lambda: seen(config))
        pid = int((config.storage.run / "views" / f"{GUEST.domain}.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(events(site, kind="volumes.tended")) >= 2)
        assert {one["detail"] for one in events(site, kind="volumes.tended")} == {"appl-1/vm-1: exported again"}
        wait_for(lambda: "1 volume, 1 exported, 0 in use" in site.run("status").stdout)
        server.send_signal(signal.SIGTERM)
        assert server.wait(15) == 0
    assert seen(config)
