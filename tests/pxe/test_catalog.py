"""The catalog: every name it answers, the state changes behind them, and what it does when things are missing."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from jumpstart.model import Hypervisor
from jumpstart.targets import ArgumentError, BootContext, BootEntry, Net
from pxe.catalog import public_name
from pxe.content import FileContent, Refused, TextContent, Why
from pxe.installs import InstallError, UnknownTokenError, arm
from pxe.known import LOADED
from pxe.report import parse
from pxe.settings import Settings
from storage.records import (
    FREE_ID,
    Binding,
    Change,
    Delta,
    Install,
    MemoryRecords,
    Outcome,
    Records,
    RecordsError,
    Result,
    ipv4_int,
)
from storage.records.port import nothing
from tests.pxe.conftest import FILES, HOST, T0_S, Rig

CLIENT = "10.0.0.50"
HV1 = "grub/grub.cfg-01-00-14-4f-00-00-01"
OK = parse(b"outcome=installed\nhost=hv1\n")


def text(rig: Rig, name: str, client: str = CLIENT) -> str:
    content = rig.catalog.resolve(name, client)
    assert isinstance(content, TextContent)
    return content.data.decode()


def fetch(rig: Rig, name: str) -> bytes:
    content = rig.catalog.resolve(name, CLIENT)
    assert isinstance(content, FileContent)
    with open(content.fd, "rb") as file:
        return file.read()


def refusal(rig: Rig, name: str) -> Refused:
    with pytest.raises(Refused) as caught:
        rig.catalog.resolve(name, CLIENT)
    assert "\n" not in str(caught.value)
    return caught.value


def arm_hv1(records: Records) -> str:
    return arm(records, "hv1", "live-xen", T0_S, ipv4_int("10.0.0.1")).token


def state(records: Records) -> str:
    (row,) = records.read("installs").rows
    assert isinstance(row, Install)
    return row.state


def test_files_are_files(rig: Rig) -> None:
    assert fetch(rig, "/grub/i386-pc/core.0") == FILES["grub/i386-pc/core.0"]
    assert rig.events == []


@pytest.mark.parametrize("name", [HV1, f"/{HV1}", f"//{HV1}", HV1.replace("/", "\\"), HV1.replace("4f", "4F")])
def test_a_host_finds_its_menu_by_mac_however_its_loader_writes_the_name(rig: Rig, name: str) -> None:
    assert "'hv1: local disk'" in text(rig, name)
    (event,) = rig.events
    assert event.kind == "menu.rendered"
    assert event.fields["host"] == "hv1"
    assert event.fields["mac"] == "00:14:4f:00:00:01"
    assert event.fields["plan"] == "local"


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


@pytest.mark.parametrize(
    "name",
    ["grub/grub.cfg-01-de-ad-be-ef-00-01", "grub/grub.cfg-0A000032", "grub/grub.cfg-0", "grub/grub.cfg-x/y", "nope"],
)
def test_other_search_names_are_quickly_not_found(rig: Rig, name: str) -> None:
    assert refusal(rig, name).why is Why.NOT_FOUND
    assert rig.events == []


def test_an_unknown_mac_is_told_how_to_become_known(rig: Rig) -> None:
    line = "twinboot host add NAME --mac fe0=de:ad:be:ef:00:01 --segment odd --target live-xen"
    assert line in str(refusal(rig, "grub/grub.cfg-01-de-ad-be-ef-00-01"))
    assert "$net_default_mac" in text(rig, "grub/grub.cfg")
    assert rig.events[-1].fields["plan"] == "rescue"


@pytest.mark.parametrize("name", ["../hosts/hv1.toml", "grub/../../hosts/hv1.toml", "a\0b", "", "grub", "install/../x"])
def test_hostile_names_are_refused(rig: Rig, name: str) -> None:
    assert refusal(rig, name).why in (Why.ACCESS, Why.NOT_FOUND)


def bind(records: Records, table: str, address: str, client_id: bytes) -> None:
    row = Binding(ipv4_int(address), client_id, 0, ipv4_int("10.0.0.1"), 0, 0, "m", "")
    assert records.commit([Change(table, None, row)])[0].outcome is Outcome.STORED


def test_a_loader_that_asks_without_a_mac_is_known_by_its_binding(rig: Rig) -> None:
    rig.records.create("10.0.0.0")
    bind(rig.records, "10.0.0.0", CLIENT, bytes.fromhex("0100144f000002"))
    bind(rig.records, "10.0.0.0", "10.0.0.51", FREE_ID)
    bind(rig.records, "10.0.0.0", "10.0.0.52", bytes.fromhex("01deadbeef0001"))
    assert "'hv2: local disk'" in text(rig, "grub/grub.cfg")
    assert "$net_default_mac" in text(rig, "grub/grub.cfg", "10.0.0.51")
    assert "$net_default_mac" in text(rig, "grub/grub.cfg", "not an address")
    assert "$net_default_mac" in text(rig, "grub/grub.cfg", "10.0.0.52")
    assert "fe0=de:ad:be:ef:00:01" in rig.events[-1].fields["reason"]
    rig.records.drop("10.0.0.0")
    assert "$net_default_mac" in text(rig, "grub/grub.cfg")


def test_ipxe_gets_its_script(rig: Rig) -> None:
    assert text(rig, "boot.ipxe").startswith("#!ipxe\n")


def test_ipxe_gets_an_armed_install_of_its_own_host_and_no_other(rig: Rig) -> None:
    name = HV1.replace("grub/grub.cfg", "boot.ipxe")
    assert "kernel install/" not in text(rig, name)
    token = arm(rig.records, "hv1", "live-xen", T0_S, 1).token
    assert f"kernel install/{token}/xen " in text(rig, name)
    assert state(rig.records) == "armed"  # reading a script installs nothing
    assert refusal(rig, "boot.ipxe-01-02-00-00-00-00-99").why is Why.NOT_FOUND


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


def test_ipxe_knows_the_other_servers_by_their_port(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(port=8080, others=("10.0.0.2", "10.0.0.3"))
    token = arm_hv1(rig.records)
    for server in rig.catalog.settings.others:
        assert f"http://{server}:8080/boot/boot.ipxe-01-" in text(rig, "boot.ipxe")
        script = text(rig, HV1.replace("grub/grub.cfg", "boot.ipxe"))
        assert f"kernel http://{server}:8080/boot/install/{token}/xen " in script
        assert f"twinboot.report=http://{server}:8080/report/{token}" in script


@pytest.mark.parametrize(("transport", "port"), [("tftp", 8080), ("http", 8080)])
def test_a_loader_fetches_by_tftp_where_http_has_another_port(
    make_rig: Callable[..., Rig], transport: str, port: int
) -> None:
    rig = make_rig(transport=transport, port=port)
    token = arm_hv1(rig.records)
    menu = text(rig, HV1)
    assert f"(tftp,10.0.0.1)/install/{token}/xen" in menu
    assert f"http://10.0.0.1:8080/report/{token}" in menu
    assert Settings("10.0.0.1", "odd").http_host("10.0.0.1") == "10.0.0.1"


def test_a_target_this_server_does_not_know_is_a_rescue_with_its_reason(rig: Rig) -> None:
    arm(rig.records, "hv1", "plan9", T0_S, 1)
    menu = text(rig, HV1)
    assert "plan9" in menu
    assert "multiboot2" not in menu
    assert rig.events[-1].fields["plan"] == "rescue"


def test_a_broken_host_file_is_told_once_and_the_others_boot(rig: Rig) -> None:
    (rig.share / "hosts/hv3.toml").write_text("name = ")
    text(rig, HV1)
    text(rig, HV1)
    faults = [event for event in rig.events if event.kind == "host.fault"]
    assert len(faults) == 1
    assert faults[0].fields["file"].endswith("hv3.toml")


def test_a_host_added_while_running_is_known_at_once(rig: Rig) -> None:
    name = "grub/grub.cfg-01-de-ad-be-ef-00-01"
    refusal(rig, name)
    (rig.share / "hosts/hv9.toml").write_text(HOST.format(name="hv9", mac="de:ad:be:ef:00:01", mem="1G"))
    assert "'hv9: local disk'" in text(rig, name)


class Flaky(MemoryRecords):
    """A share that can be told to fail reads, writes or both."""

    fail_read = fail_write = False

    def read(self, table: str, since: int = 0) -> Delta:
        if self.fail_read:
            raise RecordsError(Outcome.UNAVAILABLE, "the share is away; mount it")
        return super().read(table, since)

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        if self.fail_write:
            return [Result(Outcome.UNAVAILABLE, None, "the share is full") for _ in changes]
        return super().commit(changes, waits)


def test_a_failing_share_does_not_lose_the_boot(make_rig: Callable[..., Rig]) -> None:
    store = Flaky()
    store.create("installs")
    rig = make_rig(store)
    token = arm_hv1(store)
    text(rig, HV1)
    store.fail_write = True
    assert fetch(rig, f"install/{token}/xen")
    assert rig.kinds()[-1] == "records.fault"
    store.fail_read = True
    assert fetch(rig, f"install/{token}/vmlinuz")
    store.fail_read = store.fail_write = False
    assert fetch(rig, f"install/{token}/initrd.gz")  # the next fetch tries again
    assert state(store) == "installing"


def test_a_share_that_is_away_is_told_once(make_rig: Callable[..., Rig]) -> None:
    store = Flaky()
    store.create("installs")
    rig = make_rig(store)
    store.fail_read = True
    for _ in range(3):
        assert "local disk" in text(rig, HV1)
    assert rig.kinds().count("records.fault") == 1


def test_no_descriptor_leaks_when_the_other_server_was_faster(make_rig: Callable[..., Rig]) -> None:
    class Spent(MemoryRecords):
        """Rearms behind the catalog's back, just before it commits."""

        armed_again = False

        def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
            if self.armed_again:
                self.armed_again = False
                arm_hv1(self)
            return super().commit(changes, waits)

    store = Spent()
    store.create("installs")
    rig = make_rig(store)
    token = arm_hv1(store)
    before = len(os.listdir("/proc/self/fd"))
    store.armed_again = True
    assert refusal(rig, f"install/{token}/xen").why is Why.ACCESS
    assert len(os.listdir("/proc/self/fd")) == before
    assert state(store) == "armed"


def test_tokens_are_kept_out_of_what_people_read() -> None:
    assert public_name("/boot/install/feed/xen") == "/boot/install/.../xen"
    assert public_name("/report/feed") == "/report/..."
    assert public_name("install/feed/xen") == "install/.../xen"
    assert public_name("grub/grub.cfg") == "grub/grub.cfg"


def test_a_tree_that_is_not_there_says_so(rig: Rig, tmp_path: Path) -> None:
    (rig.share / "boot").rename(tmp_path / "away")
    refused = refusal(rig, "grub/i386-pc/core.0")
    assert refused.why is Why.UNAVAILABLE
    assert "mounted" in str(refused)


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
