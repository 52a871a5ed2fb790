"""The operations on the share as plain system calls: what each promises, and the errors it names."""

import errno
import os
from pathlib import Path

import pytest

from storage.records import files as module
from storage.records.files import LocalFiles


@pytest.fixture
def files(tmp_path: Path):
    return LocalFiles(tmp_path)


def test_what_was_written_is_read_and_listed(files, tmp_path: Path) -> None:
    files.make("sub")
    files.write("sub/a", [b"one\n", b"", b"two\n"])
    assert files.read("sub/a") == b"one\ntwo\n"
    (tmp_path / "sub" / ".nfs000012").touch()
    assert files.names("sub") == ["a"]
    assert sorted(files.names()) == ["sub"]
    files.sync("sub")


def test_a_file_of_many_pieces_is_whole(files):
    pieces = [b"%d\n" % number for number in range(5000)]
    files.write("a", iter(pieces))
    assert files.read("a") == b"".join(pieces)


def test_write_never_overwrites_and_leaves_nothing_half_done(files):
    files.write("a", [b"first"])
    with pytest.raises(FileExistsError):
        files.write("a", [b"second"])
    assert files.read("a") == b"first"

    def failing():
        yield b"begun"
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        files.write("b", failing())
    assert files.names() == ["a"]


def test_the_mode_does_not_depend_on_the_umask(files, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        files.write("a", [b""])
        os.chmod(tmp_path / "a", 0o664)
        files.write("b", [b""])
        files.write("c", [b""], like="a")
    finally:
        os.umask(before)
    assert [os.stat(tmp_path / name).st_mode & 0o777 for name in "bc"] == [0o644, 0o664]


def test_a_folder_is_open_to_those_to_whom_its_parent_is(files, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o775)
    before = os.umask(0o077)
    try:
        files.make("sub")
    finally:
        os.umask(before)
    assert os.stat(tmp_path / "sub").st_mode & 0o777 == 0o775


def test_of_two_links_to_one_name_the_first_wins(files):
    files.write("a", [b"a"])
    files.write("b", [b"b"])
    files.link("a", "one")
    with pytest.raises(FileExistsError):
        files.link("b", "one")
    with pytest.raises(FileNotFoundError):
        files.link("c", "two")
    files.remove("a")
    assert files.read("one") == b"a"


def test_rename_replaces(files):
    files.write("a", [b"a"])
    files.write("b", [b"b"])
    before = files.stat("a")
    files.rename("b", "a")
    assert files.read("a") == b"b"
    assert files.stat("a") != before
    assert files.names() == ["a"]


@pytest.mark.parametrize("verb", ["read", "remove", "stat", "names", "sync"])
def test_what_is_not_there_is_named_so(files, verb):
    with pytest.raises(FileNotFoundError):
        getattr(files, verb)("absent")


def test_a_folder_has_a_stamp_that_moves_with_its_names(files, tmp_path: Path) -> None:
    before = files.stat("")
    os.utime(tmp_path, ns=(1, 1))
    assert files.stat("") != before
    with pytest.raises(FileExistsError):
        files.make("")


def test_links_out_of_the_store_are_not_followed(files, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        files.read("link")


def test_a_monstrous_file_is_refused_unread(files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write("a", [b"12345"])
    monkeypatch.setattr(module, "FILE_MAX_BYTES", 4)
    with pytest.raises(OSError, match="more than 4") as caught:
        files.read("a")
    assert caught.value.errno == errno.EFBIG
