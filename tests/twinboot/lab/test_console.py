"""A serial console is shown to people as plain lines."""

from __future__ import annotations

from pathlib import Path

from twinboot.lab.console import find, lines


def test_control_codes_are_left_out(tmp_path: Path) -> None:
    serial = tmp_path / "serial"
    serial.write_bytes(b"\x1b[2J\x1b[01;01HGRUB\r\n(XEN) Command line: dom0_mem=512M\r\n\xff")
    assert lines(serial) == ["GRUB", "(XEN) Command line: dom0_mem=512M", "\ufffd"]
    assert find(serial, r"dom0_mem=\d+M") == "(XEN) Command line: dom0_mem=512M"


def test_no_console_yet_is_an_empty_console(tmp_path: Path) -> None:
    assert lines(tmp_path / "none") == []
    assert find(tmp_path / "none", "x") == ""
