import os
from pathlib import Path

import pytest

from storage.records import Outcome, RecordsError, open_records


def test_a_directory_has_one_location_however_it_is_spelt(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert open_records("SUNWfiles", link).location == os.path.realpath(tmp_path)


def test_an_unknown_kind_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match=r"SUNWnisplus: unknown, use one of: .*SUNWfiles"):
        open_records("SUNWnisplus", tmp_path)


def test_a_missing_directory_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="create it or mount the share") as caught:
        open_records("SUNWfiles", tmp_path / "none")
    assert caught.value.outcome is Outcome.NOT_FOUND
