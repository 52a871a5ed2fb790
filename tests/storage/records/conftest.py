"""Shared by the tests of the records room."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage.records import FREE_ID, Binding, SunwFiles, ipv4_int

GOLDEN = Path(__file__).parent / "golden"
"""Containers byte for byte as Sun's own module wrote them (four bindings, six macros and symbols)."""

Bind = Callable[..., Binding]


@pytest.fixture
def golden() -> Path:
    return GOLDEN


@pytest.fixture
def binding() -> Bind:
    def make(last: int, **fields: Any) -> Binding:
        row = Binding(ipv4_int(f"192.168.76.{last}"), FREE_ID, 0, ipv4_int("192.168.76.1"), 0, 0, "pxe1", "")
        return row._replace(**fields)

    return make


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    """A directory with Sun's golden containers; the network's file."""
    for path in GOLDEN.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / "SUNWfiles1_192_168_76_0"


@pytest.fixture
def records(network_file: Path) -> SunwFiles:
    """The adapter over copies of the golden containers."""
    return SunwFiles(network_file.parent, lock_timeout_s=1.0)
