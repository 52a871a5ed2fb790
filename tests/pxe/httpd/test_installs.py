"""Menus, what an install fetches, and its report."""

import pytest

from pxe.installs import arm
from tests.pxe.conftest import FILES, HV1, T0_S
from tests.pxe.httpd.conftest import Site, curl


def test_menus_are_text_and_never_stored(site: Site) -> None:
    answer = curl(site, f"/boot/{HV1}")
    assert b"local disk" in answer.body
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert curl(site, f"/boot/{HV1}", "-r", "0-9").body == answer.body[:10]


def test_the_first_page_says_what_this_is(site: Site) -> None:
    assert b"twinboot" in curl(site, "/").body


def test_an_install_by_http_from_menu_to_report(site: Site) -> None:
    token = arm(site.rig.records, "hv1", "live-xen", T0_S, 1).token
    assert token.encode() in curl(site, f"/boot/{HV1}").body
    assert curl(site, f"/boot/install/{token}/xen", "-I").status == 200
    assert curl(site, f"/boot/install/{token}/xen").body == FILES["live-xen/xen"]
    report = curl(site, f"/report/{token}", "--data-binary", "outcome=installed\nhost=hv1\nxen_version=4.17.5\n")
    assert (report.status, report.body) == (200, b"hv1 is installed\n")
    assert curl(site, f"/report/{token}", "--data-binary", "outcome=installed\n").status == 200  # its answer was lost
    assert curl(site, f"/report/{token}", "--data-binary", "outcome=failed\n").status == 409
    assert curl(site, f"/boot/install/{token}/xen").status == 403
    told = str(site.rig.events)
    assert "xen_version=4.17.5" in told
    assert token not in told  # what is journalled is read by many


@pytest.mark.parametrize(
    ("token", "body", "status"),
    [
        ("{}", "nonsense", 400),
        ("{}", "x" * 70_000, 413),
        ("wrong", "outcome=installed\n", 404),
        ("%00", "outcome=installed\n", 404),
    ],
)
def test_reports_that_are_refused_change_nothing(site: Site, token: str, body: str, status: int) -> None:
    armed = arm(site.rig.records, "hv1", "live-xen", T0_S, 1)
    answer = curl(site, f"/report/{token.format(armed.token)}", "--data-binary", body)
    assert answer.status == status
    assert answer.body.count(b"\n") == 1
    assert site.rig.records.read("installs").rows == (armed,)
