"""An image from outside as a raw file, so that it can be poured anywhere: over ssh there is nothing but a stream."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from storage.volumes import local_image
from storage.volumes.local_tools import os_failed

WORK = "/var/tmp"  # noqa: S108 - what is made in it is private, and may be larger than /tmp


@contextlib.contextmanager
def raw(image: Path, form: str) -> Iterator[Path]:
    """The image itself if it is raw, else a sparse copy that goes away again."""
    if form == "raw":
        yield image
        return
    try:
        work = tempfile.TemporaryDirectory(prefix="twinboot-", dir=WORK)
    except OSError as error:
        raise os_failed(error, WORK) from error
    with work:
        copy = Path(work.name) / "disk.raw"
        local_image.convert(image, form, copy, None)
        yield copy
