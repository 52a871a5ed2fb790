"""The local store with its real daemons: what an initiator reads, who is let in, what survives, what it costs.

The initiators are libiscsi's (iscsi-ls, iscsi-inq, qemu-io over iscsi://): no kernel module is needed on either side.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import create_server
from typing import NamedTuple

import pytest

from storage.volumes import Access, Chap, Outcome, Project, Snapshot, Volume, VolumesError
from storage.volumes.local import LocalVolumes
from storage.volumes.local_target import Tgt
from storage.volumes.local_view import FuseViews
from storage.volumes.settings import LocalSettings
from tests.volume_stores import AUTHORITY, tgt_programs

pytestmark = [pytest.mark.system, pytest.mark.root]

MIB = 2**20
HV1, HV2, STRANGER = (f"iqn.1986-03.com.sun:01:{name}" for name in ("hv1", "hv2", "stranger"))
MASTERS, APPL = Project("masters"), Project("appl-1")
MASTER, GUEST = Volume("masters", "osol-0811"), Volume("appl-1", "vm-1")
VERSION = Snapshot("masters", "osol-0811", "version-01")
CHAP = Chap("hv", "secretsecret12")
TOOL_TIMEOUT_S = 30
NOBODY = 65534
CLONE_BYTES_MAX = 1_000_000


class Site(NamedTuple):
    store: LocalVolumes
    settings: LocalSettings
    targets: Tgt

    def opened_again(self) -> LocalVolumes:
        """The store as another command sees it."""
        return LocalVolumes(self.settings)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    programs = tgt_programs()
    missing = [name for name in ("iscsi-inq", "qemu-io", "qemu-storage-daemon") if not shutil.which(name)]
    if programs is None or missing or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip(f"needs tgt, /dev/fuse and {missing or 'nothing else'}: packaging/apt-packages-test.txt")
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{programs}")
    with create_server(("127.0.0.1", 0)) as probe:
        portal = f"127.0.0.1:{probe.getsockname()[1]}"
    place = Path(tempfile.mkdtemp(prefix="twinboot-volumes."))
    settings = LocalSettings(place / "store", place / "run", AUTHORITY, portal)
    targets = Tgt(settings.run_dir, portal)
    store = LocalVolumes(settings, targets=targets)
    yield Site(store, settings, targets)
    targets.stop()
    for info in store.volumes():
        FuseViews(settings.run_dir).down(info.name.domain)
    shutil.rmtree(place)


@pytest.fixture
def chain(site: Site) -> Site:
    """A master of 64 MiB that holds 0x5a at 1 MiB, and one clone of it."""
    image = site.settings.root / "disk.img"
    image.write_bytes(b"\0" * MIB + b"\x5a" * MIB)
    os.truncate(image, 64 * MIB)
    site.store.make_project(MASTERS)
    site.store.make_project(APPL)
    site.store.load(MASTER, image)
    site.store.snapshot(VERSION)
    site.store.clone(VERSION, GUEST)
    return site


def url(site: Site, volume: Volume, chap: Chap | None = None) -> str:
    who = f"{chap.user}%{chap.secret}@" if chap else ""
    return f"iscsi://{who}{site.settings.portal}/{volume.iqn(AUTHORITY)}/1"


def inquire(site: Site, volume: Volume, initiator: str, chap: Chap | None = None) -> str:
    """What the disk says of itself, or the refusal."""
    done = tool("iscsi-inq", "-i", initiator, url(site, volume, chap))
    return done.stdout + done.stderr


def tool(*argv: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(argv, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False)


def session(site: Site, volume: Volume, initiator: str = HV1) -> "subprocess.Popen[str]":
    """A guest: qemu-io with the volume open, taking commands."""
    disk = (
        f'json:{{"driver":"raw","file":{{"driver":"iscsi","transport":"tcp","portal":"{site.settings.portal}",'
        f'"target":"{volume.iqn(AUTHORITY)}","lun":1,"initiator-name":"{initiator}"}}}}'
    )
    argv = ["qemu-io", "-f", "raw", "-d", "unmap", disk]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def io(site: Site, volume: Volume, *commands: str) -> str:
    guest = session(site, volume)
    out, _ = guest.communicate("\n".join([*commands, "quit"]) + "\n", timeout=TOOL_TIMEOUT_S)
    return out


def own_bytes(site: Site, volume: Volume) -> int:
    return next(info.own_bytes for info in site.store.volumes() if info.name == volume)


def test_a_clone_is_read_and_written_over_iscsi_and_its_master_stays_as_it_was(chain: Site) -> None:
    export = chain.store.export(GUEST, Access((HV1,)))
    assert export.portal == chain.settings.portal
    said = io(chain, GUEST, "read -P 0x5a 1M 1M", "write -P 0x77 8M 1M", "flush", "read -P 0x77 8M 1M")
    assert "Pattern verification failed" not in said
    assert said.count("1 MiB") >= 3, said
    chain.store.clone(VERSION, APPL.volume("vm-2"))
    chain.store.export(APPL.volume("vm-2"), Access((HV1,)))
    assert "Pattern verification failed" not in io(chain, APPL.volume("vm-2"), "read -P 0 8M 1M", "read -P 0x5a 1M 1M")


def test_only_those_who_are_named_get_in_and_others_do_not_even_see_it(chain: Site) -> None:
    chain.store.export(GUEST, Access((HV1, HV2)))
    for initiator in (HV1, HV2):
        assert "DIRECT_ACCESS" in inquire(chain, GUEST, initiator)
    assert "Target not found" in inquire(chain, GUEST, STRANGER)
    assert GUEST.iqn(AUTHORITY) in tool("iscsi-ls", "-i", HV1, f"iscsi://{chain.settings.portal}").stdout
    assert GUEST.iqn(AUTHORITY) not in tool("iscsi-ls", "-i", STRANGER, f"iscsi://{chain.settings.portal}").stdout


def test_chap_lets_in_by_the_secret_only(chain: Site) -> None:
    chain.store.export(GUEST, Access((HV1,), CHAP))
    assert "DIRECT_ACCESS" in inquire(chain, GUEST, HV1, CHAP)
    assert "Authentication failure" in inquire(chain, GUEST, HV1, CHAP._replace(secret="wrongwrong123"))
    assert "Authentication failure" in inquire(chain, GUEST, HV1)
    chain.store.unexport(GUEST)
    changed = CHAP._replace(secret="secretsecret34")
    chain.store.export(GUEST, Access((HV1,), changed))
    assert "DIRECT_ACCESS" in inquire(chain, GUEST, HV1, changed)
    assert "Authentication failure" in inquire(chain, GUEST, HV1, CHAP)


def test_what_a_guest_discards_is_free_again(chain: Site) -> None:
    chain.store.export(GUEST, Access((HV1,)))
    io(chain, GUEST, "write -P 1 0 32M", "flush")
    assert own_bytes(chain, GUEST) > 32 * MIB
    io(chain, GUEST, "discard 0 32M")
    assert own_bytes(chain, GUEST) < 4 * MIB


def test_nothing_is_taken_from_under_a_guest(chain: Site) -> None:
    chain.store.export(GUEST, Access((HV1, HV2)))
    guest = session(chain, GUEST)
    until(lambda: chain.store.volumes(APPL)[0].users == (HV1,))
    for refused in (
        lambda: chain.store.snapshot(GUEST.snapshot("a")),
        lambda: chain.store.unexport(GUEST),
        lambda: chain.store.destroy(GUEST),
    ):
        with pytest.raises(VolumesError) as caught:
            refused()
        assert caught.value.outcome is Outcome.BUSY
    out, _ = guest.communicate("write -P 3 0 64k\nquit\n", timeout=TOOL_TIMEOUT_S)
    assert "wrote 65536" in out
    chain.store.snapshot(GUEST.snapshot("a"))
    assert "Pattern verification failed" not in io(chain, GUEST, "read -P 3 0 64k", "write -P 4 0 64k")
    chain.store.clone(GUEST.snapshot("a"), APPL.volume("vm-3"))
    chain.store.export(APPL.volume("vm-3"), Access((HV1,)))
    assert "Pattern verification failed" not in io(chain, APPL.volume("vm-3"), "read -P 3 0 64k")


def test_a_disk_that_is_exported_cannot_be_opened_behind_our_back(chain: Site) -> None:
    chain.store.export(GUEST, Access((HV1,)))
    head = str(chain.settings.root / "appl-1" / "vm-1" / "layer-0.qcow2")
    done = tool("qemu-io", "-c", "read 0 512", head)
    assert done.returncode
    assert "lock" in done.stderr


def test_a_dead_view_a_dead_target_daemon_and_both_are_put_right(chain: Site) -> None:
    chain.store.export(GUEST, Access((HV1,), CHAP))
    before = inquire(chain, GUEST, HV1, CHAP)
    io_serial = serial(chain)
    view_pid = int((chain.settings.run_dir / "views" / f"{GUEST.domain}.pid").read_text())
    os.kill(view_pid, signal.SIGKILL)
    until(lambda: not FuseViews(chain.settings.run_dir).alive(GUEST.domain))
    again = chain.opened_again()
    assert again.tend() == ("appl-1/vm-1: exported again",)
    assert inquire(chain, GUEST, HV1, CHAP) == before
    chain.targets.stop()
    assert "DIRECT_ACCESS" not in inquire(chain, GUEST, HV1, CHAP)
    assert chain.store.tend() == ("appl-1/vm-1: exported again",)
    assert inquire(chain, GUEST, HV1, CHAP) == before
    assert serial(chain) == io_serial
    assert chain.store.tend() == ()


def serial(site: Site) -> str:
    """The unit serial number, by which a hypervisor knows the disk."""
    done = tool("iscsi-inq", "-e", "1", "-c", "128", "-i", HV1, url(site, GUEST, CHAP))
    assert hashlib.sha256(GUEST.iqn(AUTHORITY).encode()).hexdigest()[:32] in done.stdout, done
    return done.stdout


def test_a_clone_of_ten_gigabytes_takes_next_to_nothing(site: Site) -> None:
    site.store.make_project(MASTERS)
    site.store.make_project(APPL)
    site.store.create(MASTER, 10 * 10**9 // 512 * 512)
    site.store.export(MASTER, Access((HV1,)))
    io(site, MASTER, "write -P 0x5a 0 256M")
    site.store.unexport(MASTER)
    site.store.snapshot(VERSION)
    times = []
    for number in range(20):
        started = time.monotonic()
        site.store.clone(VERSION, APPL.volume(f"vm-{number}"))
        times.append(time.monotonic() - started)
    assert all(info.own_bytes < CLONE_BYTES_MAX for info in site.store.volumes(APPL))
    largest = max(info.own_bytes for info in site.store.volumes(APPL))
    started = time.monotonic()
    site.store.export(APPL.volume("vm-0"), Access((HV1,)))
    exported_s = time.monotonic() - started
    times.sort()
    print(f"clone: median {times[10]:.3f} s, worst {times[-1]:.3f} s, {largest} bytes; export {exported_s:.3f} s")


def test_no_root_is_needed(site: Site) -> None:
    """As nobody, with the programs where nobody can read them; by copies where /dev/fuse is not open to all."""
    place = Path(tempfile.mkdtemp(prefix="twinboot-nobody."))
    for program in ("tgtd", "tgtadm"):
        shutil.copy(str(shutil.which(program)), place)
    os.chown(place, NOBODY, NOBODY)
    settings = site.settings._replace(root=place / "store", run_dir=place / "run")
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.environ["PATH"] = f"{place}:/usr/bin:/bin"
            os._exit(0 if chain_of_nobody(settings) else 1)
        finally:
            os._exit(2)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        shutil.rmtree(place)


def chain_of_nobody(settings: LocalSettings) -> bool:
    """A whole chain; whether the initiator that is named, and only he, sees the disk."""
    targets = Tgt(settings.run_dir, settings.portal)
    store = LocalVolumes(settings, targets=targets)
    here = Site(store, settings, targets)
    try:
        store.make_project(MASTERS)
        store.create(MASTER, MIB)
        store.snapshot(VERSION)
        store.clone(VERSION, MASTERS.volume("copy"))
        store.export(MASTERS.volume("copy"), Access((HV1,)))
        named, other = (inquire(here, MASTERS.volume("copy"), who) for who in (HV1, STRANGER))
        return "DIRECT_ACCESS" in named and "Target not found" in other
    finally:
        targets.stop()
        FuseViews(settings.run_dir).down(MASTERS.volume("copy").domain)


def until(true: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)
