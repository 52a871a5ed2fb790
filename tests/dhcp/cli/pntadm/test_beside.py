"""pntadm beside others: a lease at the same moment, another batch, a daemon that serves."""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dhcp.options import MessageType
from storage.records import Change, Delta, MemoryRecords, Result, TabEntry, ipv4_int
from storage.records.port import nothing
from tests.dhcp.cli.conftest import Shell, argv_of, run_batches_at_once
from tests.dhcp.cli.pntadm.conftest import NET
from tests.dhcp.conftest import Start, make_binding, make_store


class Leasing(MemoryRecords):
    """A store in which a server always writes a row just before the command does."""

    def __init__(self, **server: Any) -> None:
        super().__init__()
        self.server = server
        self.left = 1

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        if self.left and changes[0].old is not None:
            self.left -= 1
            super().commit([changes[0]._replace(new=changes[0].old._replace(**self.server))])
        return super().commit(changes)


@pytest.mark.parametrize(
    ("server", "line", "ends"),
    [
        ({"lease_s": 99}, "-M 10.0.0.5 -m Green", (0, {"lease_s": 99, "macro": "Green"})),
        ({"lease_s": 99}, "-M 10.0.0.5 -e 0", (3, {"lease_s": 99, "macro": "m"})),
        ({"client_id": b"\1\2"}, "-M 10.0.0.5 -i 0100", (3, {"client_id": b"\1\2"})),
        ({"lease_s": 99}, "-D 10.0.0.5", (0, None)),
        ({"client_id": b"\1\2"}, "-D 10.0.0.5", (3, {"client_id": b"\1\2"})),
    ],
)
def test_a_change_beside_a_lease_loses_neither(
    conf: Path,
    capsys: pytest.CaptureFixture[str],
    server: dict[str, object],
    line: str,
    ends: tuple[int, dict[str, object] | None],
) -> None:
    records = Leasing(**server)
    records.load(NET, [make_binding("10.0.0.5", macro="m", lease_s=50)])
    shell = Shell(records, capsys)
    code, fields = ends
    assert shell(f"pntadm {line} {NET}") == code
    assert ("somebody else changed the same entry" in shell.err) == bool(code)
    found = [row._asdict() for row in shell.rows(NET).values()]
    if fields is None:
        assert found == []
    else:
        assert [{name: row[name] for name in fields} for row in found] == [fields]


def test_two_batches_at_once_lose_nothing(conf: Path) -> None:
    program = argv_of("pntadm")
    subprocess.run([*program, "-C", NET], check=True)
    batches = []
    for first in (10, 60):
        text = "".join(f"-A 10.0.0.{host} -s 10.0.0.250 {NET}\n" for host in range(first, first + 40))
        text += "".join(f"pntadm -M 10.0.0.{host} -c x{host} {NET}\n" for host in range(first, first + 40, 4))
        batches.append(text)
    run_batches_at_once("pntadm", batches)
    found = subprocess.run([*program, "-P", "--json", NET], capture_output=True, check=True).stdout
    assert [row["client_ip"] for row in json.loads(found)] == [
        f"10.0.0.{host}" for host in range(10, 100) if host not in range(50, 60)
    ]
    assert sum(row["comment"] != "" for row in json.loads(found)) == 20


def test_a_running_daemon_gives_out_an_address_at_the_next_packet(
    start: Start, conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = make_store([])
    lab = start(records)
    shell = Shell(records, capsys)
    mac = "00:14:4f:00:00:01"
    lab.relay.send(MessageType.DISCOVER, mac)
    assert lab.relay.is_silent()
    shell.ok("pntadm -A 127.0.0.40 -f MANUAL -i 0100144F000001 -s 127.0.0.1 127.0.0.0")
    assert lab.relay.lease(mac).yiaddr == ipv4_int("127.0.0.40")
    shell.ok("pntadm -M 127.0.0.40 -n 127.0.0.41 127.0.0.0")
    assert lab.relay.lease(mac).yiaddr == ipv4_int("127.0.0.41")


def test_macros_are_read_once_in_a_batch_and_only_where_needed(
    net: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.records.create("dhcptab")
    net.records.commit([Change("dhcptab", None, TabEntry(NET, "m", 0, ":Subnet=255.255.255.0:"))])
    read: list[str] = []
    original = net.records.read

    def counted(table: str, since: int = 0) -> Delta:
        read.append(table)
        return original(table, since)

    monkeypatch.setattr(net.records, "read", counted)
    batch = tmp_path / "batch"
    batch.write_text("".join(f"-A 10.0.0.{host} 10.0.0.0\n" for host in range(1, 20)))
    net.ok(f"pntadm -B {batch}")
    assert read.count("dhcptab") == 1
    assert len(net.rows(NET)) == 19
