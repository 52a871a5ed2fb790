"""Files by HTTP as people and firmware ask for them: whole, in ranges, again."""

import subprocess
from pathlib import Path

import pytest

from tests.pxe.conftest import FILES
from tests.pxe.httpd.conftest import BIG, Site, curl, wait_for


def test_a_file_arrives_whole_and_is_told(site: Site) -> None:
    answer = curl(site, "/boot/big")
    assert answer.status == 200
    assert answer.body == BIG
    assert answer.headers["server"] == "twinboot"
    assert answer.headers["accept-ranges"] == "bytes"
    assert wait_for(site.rig.events, "http.start").fields["bytes"] == len(BIG)
    done = wait_for(site.rig.events, "http.done").fields
    assert (done["file"], done["bytes"], done["address"]) == ("big", len(BIG), "127.0.0.1")
    assert done["elapsed_s"] >= 0


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("0-0", 0, 0),
        ("100-5000099", 100, 5_000_099),
        ("10239999-", 10_239_999, 10_239_999),
        ("-7", 10_239_993, 10_239_999),
    ],
)
def test_one_range_of_a_file(site: Site, wanted: str, first: int, last: int) -> None:
    answer = curl(site, "/boot/big", "-r", wanted)
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(BIG)}"
    assert answer.body == BIG[first : last + 1]


def test_a_range_outside_the_file(site: Site) -> None:
    answer = curl(site, "/boot/big", "-r", f"{len(BIG)}-")
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(BIG)}"
    assert answer.body == b""


def test_several_ranges_get_the_whole_file(site: Site) -> None:
    answer = curl(site, "/boot/grub/i386-pc/core.0", "-r", "0-1,3-4")
    assert (answer.status, answer.body) == (200, FILES["grub/i386-pc/core.0"])


def test_curl_resumes_a_broken_download(site: Site, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(BIG[:5_000_000])
    subprocess.run(["curl", "-s", "-C", "-", "-o", part, f"{site.server.url}/boot/big"], check=True, timeout=30)
    assert part.read_bytes() == BIG


def test_validators(site: Site) -> None:
    first = curl(site, "/boot/big", "-r", "0-0").headers
    assert curl(site, "/boot/big", "-H", f"If-None-Match: {first['etag']}").status == 304
    assert curl(site, "/boot/big", "-H", f"If-Modified-Since: {first['last-modified']}").status == 304
    assert curl(site, "/boot/big", "-H", 'If-Match: "other"').status == 412
    stale = curl(site, "/boot/big", "-r", "0-0", "-H", 'If-Range: "other"')
    assert (stale.status, len(stale.body)) == (200, len(BIG))


def test_head_gives_the_size_that_uefi_asks_for_first(site: Site) -> None:
    answer = curl(site, "/boot/grub/x86_64-efi/core.efi", "-I")
    assert answer.status == 200
    assert answer.headers["content-length"] == str(len(FILES["grub/x86_64-efi/core.efi"]))
    assert answer.headers["content-type"] == "application/efi"
    assert answer.body == b""


def test_an_empty_file(site: Site) -> None:
    (site.rig.share / "boot/empty").touch()
    answer = curl(site, "/boot/empty")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
    assert curl(site, "/boot/empty", "-r", "0-").status == 416
