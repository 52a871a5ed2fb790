"""Which file systems count as another machine's."""

import ctypes
from pathlib import Path

import pytest

from storage.records import remote


def test_a_local_directory_is_local(tmp_path: Path) -> None:
    assert remote.remote_kind(tmp_path) == ""


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        remote.remote_kind(tmp_path / "nothing")


@pytest.mark.parametrize(("magic", "name"), [(0x6969, "nfs"), (0xFF534D42, "cifs"), (0x65735546, "fuse")])
def test_file_systems_are_known_by_their_magic_number(magic, name, monkeypatch: pytest.MonkeyPatch) -> None:
    class Libc:
        @staticmethod
        def statfs(path, answer):
            ctypes.c_long.from_buffer(answer).value = magic
            return 0

    monkeypatch.setattr(remote, "_LIBC", Libc)
    assert remote.remote_kind("/") == name
