"""The file dhcpsvc.conf: replaced in one step, refused as a whole."""

from pathlib import Path

import pytest

from dhcp.svcconf import ConfError, set_pairs
from dhcp.svcconf_file import load, write

TEXT = "RESOURCE=SUNWfiles\nPATH=/net/dhcpstore\nCONVER=1\n"


def test_a_file_is_written_in_one_step_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "dhcpsvc.conf"
    write(path, TEXT)
    write(path, set_pairs(path.read_text(), {"RESCAN_INTERVAL": "1"}))
    assert load(path).rescan_interval_min == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["dhcpsvc.conf"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_that_cannot_be_used_is_one_fault(tmp_path: Path) -> None:
    for name, data, word in (("long", b"#" * 70000, "longer"), ("binary", b"A=\xff\n", "UTF-8")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ConfError, match=word):
            load(tmp_path / name)
    with pytest.raises(ConfError, match="twinboot init"):
        load(tmp_path / "absent")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "dhcpsvc.conf"
    write(path, TEXT)
    monkeypatch.setattr("os.rename", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write(path, "PATH=/\n")
    assert path.read_text() == TEXT
    assert [entry.name for entry in tmp_path.iterdir()] == ["dhcpsvc.conf"]
