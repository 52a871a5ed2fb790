import shutil
import subprocess

import pytest

from jumpstart import newc

ENTRIES = {
    "init": newc.executable(b"#!/bin/sh\n"),
    "bin/sh": newc.link_to("busybox"),
    "lib/modules/6.1/modules.dep": newc.regular(b"x" * 5),
    "dev": newc.DIRECTORY,
}


def test_the_same_entries_give_the_same_bytes_in_any_order() -> None:
    assert newc.archive(ENTRIES) == newc.archive(dict(reversed(ENTRIES.items())))


def test_records_are_aligned_and_parents_are_there() -> None:
    data = newc.archive(ENTRIES)
    assert len(data) % 4 == 0
    assert data.startswith(b"070701")
    for path in (b"bin\0", b"lib\0", b"lib/modules\0", b"lib/modules/6.1\0"):
        assert path in data


def test_a_name_that_no_kernel_takes_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        newc.archive({"x" * 5000: newc.DIRECTORY})


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed")
def test_cpio_reads_it() -> None:
    done = subprocess.run(["cpio", "-itv"], input=newc.archive(ENTRIES), capture_output=True, check=True)
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    assert [lines[0][0], lines[3][0], lines[1][-3]] == ["drwxr-xr-x", "-rwxr-xr-x", "bin/sh"]
    assert lines[-1][-1] == "lib/modules/6.1/modules.dep"
