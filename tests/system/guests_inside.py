"""The port's contract, and what only real hosts can refuse, over libvirt and QEMU; test_guests.py runs it in a lab.

Two hosts of the lab and a store of volumes with its target daemon; the wires' own namespace has an address on the
backend network, so that this process reaches both. One guest boots, of the kind that the demo has none of; for the
others it is enough to stand in their BIOS, from where a guest moves as well.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guests.domain import Disk, HostInfo, Kind, State
from guests.hypervisor import HypervisorError, Outcome
from guests.libvirt import LibvirtHypervisor
from guests.libvirt_settings import LibvirtSettings
from storage.volumes import Access, Chap, Project
from tests.contract.test_hypervisor import *  # noqa: F403 - the suite is run here over one more adapter
from tests.contract.test_hypervisor import NAME, OPEN, OTHER_UUID, SHUT, UUID, Kit, refused
from tests.system.guests_lab import INITIATORS, PORTAL, STRANGER, Lab, opened
from twinboot.lab import console as serial
from twinboot.lab import wires
from twinboot.lab.guest_demo import BOOT_TIMEOUT_S
from twinboot.lab.guestrack import SPOTS
from twinboot.lab.terminal import Terminal

CHAP = Chap("hv", "secretsecret12")
POLL_S = 0.1


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with opened() as lab:
        yield lab


@pytest.fixture
def clone(lab: Lab) -> Iterator[Disk]:
    """A clone of the lab's tiny guest as a master, exported to both hosts."""
    master, volume = Project("masters").volume("tiny"), lab.project.volume("hvm-1")
    lab.store.make_project(master.parent)
    lab.store.load(master, lab.rack.kit.disk)
    lab.store.snapshot(master.snapshot("version-01"))
    lab.store.clone(master.snapshot("version-01"), volume)
    made = lab.store.export(volume, Access(INITIATORS))
    yield Disk(made.iqn, made.portal, made.lun)
    lab.store.unexport(volume)
    for name in (volume, master.snapshot("version-01"), master, master.parent):
        lab.store.destroy(name)


@pytest.fixture  # type: ignore[no-redef] # the suite's own is over the other adapters
def kit(lab: Lab) -> Iterator[Kit]:
    yield Kit(lab.one, lab.two, PORTAL)
    for host in (lab.one, lab.two):
        for domain in host.domains():
            if domain.state is not State.OFF:
                host.stop(domain.name, force=True)
            host.undefine(domain.name)


def test_the_suites_names_are_those_of_the_store(lab: Lab) -> None:
    exports = [info.export.iqn for info in lab.store.volumes() if info.export]
    assert sorted(exports) == sorted([OPEN, SHUT])


def card(host: str) -> str:
    """The MAC address at which the others reach a host."""
    ask = ["ip", "netns", "exec", host, "cat", "/sys/class/net/be0/address"]
    return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()


def test_a_host_is_reached_at_one_address_whether_guests_are_on_its_bridge_or_not(kit: Kit) -> None:
    before = card("hv1")
    kit.one.define(kit.spec())
    kit.one.start(NAME)
    assert card("hv1") == before
    kit.one.stop(NAME, force=True)
    assert card("hv1") == before


def stays(kit: Kit) -> None:
    """It runs on where it was, and the other host knows nothing of it."""
    assert kit.one.domain(NAME).state is State.RUNNING
    refused(Outcome.NOT_FOUND, kit.two.domain, NAME)


def test_it_does_not_move_where_its_disk_lets_nobody_in(kit: Kit, lab: Lab) -> None:
    lab.let_in(INITIATORS[0])
    kit.one.define(kit.spec())
    kit.one.start(NAME)
    error = refused(Outcome.NO_DISK, kit.one.migrate, NAME, kit.two, live=True)
    print(error)
    assert str(error).startswith(f"hv2, as {INITIATORS[1]}: ")
    assert "export the volume" in str(error)
    stays(kit)
    kit.one.stop(NAME, force=True)
    lab.let_in(*INITIATORS)


