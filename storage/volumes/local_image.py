"""Disk images of the local store, by qemu-img: layers that stand on one another, and copies where that cannot be.

A layer is `layer-N.qcow2` or `layer-N.raw`. Each is synced before it is named anywhere. An image from outside may
name other files (a backing file, extents): it is refused, or whoever imports it would read any file of this machine.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from storage.volumes.local_tools import environment, failed, not_installed, os_failed, run
from storage.volumes.port import Export, Outcome, Progress, VolumesError, check_size

IMPORTED = ("raw", "qcow2", "vmdk")
BLOCK_BYTES = 512
"""Unit of st_blocks, stat(2)."""

PROGRESS_CHARS_MAX = 64

_PERCENT = re.compile(r"\((\d+\.\d+)/100%\)")


def form_of(layer: str) -> str:
    """The format of a layer by its name."""
    return layer.rpartition(".")[2]


def create(layer: Path, size_bytes: int) -> None:
    """Make an empty layer."""
    run(["qemu-img", "create", "-q", "-f", form_of(layer.name), str(layer), str(size_bytes)])
    sync(layer)


def overlay(layer: Path, base: str, size_bytes: int) -> None:
    """Make a layer on `base`, named as seen from the layer's directory; nothing is copied and nothing opened."""
    backing = ["-u", "-b", base, "-F", form_of(base)]
    run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(layer), str(size_bytes)])
    sync(layer)


def convert(source: Path, form: str, layer: Path, progress: Progress | None) -> int:
    """Copy an image into a layer, holes left out; returns the layer's size, rounded up to sectors."""
    _copy(source, form, ["-O", form_of(layer.name)], str(layer), progress)
    sync(layer)
    return int(inspect(layer, form_of(layer.name))["virtual-size"])


def to_iscsi(source: Path, form: str, export: Export, initiator: str, progress: Progress | None) -> None:
    """Write an image to an exported disk that is all zeros, as that initiator."""
    disk = {"driver": "iscsi", "transport": "tcp", "portal": export.portal, "target": export.iqn, "lun": export.lun}
    where = "json:" + json.dumps({"driver": "raw", "file": {**disk, "initiator-name": initiator}})
    _copy(source, form, ["-n", "--target-is-zero", "-O", "raw"], where, progress)


def _copy(source: Path, form: str, how: list[str], where: str, progress: Progress | None) -> None:
    argv = ["qemu-img", "convert", "-p", "-f", form, *how, str(source), where]
    size_bytes = int(inspect(source, form)["virtual-size"])
    try:
        copy = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(None)
        )
    except FileNotFoundError as error:
        raise not_installed("qemu-img") from error
    with copy:
        try:
            words = _follow(copy, size_bytes, progress)
        except BaseException:
            copy.kill()
            raise
    if copy.returncode:
        raise failed("qemu-img", words)


def inspect(image: Path, form: str | None = None) -> dict[str, Any]:
    """What `qemu-img info` says of one image; its users are left alone."""
    known = ["-f", form] if form else []
    found: dict[str, Any] = json.loads(run(["qemu-img", "info", "-U", "--output=json", *known, str(image)]))
    return found


def stranger(image: Path) -> str:
    """The format of an image from outside; VolumesError INVALID unless it is one that can be imported."""
    if not image.is_file():
        raise VolumesError(Outcome.INVALID, f"{image}: no such file: name a disk image (raw, qcow2 or vmdk)")
    found = inspect(image)
    form = str(found["format"])
    if form not in IMPORTED:
        raise VolumesError(Outcome.INVALID, f"{image}: {form} images are not imported: convert it to raw or qcow2")
    special = found.get("format-specific", {}).get("data", {})
    others = [found.get("backing-filename"), special.get("data-file")]
    others += [extent.get("filename") for extent in special.get("extents", ())]
    strange = sorted({str(other) for other in others if other and Path(str(other)).resolve() != image.resolve()})
    if strange:
        raise VolumesError(Outcome.INVALID, f"{image}: it needs {', '.join(strange)}: make one image of them first")
    size_bytes = int(found["virtual-size"])
    check_size(-(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES)
    return form


def taken_bytes(layer: Path) -> int:
    """Space that a layer takes on the disk; 0 if it is gone."""
    try:
        return layer.stat().st_blocks * BLOCK_BYTES
    except FileNotFoundError:
        return 0


def sync(path: Path) -> None:
    """Put a file or directory on the disk."""
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise os_failed(error, path) from error


def _follow(copy: "subprocess.Popen[bytes]", size_bytes: int, progress: Progress | None) -> str:
    """Tell the progress that qemu-img prints, `(12.34/100%)` and a carriage return; returns what it said at last."""
    assert copy.stdout is not None
    assert copy.stderr is not None
    rest = ""
    while piece := os.read(copy.stdout.fileno(), PROGRESS_CHARS_MAX):
        rest = (rest + piece.decode(errors="replace"))[-2 * PROGRESS_CHARS_MAX :]
        found = _PERCENT.findall(rest)
        if found and progress:
            progress(int(float(found[-1]) / 100 * size_bytes), size_bytes)
    return copy.stderr.read().decode(errors="replace")
