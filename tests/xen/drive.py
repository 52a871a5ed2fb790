"""A guest on real Xen, from its master to its end: two nested hosts, our volumes, our DHCP, the commands as typed.

Run inside private namespaces (see `test_xen.py`). Each line tells what happened and when; the last is the verdict.
"""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from pathlib import Path

from guests.domain import State
from guests.hypervisor import HypervisorError, Outcome
from guests.xl import XlHypervisor
from guests.xl_files import XlSettings
from storage.volumes import Access, Project, Volume, Volumes, VolumesError
from storage.volumes.local_target import Tgt
from storage.volumes.local_view import FuseViews
from tests.xen.console import Console, check, does, say
from tests.xen.lab import ADDRESSES, HOSTS, addresses, machine, serving, site, wait_for, wires
from twinboot.config import Config
from twinboot.volumestore import open_volumes

GUEST = Volume("appl-1", "vm-1")
NAME = GUEST.domain
MEMORY_MIB, CLONE_BYTES_MAX = 160, 1_000_000
TICK = r"TICK (\d+) up ([\d.]+)\r"


def refused(outcome: Outcome, what: str, verb, *arguments: object, **named: object) -> None:
    try:
        verb(*arguments, **named)
    except HypervisorError as error:
        say(f"told: {error}")
        check(error.outcome is outcome, f"{what} is refused as {outcome.value}")
        return
    check(False, f"{what} is refused")


def sessions(host: XlHypervisor) -> list[str]:
    return [line for line in host.shell.run("iscsiadm -m session", 60).out.splitlines() if GUEST.domain in line]


def story(config: Config, hosts: list[XlHypervisor], images: Path) -> None:
    one, two = hosts
    store = open_volumes(config)
    master_and_clone(store, images)
    defined(store, one, two)
    for link, (_, address, name) in ADDRESSES.items():
        does("domu-assign-ip", NAME, link, name, address)
    does("domu-start", NAME)
    before = booted(one)
    check(store.volumes(Project("appl-1"))[0].users == (one.initiator,), "the volume is used by the first host")
    moved(one, two)
    goes_on(before)
    ended(store, one, two)


def master_and_clone(store: Volumes, images: Path) -> None:
    does("domu-master", "import", str(images / "guest.img"), "masters/tiny")
    does("domu-master", "snapshot", "masters/tiny@version-01")
    does("domu-project", "appl-1")
    does("domu-clone", "masters/tiny@version-01", "appl-1/vm-1")
    taken = store.volumes(Project("appl-1"))[0].own_bytes
    check(taken < CLONE_BYTES_MAX, f"the clone takes {taken} bytes")


def defined(store: Volumes, one: XlHypervisor, two: XlHypervisor) -> None:
    facts = one.host()
    say(f"{one.name}: {facts}; {' '.join(sorted(one.see().facts.caps))}")
    does("domu-init", "pv", "fe-be", "odd", str(MEMORY_MIB), "1", "appl-1/vm-1", "--host", one.name)
    info = one.domain(NAME)
    say(f"{info.name}: {', '.join(f'{link.name} {link.mac}' for link in info.links)}")
    check(info.state is State.OFF, "it is defined, and off")
    store.unexport(GUEST)
    refused(Outcome.NO_DISK, "a start without its disk", one.start, NAME)
    check(not sessions(one), "a failed start leaves no session")
    store.export(GUEST, Access((one.initiator, two.initiator)))


def booted(host: XlHypervisor) -> re.Match[str]:
    """Look at the guest's console until it ticks."""
    info = host.domain(NAME)
    console = Console("domu-console", NAME)
    console.expect(r"GUEST-UP [^\r]*\r")
    console.expect(r"GUEST-DISK /dev/xvda boots=1 label=master")
    text = console.expect(r"(?s)(GUEST-ADDR[^\r]*\r.*?){2}")[0]
    for link in info.links:
        address = ADDRESSES[link.name][1]
        check(f"{link.mac} {address}/24" in text, f"{link.name} has {address} from our DHCP")
    ticked = console.expect(TICK)
    console.close()
    return ticked


def moved(one: XlHypervisor, two: XlHypervisor) -> None:
    info = one.domain(NAME)
    said = does("domu-migrate", NAME, two.name, "--live", code=1)
    check(
        "without --live" in said,
        "this Xen moves no PV guest live (it is built without shadow paging), and that is told",
    )
    does("domu-migrate", NAME, two.name)
    check(two.domain(NAME) == info, "the second host runs it, addresses and all")
    refused(Outcome.NOT_FOUND, "a start on the first host, which knows it no more,", one.start, NAME)
    check(not sessions(one), "the first host is logged out")


def goes_on(before: re.Match[str]) -> None:
    console = Console("domu-console", NAME)
    after = console.expect(TICK)
    check(int(after[1]) > int(before[1]), "the guest's counter goes on")
    check(float(after[2]) > float(before[2]), "it has not booted anew")
    console.type("touch /run/quiet; cat /data/label; ping -c 2 192.168.78.10; ping -c 2 192.168.76.10")
    console.expect(r"master\r")
    console.expect(r"2 packets received")
    console.expect(r"2 packets received")
    console.close()


def ended(store: Volumes, one: XlHypervisor, two: XlHypervisor) -> None:
    try:
        store.unexport(GUEST)
        check(False, "the disk of a running guest is not taken away")
    except VolumesError as error:
        check(two.initiator in error.dependents, "the disk of a running guest is not taken away")
    does("domu-stop", NAME, "--force")
    does("domu-destroy", NAME)
    check(not one.domains() and not two.domains(), "no host knows the domain")
    check(not sessions(one) and not sessions(two), "no host is logged in")
    does("domu-fsck")
    does("domu-master", "list")


def main(images: Path, place: Path) -> None:
    wires()
    config = site(place, images)
    with ExitStack() as undo:
        logs = {name: place / f"{name}.log" for name in HOSTS}
        for name, number in HOSTS.items():
            undo.enter_context(machine(number, images, logs[name]))
        undo.enter_context(serving(config, place))
        say("our services are ready")
        assert config.storage
        undo.callback(FuseViews(config.storage.run).down, GUEST.domain)
        undo.callback(Tgt(config.storage.run, config.storage.portal).stop)
        for name, log in logs.items():
            say(f"{name}: {wait_for(log, 'READY').strip()}")
        for name, number in HOSTS.items():
            macs = ",".join(f"{link}0=52:54:00:00:{index:02x}:{number:02x}" for index, link in enumerate(("be", "fe")))
            where = f"be0=192.168.78.{number}"
            does("twinboot", "host", "add", name, "--mac", macs, "--address", where, "--segment", "odd")
        addresses(config)
        hosts = [
            XlHypervisor(
                XlSettings(
                    name,
                    f"ssh://root@192.168.78.{number}?config={place}/ssh_config",
                    f"iqn.2026-11.test.twinboot:{name}",
                    f"192.168.78.{number}",
                )
            )
            for name, number in HOSTS.items()
        ]
        story(config, hosts, images)
    print("VERDICT: a guest ran and moved on real Xen", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
