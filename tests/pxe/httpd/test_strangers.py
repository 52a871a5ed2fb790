"""Names and bytes that nobody should send: each is answered rightly, and the door goes on."""

import os

import pytest

from tests.pxe.httpd.conftest import Site, curl

HOSTILE = {
    "/boot/../hosts/hv1.toml": 403,
    "/boot/%2e%2e/hosts/hv1.toml": 403,
    "/boot/grub/..%2f..%2f..%2fetc/passwd": 403,
    "/boot//etc/passwd": 404,
    "/boot/a%00b": 403,
    "/boot/grub": 403,
    "/boot/": 404,
    "/boot/%ff%fe": 404,
    "/boot/%ed%a0%80": 404,
    "/boot/" + "a" * 2000: 404,
    "/boot/" + "a/" * 400: 404,
    "/boot/grub/grub.cfg-01-de-ad-be-ef-00-01": 404,
    "/boot/install/wrong/xen": 403,
    "/etc/passwd": 404,
    "/report/feed": 405,
}


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_names(site: Site, path: str) -> None:
    answer = curl(site, path)
    assert answer.status == HOSTILE[path]
    assert answer.body.count(b"\n") <= 1
    assert curl(site, "/boot/grub/i386-pc/core.0").status == 200


def test_a_symlink_out_of_the_tree_and_a_fifo_are_not_served(site: Site) -> None:
    (site.rig.share / "boot/link").symlink_to("/etc/passwd")
    os.mkfifo(site.rig.share / "boot/fifo")
    assert curl(site, "/boot/link").status == 403
    assert curl(site, "/boot/fifo").status == 403


GARBAGE = [
    b"",
    b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /boot/x HTTP/9.9\r\n\r\n",
    b"GET /boot/x HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n",
    b"GET /boot/" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"POST /report/x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\nx",
    b"POST /report/x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx",
    b"POST /report/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"\xff" * 3000,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_survived_without_a_traceback(site: Site, garbage: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    reply = site.server.raw(garbage)
    assert b" 200 " not in reply.split(b"\r\n", 1)[0]
    assert curl(site, "/boot/grub/i386-pc/core.0").status == 200
    assert all(len(str(event.fields)) < 1000 for event in site.rig.events)
    assert "Traceback" not in capfd.readouterr().err
