"""A guest's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinboot.lab.kit import Kit
from twinboot.lab.uml import Card, arguments


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    (tmp_path / "usr/lib/uml/modules/6.1.0/kernel").mkdir(parents=True)
    fe = Card("odd-fe", "fe", "10.98.0.11/16", "02:00:0a:62:00:11")
    be = Card("odd-be", "be", "10.77.1.11/24", "02:00:0a:4d:01:11")
    return arguments(Kit(tmp_path), "odd", fe, be, Path("/lab"), 1)


def test_the_root_is_this_machines_and_read_only(words: list[str]) -> None:
    assert {"rootfstype=hostfs", "rootflags=/", "ro"} <= set(words)


def test_each_card_has_its_cable_and_the_init_its_address(words: list[str]) -> None:
    assert "vec0:transport=tap,ifname=odd-fe,depth=128,gro=1,mac=02:00:0a:62:00:11" in words
    assert "vec1:transport=tap,ifname=odd-be,depth=128,gro=1,mac=02:00:0a:4d:01:11" in words
    assert {"node=odd", "fe=10.98.0.11/16", "be=10.77.1.11/24", "lab=/lab"} <= set(words)


def test_a_guest_has_one_processor_for_its_kernel_and_its_programs(words: list[str]) -> None:
    assert words[:3] == ["taskset", "--cpu-list", "1"]


def test_what_the_kernel_is_told_fits_its_command_line(words: list[str]) -> None:
    assert len(" ".join(words)) < 2048
