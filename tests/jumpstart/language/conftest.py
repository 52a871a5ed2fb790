from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

VECTORS = Path(__file__).parent / "vectors"


def cases(file: str) -> Iterator[tuple[str, str]]:
    """Heading and text of each case of a vector file."""
    for case in re.split(r"^== ", (VECTORS / file).read_text(), flags=re.MULTILINE)[1:]:
        heading, _, text = case.partition("\n")
        yield heading, text


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test marked with a vector file is run for each of its cases, as `heading` and `text`."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        if mark.args[0] == "vectors":
            return
    if {"good", "text"} <= set(metafunc.fixturenames) or {"bad", "text"} <= set(metafunc.fixturenames):
        kind = "good" if "good" in metafunc.fixturenames else "bad"
        found = list(cases(f"{metafunc.module.VECTORS}-{kind}.txt"))
        metafunc.parametrize((kind, "text"), found, ids=[heading for heading, _ in found])