def test_it_does_not_move_where_its_link_is_missing(kit: Kit) -> None:
    kit.one.define(kit.spec())
    kit.one.start(NAME)
    wires.lay([["-n", "hv2", "link", "del", "fe0"]])
    try:
        error = refused(Outcome.NO_LINK, kit.one.migrate, NAME, kit.two, live=True)
        assert "hv2 has no bridge fe0 (it has be0)" in str(error)
        stays(kit)
    finally:
        inside = ("-n", "hv2")
        wires.lay([*wires.bridge("fe0", inside), [*inside, "link", "set", "up-fe", "master", "fe0"]])


def test_of_a_target_that_only_the_source_does_not_reach_its_name_is_told(kit: Kit) -> None:
    kit.one.define(kit.spec())
    kit.one.start(NAME)
    cut = ["-n", "hv1", "route", "add", "unreachable", f"{SPOTS[1].address}/32"]
    wires.lay([cut])
    try:
        error = refused(Outcome.UNAVAILABLE, kit.one.migrate, NAME, kit.two, live=True)
    finally:
        wires.lay([[*cut[:3], "del", *cut[4:]]])
    print(error)
    assert str(error).startswith("hv1: ")
    assert f"reaches hv2 at qemu+tcp://{SPOTS[1].address}/system" in str(error)
    stays(kit)


