"""The guest programs as they are typed, over a site's own files: volumes and records on disk, hosts kept in files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from guests.memory import MemoryHypervisor
from storage.records import Binding, Change, ipv4_int, open_records
from storage.volumes import Volumes
from storage.volumes.local import LocalVolumes
from storage.volumes.names import parse_snapshot, parse_volume
from storage.volumes.settings import LocalSettings
from tests.twinboot.conftest import Site
from tests.volume_stores import AUTHORITY, FakeTargets, FakeViews
from twinboot import volumestore
from twinboot.commands import domu_guests, domu_look

PROGRAMS: dict[str, click.Command] = {
    command.name: command
    for room in (domu_guests, domu_look)
    for command in (getattr(room, name) for name in room.__all__)
}
NETWORKS = """
[networks.public]
subnet = "192.168.76.0/24"
link = "fe"
[networks.backend]
subnet = "192.168.78.0/24"
link = "be"
[storage]
backend = "local"
"""
MIB = 2**20
UP = "masters/osol-0811@version-01 appl-1/vm-1 --fe vm-host1=192.168.76.71 --be vm-host1-be=192.168.78.71"


def open_fake(root: Path) -> Volumes:
    """The local store with stand-ins for its daemons; opened in any process, it finds what was there."""
    run_dir = root / "run"
    run_dir.mkdir(exist_ok=True)
    return LocalVolumes(
        LocalSettings(root / "volumes", run_dir, AUTHORITY), views=FakeViews(run_dir), targets=FakeTargets(run_dir)
    )


class GuestSite:
    """A site with two hosts on the odd segment and one on the even one."""

    def __init__(self, site: Site, resource: str) -> None:
        self.site = site
        self.root = site.root
        site.init(
            subnet="192.168.76.0/24", address="192.168.76.1", range="192.168.76.70-192.168.76.79", resource=resource
        )
        text = site.config.read_text()
        site.config.write_text(text.partition("[networks")[0] + NETWORKS)
        self.resource = resource
        records = open_records(resource, site.share / "dhcp")
        records.create("192.168.78.0")
        rows = [Binding(ipv4_int(f"192.168.78.{last}"), b"\0", 0, 1, 0, 0, "s1", "") for last in range(70, 80)]
        assert all(done.row for done in records.commit([Change("192.168.78.0", None, row) for row in rows]))
        for number, segment in ((1, "odd"), (2, "odd"), (3, "even")):
            mac = f"fe0=00:14:4f:00:00:0{number},be0=00:14:4f:00:01:0{number}"
            site.ok("host", "add", f"hv{number}", "--mac", mac, "--segment", segment)
            with (site.share / "hosts" / f"hv{number}.toml").open("a") as file:
                file.write(f'\n[hypervisor]\nuri = "memory:{self.root}/hv{number}.json"\n')
        store = open_fake(self.root)
        image = self.root / "disk.img"
        image.write_bytes(b"\x5a" * MIB)
        store.make_project(parse_volume("masters/osol-0811").parent)
        store.load(parse_volume("masters/osol-0811"), image)
        store.snapshot(parse_snapshot("masters/osol-0811@version-01"))

    def host(self, name: str) -> MemoryHypervisor:
        return MemoryHypervisor(name, file=self.root / f"{name}.json")

    def binding(self, address: str) -> Binding:
        table = address.rpartition(".")[0] + ".0"
        rows = open_records(self.resource, self.site.share / "dhcp").read(table).rows
        return next(row for row in rows if isinstance(row, Binding) and row.address == ipv4_int(address))

    def run(self, line: str) -> Result:
        name, *words = line.split()
        result = CliRunner().invoke(PROGRAMS[name], words)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def ok(self, line: str) -> str:
        result = self.run(line)
        assert result.exit_code == 0, result.output
        return result.stdout

    def fails(self, line: str) -> str:
        result = self.run(line)
        assert result.exit_code == 1, result.output
        lines = result.stderr.splitlines()
        assert lines
        assert all(one.startswith((f"{line.split(maxsplit=1)[0]}: ", "undoing: ")) for one in lines), lines
        return "\n".join(lines)


def made(site: Site, monkeypatch: pytest.MonkeyPatch, resource: str) -> GuestSite:
    monkeypatch.setenv("TWINBOOT_CONFIG", str(site.config))
    monkeypatch.setitem(volumestore.OPENERS, "local", lambda _config, _storage: open_fake(site.root))
    return GuestSite(site, resource)


@pytest.fixture
def guests(site: Site, monkeypatch: pytest.MonkeyPatch) -> GuestSite:
    return made(site, monkeypatch, "SUNWfiles")


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestSite]:
    """A site with one guest, for commands that are refused and change nothing."""
    with pytest.MonkeyPatch.context() as patch:
        guests = made(Site(tmp_path_factory.mktemp("settled")), patch, "SUNWfiles")
        guests.ok("domu-project appl-1")
        guests.ok("domu-clone masters/osol-0811@version-01 appl-1/vm-1")
        guests.ok("domu-init pv fe-be odd 1024 1 appl-1/vm-1")
        yield guests


@pytest.mark.parametrize("resource", ["SUNWfiles", "twinlog"])
def test_the_mission_as_it_is_typed(site, monkeypatch, resource):
    guests = made(site, monkeypatch, resource)
    assert guests.ok("domu-project appl-1") == "appl-1: made\n"
    guests.ok("domu-clone masters/osol-0811@version-01 appl-1/vm-1")
    said = guests.ok("domu-init pv fe-be odd 1024 1 appl-1/vm-1")
    assert "appl-1:vm-1: defined on hv1" in said
    guests.ok("domu-assign-ip appl-1:vm-1 fe0 vm-host1 192.168.76.71")
    guests.ok("domu-assign-ip appl-1:vm-1 be0 vm-host1-be 192.168.78.71")
    guests.ok("domu-start appl-1:vm-1")
    (row,) = json.loads(guests.ok("domu-list --json"))
    assert (row["name"], row["state"], row["hypervisor"], row["memory_mib"]) == ("appl-1:vm-1", "running", "hv1", 1024)
    macs = {link.name: link.mac for link in guests.host("hv1").domain("appl-1:vm-1").links}
    for link, address, name in (("fe0", "192.168.76.71", "vm-host1"), ("be0", "192.168.78.71", "vm-host1-be")):
        found = guests.binding(address)
        assert found.client_id == b"\1" + bytes.fromhex(macs[link].replace(":", ""))
        assert (found.flags, found.comment) == (2, name)
    shown = guests.ok("domu-show appl-1:vm-1")
    assert "running on hv1" in shown
    assert "192.168.76.71  vm-host1\n" in shown
    assert json.loads(guests.ok("domu-show appl-1:vm-1 --json"))["volume"]["export"]["lun"] == 1
    assert "echo" in guests.ok("domu-console appl-1:vm-1 --json")
    assert "is on hv2" in guests.ok("domu-migrate appl-1:vm-1 --live")
    assert guests.host("hv2").domain("appl-1:vm-1").state.value == "running"
    assert "no findings: 1 guests" in guests.ok("domu-fsck")
    assert "running on hv2: `domu-stop appl-1:vm-1` first" in guests.fails("domu-destroy appl-1:vm-1")
    guests.ok("domu-stop appl-1:vm-1 --force")
    guests.ok("domu-destroy appl-1:vm-1")
    assert guests.binding("192.168.76.71").client_id == b"\0"
    assert "no findings: 0 guests" in guests.ok("domu-fsck")


def test_the_whole_chain_in_one_command(guests):
    plan = json.loads(guests.ok(f"domu-up {UP} --dry-run --json"))
    keys = ["project", "clone", "export", "define", "bind:fe0", "bind:be0", "start"]
    assert [step["step"] for step in plan["steps"]] == keys
    assert plan["changed"] is False
    assert guests.ok("domu-list") == "no guests yet: domu-clone MASTER@VERSION PROJECT/GUEST\n"
    assert "start it on hv1" in guests.ok(f"domu-up {UP}")
    assert guests.ok(f"domu-up {UP}").startswith("appl-1:vm-1: nothing to do\n")
    assert "no findings: 1 guests" in guests.ok("domu-fsck")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("domu-clone masters/osol-0811@version-10 appl-1/vm-2", "did you mean masters/osol-0811@version-01?"),
        ("domu-clone masters/osol-0811 appl-1/vm-2", "add which one after '@'"),
        ("domu-clone masters/osol-0811@version-01 apl-1/vm-2", "did you mean appl-1?"),
        ("domu-clone masters/osol-0811@version-01 appl-1:vm-2", "write appl-1/vm-2"),
        ("domu-clone masters/osol-0811@version-01 appl-1/VM_2", "did you mean vm-2?"),
        ("domu-clone masters/osol-0811@version-01 appl-1/vm-1", "is there already, cloned from masters/osol-0811"),
        ("domu-init pw fe-be odd 1024 1 appl-1/vm-1", "'pw' is no kind of guest: use one of hvm, pv"),
        ("domu-init pv fe-bee odd 1024 1 appl-1/vm-1", "'bee' is no link"),
        ("domu-init pv fe-fe odd 1024 1 appl-1/vm-1", "a link stands there twice"),
        ("domu-init pv fe-be evn 1024 1 appl-1/vm-1", "did you mean even?"),
        ("domu-init pv fe-be odd 1G 1 appl-1/vm-1", "memory in MiB '1G': write a whole number from 16"),
        ("domu-init pv fe-be odd 1024 0 appl-1/vm-1", "number of processors '0'"),
        ("domu-init pv fe-be odd 2048 1 appl-1/vm-1", "is defined already, with memory_mib 1024, not 2048"),
        ("domu-init pv fe-be odd 1024 1 appl-1/vm-2", "did you mean appl-1:vm-1?"),
        ("domu-init pv fe-be odd 99999 1 appl-1/big", "no such guest"),
        ("domu-assign-ip appl-1:vm1 fe0 a 192.168.76.71", "did you mean appl-1:vm-1?"),
        ("domu-assign-ip appl-1:vm-1 fe1 a 192.168.76.71", "use one of be0, fe0"),
        ("domu-assign-ip appl-1:vm-1 fe0 a_b 192.168.76.71", "is no host name"),
        ("domu-assign-ip appl-1:vm-1 fe0 a 192.168.76", "is no address"),
        ("domu-assign-ip appl-1:vm-1 fe0 a 192.168.78.71", "it is in backend, the network of be0"),
        ("domu-assign-ip appl-1:vm-1 fe0 a 192.168.76.99", "`pntadm -A 192.168.76.99 192.168.76.0`"),
        ("domu-assign-ip appl-1:vm-1 fe0 hv1 192.168.76.71", "hv1 is the name of host hv1: choose another"),
        ("domu-assign-ip appl-1:vm-1 fe0 a 192.168.76.255", "is no host's address in 192.168.76.0/24"),
        ("domu-migrate appl-1:vm-1 hv3", "it is on segment even: choose a host of segment odd"),
        ("domu-migrate appl-1:vm-1 hv", "'hv' is no host"),
        ("domu-start appl-1:vm-2", "did you mean appl-1:vm-1?"),
        ("domu-show appl-1/vm-9", "did you mean appl-1:vm-1?"),
        ("domu-list apl-1", "did you mean appl-1?"),
        ("domu-up masters/osol-0811@version-01 appl-1/x --fe vm-x", "write HOST-NAME=ADDRESS"),
        ("domu-up masters/osol-0811@version-01 appl-1/x --fe a=192.168.76.72 --address fe0=b=192.168.76.73", "twice"),
        ("domu-project a/b", "a project is one word"),
    ],
)
def test_what_is_wrong_is_told_with_the_way_out(settled, line, words):
    assert words in settled.fails(line)


def test_after_all_refusals_there_is_nothing_to_mend(settled):
    assert "no findings: 1 guests" in settled.ok("domu-fsck")


def test_a_guest_that_no_host_can_take_is_told_why_of_each(guests):
    guests.ok("domu-project appl-1")
    guests.ok("domu-clone masters/osol-0811@version-01 appl-1/vm-1")
    said = guests.fails("domu-init pv fe-be odd 99999 1 appl-1/vm-1")
    assert "domu-init: hv1: 14336 MiB are left of 16384, 99999 are wanted" in said
    assert "domu-init: hv2: " in said


ORPHAN = "appl-1/orphan is a clone of masters/osol-0811@version-01 and no guest is known of it"


def test_what_is_left_over_is_found_with_the_command_that_removes_it(guests):
    guests.ok(f"domu-up {UP}")
    open_fake(guests.root).clone(parse_snapshot("masters/osol-0811@version-01"), parse_volume("appl-1/orphan"))
    guests.host("hv1").stop("appl-1:vm-1")
    guests.host("hv1").undefine("appl-1:vm-1")
    result = guests.run("domu-fsck")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:2] == [
        "guest: appl-1:vm-1: hv1 has no such domain: domu-start appl-1:vm-1",
        f"volume: {ORPHAN}: domu-destroy appl-1:orphan",
    ]
    guests.ok("domu-destroy appl-1:orphan")
    guests.ok("domu-start appl-1:vm-1")
    assert "no findings" in guests.ok("domu-fsck")


KILLED = """
import os, sys
from pathlib import Path
from guests.run import Runner
from tests.twinboot.test_domu import PROGRAMS, open_fake
from twinboot import volumestore
from twinboot.commands import domu
root, number, line = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
volumestore.OPENERS["local"] = lambda _config, _storage: open_fake(root)
count = iter(range(1000))
def between(_):
    if next(count) == number:
        os.kill(os.getpid(), 9)
