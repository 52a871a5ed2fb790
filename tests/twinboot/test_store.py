from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from storage.records import FREE_ID, Binding, Change, SunwFiles, TabEntry, ipv4_int, open_records
from storage.records.twinlog import TwinLog
from tests.rows import rows_of
from tests.twinboot.conftest import Site
from twinboot.cli import cli

NET = "10.77.0.0"


def run(*args: str) -> Result:
    result = CliRunner().invoke(cli, ["store", *args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A directory with a log of five batches."""
    path = tmp_path / "dhcp"
    path.mkdir()
    records = open_records("twinlog", path)
    records.create(NET)
    records.create("dhcptab")
    free = Binding(ipv4_int("10.77.0.50"), FREE_ID, 0, ipv4_int("10.77.0.1"), 0, 0, "m", "")
    (result,) = records.commit([Change(NET, None, free)])
    records.commit([Change("dhcptab", None, TabEntry("m", "m", 0, ":LeaseTim=60:"))])
    assert isinstance(result.row, Binding)
    records.commit([Change(NET, result.row, result.row._replace(client_id=b"\1\2", lease_s=9))])
    return path


def batch(log: Path, number: int) -> Path:
    return log / ".twinlog" / f"{number:012d}.log"


def test_a_sound_log_is_called_so(log: Path) -> None:
    result = run("check", "--path", str(log))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith("verdict: sound; batches 1 to 5")
    facts = json.loads(run("check", "--json", "--path", str(log)).stdout)
    assert facts["sound"] is True
    assert facts["tables"] == {NET: 1, "dhcptab": 1}


def test_damage_is_named_mended_and_kept(log: Path) -> None:
    batch(log, 4).write_bytes(b"twinlog 1 ba")
    result = run("check", "--path", str(log))
    assert result.exit_code == 1
    assert "DAMAGE 000000000004.log: is torn" in result.stdout
    planned = run("repair", "--dry-run", "--path", str(log))
    assert "would do: 000000000004.log: keep it as 000000000004.log.damaged" in planned.stdout
    assert batch(log, 4).read_bytes() == b"twinlog 1 ba"
    assert "done: " in run("repair", "--path", str(log)).stdout
    assert (log / ".twinlog" / "000000000004.log.damaged").read_bytes() == b"twinlog 1 ba"
    assert run("check", "--path", str(log)).exit_code == 0
    assert run("repair", "--path", str(log)).stdout == "nothing to repair\n"


def test_a_log_that_nobody_can_start_from_has_an_exit_code_of_its_own(log: Path) -> None:
    batch(log, 1).unlink()
    assert run("check", "--path", str(log)).exit_code == 3
    assert "restore the folder" in run("repair", "--dry-run", "--path", str(log)).stdout
    result = run("repair", "--path", str(log))
    assert result.exit_code == 1
    assert "restore the folder from a backup" in result.stderr


def test_the_contents_and_the_past_of_a_row_are_shown(log: Path) -> None:
    shown = run("show", "--path", str(log)).stdout
    assert "batch 5" in shown
    assert NET in shown
    past = json.loads(run("show", "10.77.0.50", "--json", "--path", str(log)).stdout)
    assert past[0]["sign"] == "+"
    assert [one["batch"] for one in past] == [3, 5]
    one = json.loads(run("show", "4", "--json", "--path", str(log)).stdout)
    assert one["changes"][0]["table"] == "dhcptab"
    assert "m|m|" in run("show", "4", "--path", str(log)).stdout
    assert "no change" in run("show", "10.77.0.99", "--path", str(log)).stdout
    assert "1 to 5" in run("show", "77", "--path", str(log)).stderr


def test_an_export_is_read_by_the_other_datastore(log: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    assert run("export", str(target), "--path", str(log)).exit_code == 0
    assert SunwFiles(target).read(NET).rows == open_records("twinlog", log).read(NET).rows
    again = run("export", str(target), "--path", str(log))
    assert again.exit_code == 1
    assert "exists" in again.stderr


def test_edits_are_taken_over_on_demand(log: Path) -> None:
    assert run("import", "--path", str(log)).stdout == "0 rows taken over\n"
    records = open_records("twinlog", log)
    assert isinstance(records, TwinLog)
    records.publish()
    copy = log / "SUNWfiles1_dhcptab"
    copy.write_text(copy.read_text().replace("LeaseTim=60", "LeaseTim=90"))
    assert run("import", "--path", str(log)).stdout == "1 rows taken over\n"
    assert [row.value for row in rows_of(open_records("twinlog", log), "dhcptab", TabEntry)] == [":LeaseTim=90:"]
    copy.write_text("nonsense\n")
    refused = run("import", "--path", str(log))
    assert refused.exit_code == 1
    assert "first line" in refused.stderr


def test_a_place_without_a_log_is_named(tmp_path: Path) -> None:
    result = run("check", "--path", str(tmp_path))
    assert result.exit_code == 1
    assert "share is not mounted" in result.stderr


def test_another_datastore_is_not_touched(site: Site) -> None:
    site.ok(*site.init_args())
    site.dhcpsvc.write_text(site.dhcpsvc.read_text().replace("RESOURCE=twinlog", "RESOURCE=SUNWfiles"))
    assert "RESOURCE=SUNWfiles" in site.fails("store", "check")[0]
    assert "RESOURCE=SUNWfiles" in site.fails("store", "import")[0]
