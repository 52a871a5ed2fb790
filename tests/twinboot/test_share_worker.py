"""When the DHCP service has its datastore kept by a worker, and that both end together."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dhcp import svcconf
from storage.records import SunwFiles
from storage.records.worker import WorkerRecords
from tests.processes import has_ended, wait_for
from tests.twinboot.conftest import Site, wait_until_ready
from tests.twinboot.serve.conftest import dhcp_offer
from twinboot import stores
from twinboot.faults import Stop


@pytest.fixture
def conf(tmp_path: Path) -> svcconf.ServiceConf:
    return svcconf.ServiceConf("SUNWfiles", str(tmp_path))


def ignore(kind: str, **fields: object) -> None:
    del kind, fields


@pytest.mark.parametrize(
    ("choice", "kind", "kept_by"),
    [
        ("", "nfs", WorkerRecords),
        ("", "", SunwFiles),
        ("always", "", WorkerRecords),
        ("never", "nfs", SunwFiles),
    ],
)
def test_a_share_on_the_network_is_kept_by_a_worker(
    choice: str, kind: str, kept_by: type, conf: svcconf.ServiceConf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "remote_kind", lambda path: kind)
    monkeypatch.delenv(stores.WORKER_VARIABLE, raising=False)
    if choice:
        monkeypatch.setenv(stores.WORKER_VARIABLE, choice)
    with stores.daemon_records(conf, ignore) as (records, begin):
        assert type(records) is kept_by
        begin()
        assert records.tables() == []


def test_a_mistyped_choice_is_a_fault(conf: svcconf.ServiceConf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(stores.WORKER_VARIABLE, "yes")
    with pytest.raises(Stop, match="auto, always, never"), stores.daemon_records(conf, ignore):
        pass


def worker_of(parent: int) -> int:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(children[0]) if children else 0


@pytest.fixture
def server(loopback_site: Site) -> Iterator[int]:
    """Process id of a real DHCP service with a worker."""
    with loopback_site.serving("dhcp", TWINBOOT_SHARE_WORKER="always") as process:
        wait_until_ready(process)
        yield process.pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_service_and_its_worker_end_together(number: signal.Signals, server: int, loopback_site: Site) -> None:
    worker = worker_of(server)
    assert Path(f"/proc/{worker}/comm").read_text().strip() == "twinboot-share"
    assert dhcp_offer(loopback_site)
    os.kill(server, number)
    wait_for(lambda: has_ended(worker))
