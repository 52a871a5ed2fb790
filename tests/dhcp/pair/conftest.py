"""Pairs of servers over each kind of datastore, and pairs whose clocks differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dhcp_pair import FIRST, KINDS, LAST, Pair


@pytest.fixture(params=sorted(KINDS))
def make_pair(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Pair]:
    return lambda addresses=range(FIRST, LAST + 1): Pair(request.param, tmp_path, addresses)


@pytest.fixture
def pair(make_pair: Callable[..., Pair]) -> Pair:
    return make_pair()
