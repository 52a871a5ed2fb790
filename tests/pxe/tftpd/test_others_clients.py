"""Clients that other people wrote read from our server."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pxe.tftpd.conftest import PAYLOAD, Rig

COMMANDS = {
    "tftp-hpa": ["tftp", "-m", "binary", "127.0.0.1", "{port}", "-c", "get", "{file}", "{out}"],
    "curl": ["curl", "-sS", "-o", "{out}", "tftp://127.0.0.1:{port}/{file}"],
    "curl-1468": ["curl", "-sS", "--tftp-blksize", "1468", "-o", "{out}", "tftp://127.0.0.1:{port}/{file}"],
    "atftp": ["atftp", "-g", "-r", "{file}", "-l", "{out}", "127.0.0.1", "{port}"],
    "atftp-16": ["atftp", "--option", "windowsize 16", "-g", "-r", "{file}", "-l", "{out}", "127.0.0.1", "{port}"],
    "busybox": ["busybox", "tftp", "-b", "1468", "-g", "-r", "{file}", "-l", "{out}", "127.0.0.1", "{port}"],
}


@pytest.mark.parametrize("size", [0, 1024, len(PAYLOAD)])
@pytest.mark.parametrize("which", COMMANDS)
def test_other_peoples_clients(rig: Rig, tmp_path: Path, which: str, size: int) -> None:
    command = COMMANDS[which]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    (rig.root / "theirs").write_bytes(PAYLOAD[:size])
    out = tmp_path / "out"
    filled = [word.format(port=rig.port, file="theirs", out=out) for word in command]
    subprocess.run(filled, check=True, timeout=20, capture_output=True)
    assert out.read_bytes() == PAYLOAD[:size]


def test_tftpy_reads_from_us(rig: Rig, tmp_path: Path) -> None:
    tftpy = pytest.importorskip("tftpy")
    out = tmp_path / "out"
    tftpy.TftpClient("127.0.0.1", rig.port, {"blksize": 1024}).download("file", str(out))
    assert out.read_bytes() == PAYLOAD


def test_a_missing_file_is_a_plain_sentence_in_tftp_hpa(rig: Rig, tmp_path: Path) -> None:
    if shutil.which("tftp") is None:
        pytest.skip("tftp is not installed")
    command = ["tftp", "127.0.0.1", str(rig.port), "-c", "get", "nothing", str(tmp_path / "out")]
    answer = subprocess.run(command, timeout=20, capture_output=True, text=True, check=False)
    assert "Error code 1: 'nothing' is not there" in answer.stdout + answer.stderr
