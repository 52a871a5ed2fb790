"""What the share does to those who only look at it: it hangs, it answers with errors, it comes back."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from twinboot import machine
from twinboot.config import Config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    share = tmp_path / "share"
    for name in machine.NEEDED:
        (share / name).mkdir(parents=True)
    return SimpleNamespace(path=tmp_path / "twinboot.toml", share=share)  # type: ignore[return-value] # no more of it is looked at


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SHARE_PAUSE_S", 0.0)


def failing(monkeypatch: pytest.MonkeyPatch, code: int, times: int) -> list[Path]:
    """Let the next looks at a directory fail; the paths that were looked at."""
    looked: list[Path] = []
    real = Path.is_dir

    def is_dir(path: Path) -> bool:
        looked.append(path)
        if len(looked) <= times:
            raise OSError(code, os.strerror(code), str(path))
        return real(path)

    monkeypatch.setattr(Path, "is_dir", is_dir)
    return looked


def test_a_sound_share_has_no_fault(config: Config) -> None:
    assert machine.share_fault(config) is None


def test_an_error_of_the_share_is_one_line_that_says_which(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = failing(monkeypatch, errno.EIO, 99)
    fault = machine.share_fault(config)
    assert fault is not None
    assert str(fault).endswith(f"{config.share}: Input/output error: see to the mount, and to its file server")
    assert len(looked) == machine.SHARE_TRIES


def test_an_error_that_passes_is_none(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, errno.ESTALE, machine.SHARE_TRIES - 1)
    assert machine.share_fault(config) is None


def test_a_share_that_hangs_is_one_line_too(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SHARE_S", 0.05)
    let_go = threading.Event()
    monkeypatch.setattr(Path, "is_dir", lambda path: let_go.wait(5.0))
    fault = machine.share_fault(config)
    let_go.set()
    assert fault is not None
    assert "does not answer" in str(fault)
