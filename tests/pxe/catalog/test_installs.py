"""The life of an install as the catalog sees it, by one server or both."""

import os
import re
from collections.abc import Callable, Mapping

import pytest

from jumpstart.model import Hypervisor
from jumpstart.targets import ArgumentError, BootContext, BootEntry, Net
from pxe.catalog import public_name
from pxe.content import FileContent, Why
from pxe.installs import InstallError, UnknownTokenError, arm
from pxe.known import LOADED
from pxe.report import parse
from storage.records import ipv4_int
from tests.pxe.catalog.conftest import CLIENT, OK, arm_hv1, fetch, refusal, state, text
from tests.pxe.conftest import FILES, HV1, T0_S, Rig


def test_the_whole_life_of_one_install(rig: Rig) -> None:
    token = arm_hv1(rig.records)
    assert f"(http,10.0.0.1)/boot/install/{token}/xen" in text(rig, HV1)
    assert state(rig.records) == "armed"  # reading a menu installs nothing
    assert fetch(rig, f"install/{token}/xen") == FILES["live-xen/xen"]
    assert state(rig.records) == "installing"
    assert fetch(rig, f"install/{token}/initrd.gz") == FILES["live-xen/initrd.gz"]
    assert "did not finish" in text(rig, HV1)
    assert rig.catalog.report(token, OK, CLIENT).state == "installed"
    assert "multiboot2" not in text(rig, HV1)
    assert refusal(rig, f"install/{token}/xen").why is Why.ACCESS
    assert rig.catalog.report(token, OK, CLIENT).state == "installed"
    states = [event.fields["state"] for event in rig.events if event.kind == "install.state"]
    assert states == ["installing", "installed"]
    assert rig.kinds().count("report.received") == 1


def test_looking_is_not_fetching(rig: Rig) -> None:
    token = arm_hv1(rig.records)
    content = rig.catalog.peek(f"install/{token}/xen", CLIENT)
    assert isinstance(content, FileContent)
    os.close(content.fd)
    assert state(rig.records) == "armed"
    assert content.name == "install/hv1/xen"  # journals get the host's name, never the token


def test_a_missing_file_does_not_begin_the_install(rig: Rig) -> None:
    token = arm_hv1(rig.records)
    (rig.share / "boot/live-xen/vmlinuz").unlink()
    assert refusal(rig, f"install/{token}/vmlinuz").why is Why.NOT_FOUND
    assert "has no file 'nonsense'" in str(refusal(rig, f"install/{token}/nonsense"))
    assert state(rig.records) == "armed"


@pytest.mark.parametrize("token", ["0" * 32, "x", "$(reboot)", "\udcff"])
def test_a_wrong_token_opens_nothing(rig: Rig, token: str) -> None:
    arm_hv1(rig.records)
    refused = refusal(rig, f"install/{token}/xen")
    assert refused.why is Why.ACCESS
    assert "twinboot install" in str(refused)
    with pytest.raises(UnknownTokenError):
        rig.catalog.report(token, OK, CLIENT)


def test_two_servers_follow_each_other(make_rig: Callable[..., Rig]) -> None:
    odd, even = make_rig(), make_rig(server="10.0.0.2")
    token = arm_hv1(odd.records)
    assert f"(http,10.0.0.2)/boot/install/{token}/" in text(even, HV1)
    fetch(odd, f"install/{token}/xen")
    fetch(even, f"install/{token}/vmlinuz")
    assert [rig.kinds().count("install.state") for rig in (odd, even)] == [1, 0]
    assert even.catalog.report(token, OK, CLIENT).server == ipv4_int("10.0.0.2")
    assert "multiboot2" not in text(odd, HV1)
    assert "was installed" in odd.events[-1].fields["reason"]


def test_what_one_server_began_to_send_the_other_sends_whole_under_the_same_token(make_rig: Callable[..., Rig]) -> None:
    odd = make_rig(others=("10.0.0.2",))
    even = make_rig(server="10.0.0.2", others=("10.0.0.1",))
    token = arm_hv1(odd.records)
    menu = text(odd, HV1)
    assert even.catalog.settings.server in menu
    fetch(odd, f"install/{token}/xen")
    assert state(odd.records) == "installing"
    names = re.findall(r"\(http,10\.0\.0\.2\)/boot/(\S+)'", menu)
    assert [fetch(even, name) for name in names] == [FILES[f"live-xen/{name.rpartition('/')[2]}"] for name in names]
    assert len(names) == 3
    # Each server's own attempt names that server first.
    reports = re.findall(r"twinboot\.report=http://(10\.0\.0\.[0-9])/report/([^']+)", menu)
    assert [server for server, _ in reports] == ["10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.1"]
    ((_, report), *_) = reports
    assert even.catalog.report(report, OK, CLIENT).state == "installed"


def test_a_target_this_server_does_not_know_is_a_rescue_with_its_reason(rig: Rig) -> None:
    arm(rig.records, "hv1", "plan9", T0_S, 1)
    menu = text(rig, HV1)
    assert "plan9" in menu
    assert "multiboot2" not in menu
    assert rig.events[-1].fields["plan"] == "rescue"


def test_tokens_are_kept_out_of_what_people_read() -> None:
    assert public_name("/boot/install/feed/xen") == "/boot/install/.../xen"
    assert public_name("/report/feed") == "/report/..."
    assert public_name("install/feed/xen") == "install/.../xen"
    assert public_name("grub/grub.cfg") == "grub/grub.cfg"


class Rendering:
    """A target whose one text tells what it was rendered from."""

    files: Mapping[str, str] = {}

    def texts(self, host: Hypervisor, ctx: BootContext) -> Mapping[str, bytes]:
        if not ctx.networks:
            raise ArgumentError("no network")
        return {"script": f"{host.name} {ctx.boot_urls[0]}/{ctx.base} {ctx.report_urls[0]}".encode()}

    def entry(self, host: Hypervisor, ctx: BootContext) -> BootEntry:
        raise ArgumentError("not booted here")


def test_a_text_of_an_install_is_rendered_against_its_token(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig()
    monkeypatch.setitem(LOADED, "rendering", Rendering())
    token = arm(rig.records, "hv1", "rendering", T0_S, ipv4_int("10.0.0.1")).token
    refused = refusal(rig, f"install/{token}/script")
    assert (refused.why, str(refused)) == (Why.UNAVAILABLE, "nothing can be rendered for hv1: no network")
    assert state(rig.records) == "armed"
    rig = make_rig(networks=(Net("10.0.0.0/24"),))
    place = f"http://10.0.0.1/boot/install/{token} http://10.0.0.1/report/{token}"
    assert text(rig, f"install/{token}/script") == f"hv1 {place}"
    assert state(rig.records) == "installing"
    assert "has no file 'other'; it has script" in str(refusal(rig, f"install/{token}/other"))
    rig.catalog.report(token, OK, CLIENT)
    assert refusal(rig, f"install/{token}/script").why is Why.ACCESS


def test_news_on_the_way_reach_the_journal_and_end_nothing(rig: Rig) -> None:
    token = arm_hv1(rig.records)
    row = rig.catalog.report(token, parse(b"outcome=progress\nstep=reboot\n"), CLIENT)
    assert (row.state, state(rig.records)) == ("installing", "installing")
    assert rig.events[-1].kind == "install.state"
    assert rig.events[-1].fields["detail"] == "step=reboot"
    rig.catalog.report(token, OK, CLIENT)
    with pytest.raises(InstallError):
        rig.catalog.report(token, parse(b"outcome=progress\n"), CLIENT)