class Mortal(Runner):
    def __init__(self, world, plan, telling):
        super().__init__(world, plan, telling, between)
domu.Runner = Mortal
name, *words = line.split()
PROGRAMS[name].main(words, prog_name=name)
"""


@pytest.fixture
def killed(guests: GuestSite) -> Callable[[int, str], int]:
    def kill(number: int, line: str) -> int:
        argv = [sys.executable, "-P", "-c", KILLED, str(guests.root), str(number), line]
        here = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run(argv, env=here, check=False, timeout=60, capture_output=True).returncode

    return kill


@pytest.mark.parametrize("number", range(9))
def test_killed_for_real_the_same_command_goes_on(guests, killed, number):
    assert killed(number, f"domu-up {UP}") == -signal.SIGKILL
    if number:
        found = guests.run("domu-fsck")
        assert found.exit_code == 1
        assert "domu-up by " in found.stdout
    guests.ok(f"domu-up {UP}")
    assert "no findings: 1 guests" in guests.ok("domu-fsck")
    assert guests.host("hv1").domain("appl-1:vm-1").state.value == "running"


def test_of_two_who_type_at_once_one_wins_and_the_other_is_told(guests, killed):
    lines = [f"domu-up {UP}", f"domu-up {UP.replace('vm-1', 'vm-2').replace('vm-host1', 'vm-host2')}"]
    never = "1000"
    argv = [sys.executable, "-P", "-c", KILLED, str(guests.root), never]
    here = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    both = [
        subprocess.Popen([*argv, line], env=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in lines
    ]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], said
    loser = said[[process.returncode for process in both].index(1)]
    assert "192.168.76.71" in loser
    assert "no findings: 1 guests, 2 volumes" in guests.ok("domu-fsck")


def test_a_host_with_guests_is_not_removed(guests):
    guests.ok(f"domu-up {UP}")
    (line,) = guests.site.fails("host", "remove", "hv1")
    assert line.startswith("hv1: 1 guests are on it (appl-1:vm-1)")


def test_names_are_completed(guests):
    guests.ok("domu-project appl-1")
    guests.ok("domu-clone masters/osol-0811@version-01 appl-1/vm-1")

    def completed(*words: str) -> list[str]:
        env = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
        env[f"_{words[0].upper().replace('-', '_')}_COMPLETE"] = "bash_complete"
        result = CliRunner().invoke(PROGRAMS[words[0]], [], prog_name=words[0], env=env)
        return [line.partition(",")[2] for line in result.stdout.splitlines()]

    assert completed("domu-show", "app") == ["appl-1:vm-1"]
    assert completed("domu-clone", "mast") == ["masters/osol-0811@version-01"]
    assert completed("domu-init", "pv", "fe-be", "odd", "1024", "1", "a") == ["appl-1/", "appl-1/vm-1"]
    assert completed("domu-migrate", "appl-1:vm-1", "hv") == ["hv1", "hv2", "hv3"]