def test_it_does_not_move_where_memory_is_short(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.one.define(kit.spec())
    kit.one.start(NAME)
    full = HostInfo(1024, 8, 2, ("be0", "fe0"), "QEMU")
    monkeypatch.setattr(kit.two, "host", lambda: full)
    error = refused(Outcome.NO_MEMORY, kit.one.migrate, NAME, kit.two, live=True)
    assert f"hv2 has 8 MiB free of 1024, and {NAME} needs 64" in str(error)
    stays(kit)


def test_it_does_not_move_onto_its_own_name(kit: Kit) -> None:
    kit.one.define(kit.spec())
    kit.one.start(NAME)
    kit.two.define(kit.spec())
    refused(Outcome.ALREADY, kit.one.migrate, NAME, kit.two, live=True)


def test_it_moves_paused_when_not_asked_to_stay_alive(kit: Kit) -> None:
    kit.one.define(kit.spec())
    kit.one.start(NAME)
    kit.one.migrate(NAME, kit.two, live=False)
    assert kit.two.domain(NAME).state is State.RUNNING


def test_what_a_move_that_broke_off_left_at_its_target_is_dropped_by_the_next(kit: Kit, lab: Lab) -> None:
    for host in (kit.two, kit.one):
        host.define(kit.spec())
        host.start(NAME)
        if host is kit.two:
            lab.two._virsh.ask("suspend", "--domain", NAME)
    kit.one.migrate(NAME, kit.two, live=True)
    assert kit.two.domain(NAME).state is State.RUNNING
    refused(Outcome.NOT_FOUND, kit.one.domain, NAME)


def users(lab: Lab) -> tuple[str, ...]:
    return next(info.users for info in lab.store.volumes() if info.name == lab.project.volume("vm-1"))


def test_after_a_move_the_other_hosts_initiator_is_logged_in_and_stays_so_after_a_restart(kit: Kit, lab: Lab) -> None:
    kit.one.define(kit.spec())
    kit.one.start(NAME)
    assert users(lab) == INITIATORS[:1]
    kit.one.migrate(NAME, kit.two, live=True)
    assert users(lab) == INITIATORS[1:]
    kit.two.stop(NAME, force=True)
    kit.two.start(NAME)
    assert users(lab) == INITIATORS[1:]


def test_a_start_that_fails_leaves_no_session(kit: Kit, lab: Lab) -> None:
    kit.one.define(kit.spec(disk=Disk(SHUT, PORTAL, 1)))
    refused(Outcome.NO_DISK, kit.one.start, NAME)
    assert all(not info.users for info in lab.store.volumes())


def test_a_guest_with_emulated_devices_boots_from_its_clone(clone, kit: Kit, tmp_path: Path) -> None:
    """The template `hvm`: BIOS and GRUB by an IDE disk, which the guest's kernel then writes to."""
    name, shown, wanted = "appl-1:hvm-1", tmp_path / "console", r"GUEST-DISK /dev/sda1 boots=1$"
    kit.one.define(kit.spec(name=name, uuid=OTHER_UUID, kind=Kind.HVM, memory_mib=256, disk=clone))
    kit.one.start(name)
    terminal = Terminal(kit.one.console_argv(name), os.environ, shown)
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    while not serial.find(shown, wanted) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    terminal.close()
    print("\n".join(serial.lines(shown)[-20:]))
    assert serial.find(shown, r"GUEST-UP [0-9.]+ kernel=")
    assert serial.find(shown, wanted)


def secrets(host: LibvirtHypervisor) -> str:
    return host._virsh.ask("secret-list").strip()


def test_chap_goes_with_the_guest(kit: Kit, lab: Lab) -> None:
    lab.let_in(*INITIATORS, chap=CHAP)
    disk = Disk(OPEN, PORTAL, 1, CHAP)
    kit.one.define(kit.spec(disk=disk._replace(chap=CHAP._replace(secret="wrongwrong123"))))
    refused(Outcome.NO_DISK, kit.one.start, NAME)
    kit.one.define(kit.spec(disk=disk))
    kit.one.start(NAME)
    kit.one.migrate(NAME, kit.two, live=True)
    assert users(lab) == INITIATORS[1:]
    assert not secrets(lab.one)
    assert OPEN in secrets(lab.two)
    kit.two.stop(NAME, force=True)
    kit.two.undefine(NAME)
    assert not secrets(lab.two)
    lab.let_in(*INITIATORS)


def test_a_host_that_is_down_is_unavailable(lab: Lab) -> None:
    gone = LibvirtHypervisor(LibvirtSettings("hv9", "qemu+tcp://192.168.78.21:1/system", STRANGER))
    refused(Outcome.UNAVAILABLE, gone.domains)
    refused(Outcome.UNAVAILABLE, gone.host)


def test_a_libvirtd_that_hangs_is_unavailable_at_the_deadline(lab: Lab) -> None:
    settings = lab.one.settings._replace(deadline_s=1.0)
    listening = subprocess.run(
        ["ip", "netns", "exec", "hv1", "ss", "-Hltnp", "sport = :16509"], capture_output=True, text=True, check=True
    )
    pid = listening.stdout.partition("pid=")[2].partition(",")[0]
    os.kill(int(pid), 19)
    try:
        refused(Outcome.UNAVAILABLE, LibvirtHypervisor(settings).domains)
    finally:
        os.kill(int(pid), 18)
    assert lab.one.domains() == []


def test_what_a_template_of_the_site_does_is_judged_by_the_host_too(
    kit: Kit, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where this machine has no schema: the host's libvirt has its own."""
    (tmp_path / "qemu").mkdir()
    ours = Path("guests/templates/qemu/pv.xml").read_text()
    (tmp_path / "qemu" / "pv.xml").write_text(ours.replace("<boot dev='hd'/>", "<boot dev='moon'/>"))
    monkeypatch.setattr("guests.schema.RNG", tmp_path / "none")
    host = LibvirtHypervisor(lab.one.settings._replace(templates=tmp_path))
    refused(Outcome.INVALID, host.define, kit.spec())


def test_many_domains_are_listed_by_a_few_processes(kit: Kit) -> None:
    for number in range(60):
        kit.one.define(kit.spec(name=f"appl-1:m-{number}", uuid=f"{UUID[:-2]}{number:02d}"))
    began, cpu = time.monotonic(), os.times()
    found = kit.one.domains()
    now = os.times()
    took = now.children_user + now.children_system - cpu.children_user - cpu.children_system
    print(f"{len(found)} domains listed in {time.monotonic() - began:.2f} s, {took:.2f} s of processor time of ours")
    assert len(found) == 60


def test_errors_are_the_ports_whatever_the_name(lab: Lab) -> None:
    for name in ("--help", "", "a b", "x" * 300, "'; list; '"):
        with pytest.raises(HypervisorError) as caught:
            lab.one.domain(name)
        assert "\n" not in str(caught.value)
