"""Taking in an install image. The trees are made from the documentation of their layout; no Sun file is in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jumpstart.install_image import ImageError, examine, take

FILES = ("grub/pxegrub", "platform/i86pc/kernel/unix", "x86.miniroot")


def make_image(root: Path, files: tuple[str, ...] = FILES, product: str = "Solaris_11") -> Path:
    for name in files:
        path = root / "boot" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"fake {name}\n".encode() * 100)
    (root / product / "Product").mkdir(parents=True)
    return root


@pytest.fixture
def boot(tmp_path: Path) -> Path:
    made = tmp_path / "boot-tree"
    made.mkdir()
    return made


@pytest.mark.parametrize("link", [False, True])
def test_an_image_is_taken_whole_with_its_progress(tmp_path: Path, boot: Path, link: bool) -> None:
    told: list[tuple[int, int]] = []
    tree = examine(make_image(tmp_path / "nv"))
    image = take(tree, boot, "nv105", link, lambda _step, done, total: told.append((done, total)))
    assert image.direct
    assert told[-1][0] == told[-1][1] == sum(path.stat().st_size for path in tree.files.values())
    assert sorted(path.name for path in boot.iterdir()) == ["I86PC.nv105", "pxegrub.I86PC.nv105"]
    for name in FILES:
        there = boot / "I86PC.nv105" / name
        assert there.read_bytes() == tree.files[name].read_bytes()
        assert os.path.samefile(there, tree.files[name]) is link
    assert (boot / "pxegrub.I86PC.nv105").read_bytes() == tree.files["grub/pxegrub"].read_bytes()


def test_an_image_of_the_same_name_is_replaced(tmp_path: Path, boot: Path) -> None:
    take(examine(make_image(tmp_path / "one", (*FILES, "multiboot"))), boot, "nv", False, lambda *_: None)
    take(examine(make_image(tmp_path / "two")), boot, "nv", False, lambda *_: None)
    assert sorted(path.name for path in boot.iterdir()) == ["I86PC.nv", "pxegrub.I86PC.nv"]
    assert not (boot / "I86PC.nv/multiboot").exists()


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        examine(tmp_path)
    said = "\n".join(caught.value.faults)
    assert len(caught.value.faults) == 4
    for part in ("pxegrub is missing", "neither multiboot nor", "x86.miniroot is missing", "one directory Solaris_10"):
        assert part in said


def test_a_file_that_is_empty_or_outside_is_refused(tmp_path: Path) -> None:
    root = make_image(tmp_path / "nv", ("platform/i86pc/kernel/unix",))
    (root / "boot/x86.miniroot").write_bytes(b"")
    (root / "boot/grub").mkdir()
    (tmp_path / "elsewhere").write_bytes(b"x")
    (root / "boot/grub/pxegrub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ImageError) as caught:
        examine(root)
    assert "symbolic link out of the image" in str(caught.value)
    assert "is empty or no regular file" in str(caught.value)


def test_a_link_inside_and_a_64_bit_miniroot_are_fine(tmp_path: Path, boot: Path) -> None:
    root = make_image(tmp_path / "s10", ("grub/pxegrub", "multiboot", "amd64/x86.miniroot"), "Solaris_10")
    (root / "boot/x86.miniroot").symlink_to("amd64/x86.miniroot")
    image = take(examine(root), boot, "s10u9", False, lambda *_: None)
    assert (image.multiboot, image.direct, image.amd64) == (True, False, True)


@pytest.mark.parametrize(
    ("volume", "is_old"),
    [("SOL_10_1008_X86", False), ("SOL_10_0508_X86", True), ("SOL_10_0109_X86", False), ("SOL_11_X86", False)],
)
def test_solaris_10_before_update_6_has_no_zfs_root(tmp_path: Path, volume: str, is_old: bool) -> None:
    root = make_image(tmp_path / "s10", product="Solaris_10")
    (root / ".volume.inf").write_text(f'VI"{volume}"\n')
    if is_old:
        with pytest.raises(ImageError, match=r"needs 10/08 \(update 6\)"):
            examine(root)
    else:
        assert examine(root).product == "Solaris_10"


def test_what_cannot_be_taken(tmp_path: Path, boot: Path) -> None:
    with pytest.raises(ImageError, match="no such directory"):
        examine(tmp_path / "nowhere")
    with pytest.raises(ImageError, match="cannot name an image"):
        take(examine(make_image(tmp_path / "nv")), boot, "a b", False, lambda *_: None)
    assert not list(boot.iterdir())
    root = make_image(tmp_path / "half")
    (root / "Solaris_11/Product").rmdir()
    with pytest.raises(ImageError, match="copy the whole medium"):
        examine(root)
