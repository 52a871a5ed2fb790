import os
import socket
import tempfile
from pathlib import Path

import pytest

from pxe.content import Refused, Why
from pxe.tree import MAX_NAME_BYTES, BootTree, has_openat2, shown, tidy_name


@pytest.fixture(params=["openat2", "walk"])
def tree(request: pytest.FixtureRequest, tmp_path: Path):
    if request.param == "openat2" and not has_openat2():
        pytest.skip("this kernel has no openat2")
    root = tmp_path / "boot"
    (root / "grub" / "deep").mkdir(parents=True)
    (root / "grub" / "core.0").write_bytes(b"core")
    (root / "top").write_bytes(b"top")
    (tmp_path / "secret").write_bytes(b"secret")
    return BootTree(root, openat2=request.param == "openat2")


def read(tree, name):
    content = tree.open(name)
    try:
        return os.read(content.fd, 100)
    finally:
        os.close(content.fd)


def refusal(tree, name):
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Refused) as caught:
        tree.open(name)
    assert len(os.listdir("/proc/self/fd")) == before, "a refusal leaks no descriptor"
    text = str(caught.value)
    assert "\n" not in text
    assert text.isprintable()
    return caught.value.why, text


@pytest.mark.parametrize(
    "name", ["grub/core.0", "/grub/core.0", "//grub//core.0", r"grub\core.0", r"\grub\core.0", "./grub/./core.0"]
)
def test_the_spellings_that_firmware_uses_name_one_file(tree, name):
    assert read(tree, name) == b"core"


def test_the_content_says_size_name_and_time(tree):
    content = tree.open("/grub/core.0")
    os.close(content.fd)
    status = os.stat(f"{tree.root}/grub/core.0")
    assert (content.size, content.name, content.mtime_ns) == (4, "grub/core.0", status.st_mtime_ns)


@pytest.mark.parametrize("name", ["../secret", "grub/../../secret", "grub/..", "..", r"..\secret", "/../secret"])
def test_climbing_is_refused(tree, name):
    why, text = refusal(tree, name)
    assert why is Why.ACCESS
    assert ".." in text


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nothing", Why.NOT_FOUND),
        ("grub/nothing", Why.NOT_FOUND),
        ("top/below", Why.NOT_FOUND),
        ("", Why.NOT_FOUND),
        ("/", Why.NOT_FOUND),
        ("a\0b", Why.ACCESS),
        ("x" * 300, Why.NOT_FOUND),
        ("x/" * MAX_NAME_BYTES, Why.NOT_FOUND),
        ("grub", Why.ACCESS),
        ("grub/deep", Why.ACCESS),
    ],
)
def test_what_is_no_file_of_the_tree_is_refused_with_a_reason(tree, name, why):
    assert refusal(tree, name)[0] is why


def test_names_of_any_bytes_make_one_printable_line(tree):
    _why, text = refusal(tree, os.fsdecode(b"\xff\x1b[31m\r\n" + b"y" * 200))
    assert len(text) < 200


def test_a_symlink_that_stays_inside_is_followed(tree):
    os.symlink("core.0", f"{tree.root}/grub/alias")
    os.symlink("../top", f"{tree.root}/grub/up")
    os.symlink("grub/deep/..", f"{tree.root}/dirlink")
    assert read(tree, "grub/alias") == b"core"
    assert read(tree, "grub/up") == b"top"
    assert read(tree, "dirlink/core.0") == b"core"


@pytest.mark.parametrize("target", ["../secret", "../../secret", "grub/../../secret", "/etc/passwd"])
def test_a_symlink_that_leaves_is_refused(tree, target):
    os.symlink(target, f"{tree.root}/way-out")
    why, text = refusal(tree, "way-out")
    assert why is Why.ACCESS
    assert "symlink" in text


def test_a_directory_symlink_that_leaves_is_refused(tree):
    os.symlink("..", f"{tree.root}/way-out")
    assert refusal(tree, "way-out/secret")[0] is Why.ACCESS


def test_an_absolute_symlink_is_refused_even_when_it_points_inside(tree):
    os.symlink(f"{tree.root}/top", f"{tree.root}/absolute")
    why, text = refusal(tree, "absolute")
    assert why is Why.ACCESS
    assert "relative" in text


def test_a_loop_of_symlinks_ends(tree):
    os.symlink("loop-b", f"{tree.root}/loop-a")
    os.symlink("loop-a", f"{tree.root}/loop-b")
    why, text = refusal(tree, "loop-a")
    assert why is Why.ACCESS
    assert "loop" in text


def test_a_symlink_to_nothing_is_not_found(tree):
    os.symlink("gone", f"{tree.root}/dangling")
    assert refusal(tree, "dangling")[0] is Why.NOT_FOUND


def test_a_fifo_neither_blocks_nor_is_served(tree):
    os.mkfifo(f"{tree.root}/pipe")
    assert refusal(tree, "pipe") == (Why.ACCESS, "'pipe' is not a regular file")


def test_a_socket_is_not_served(tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.root)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("s")
        assert refusal(tree, "s")[0] is Why.ACCESS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_not_served(tree):
    os.mknod(f"{tree.root}/null", 0o020666, os.makedev(1, 3))
    assert refusal(tree, "null")[0] is Why.ACCESS


@pytest.fixture
def as_nobody():
    """Root reads everything, so root becomes an ordinary user for the test, below a directory that user may enter."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        Path(place, "secret").touch(0)
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)
        try:
            yield Path(place)
        finally:
            os.seteuid(was)


@pytest.mark.parametrize("openat2", [has_openat2(), False])
def test_an_unreadable_file_says_how_to_make_it_readable(as_nobody, openat2):
    why, text = refusal(BootTree(as_nobody, openat2=openat2), "secret")
    assert why is Why.ACCESS
    assert "chmod" in text


def test_a_missing_root_is_unavailable_and_names_the_share(tmp_path: Path) -> None:
    why, text = refusal(BootTree(tmp_path / "not-mounted"), "grub/core.0")
    assert why is Why.UNAVAILABLE
    assert "share" in text


def test_a_share_mounted_later_is_seen(tmp_path: Path) -> None:
    tree = BootTree(tmp_path / "late")
    refusal(tree, "x")
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "x").write_bytes(b"now")
    assert read(tree, "x") == b"now"


def test_tidy_names_and_shown_names():
    assert tidy_name("/a//b\\c") == "a/b/c"
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 1000)) < 100
