"""Every script is run by two shells; each Solaris tool is a stand-in that records how it was called."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from jumpstart.model import Hypervisor
from jumpstart.targets.nevada import Site
from jumpstart.targets.nevada_hooks import scripts

TOOLS = ("dladm", "svccfg", "svcadm", "svcs", "bootadm", "installgrub", "zpool", "ifconfig", "wget", "sleep")
ALLOW = '"^localhost$ ^192[.]168[.]78[.][0-9]*$"'
MENU = """\
splashimage /boot/grub/splash.xpm.gz
default 0
timeout 10
#---------- ADDED BY BOOTADM - DO NOT EDIT ----------
title Solaris xVM
kernel$ /boot/$ISADIR/xen.gz
#---------------------END BOOTADM--------------------
title Solaris failsafe
kernel /boot/platform/i86pc/kernel/unix -s
"""


class Machine:
    """A root to work on, a JumpStart directory, and the stand-ins."""

    def __init__(self, place: Path, shell: str, texts: Mapping[str, str]) -> None:
        self.place = place
        self.root = place / "a"
        self.config = place / "config"
        self.log = place / "calls"
        self.bin = place / "bin"
        for folder in (self.bin, self.config / "hosts/hv1", self.root / "etc/dladm", self.root / "etc/rc3.d"):
            folder.mkdir(parents=True)
        for name in ("rpool/boot/grub", "dev/rdsk", "var"):
            (self.root / name).mkdir(parents=True)
        found = shutil.which(shell)
        assert found is not None
        (self.bin / "sh").symlink_to(found)  # bash called sh keeps to POSIX
        for tool in TOOLS:
            self.stand_in(tool)
        for name, text in texts.items():
            (self.config / "hosts/hv1" / name).write_text(text)
        self.menu = self.root / "rpool/boot/grub/menu.lst"
        self.menu.write_text(MENU)
        (self.root / "etc/hostname.e1000g1").write_text("hv1\n")
        (self.root / "etc/dladm/datalink.conf").write_text("#\n")

    def stand_in(self, tool: str, exit_code: int = 0) -> None:
        path = self.bin / tool
        path.write_text(
            f'#!/bin/sh\nprintf "%s" "{tool}" >>{self.log}\nprintf " <%s>" "$@" >>{self.log}\n'
            f"echo >>{self.log}\nexit {exit_code}\n"
        )
        path.chmod(0o755)

    def run(self, name: str, root: str | None = None, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "SI_CONFIG_DIR": str(self.config)}
        env["ROOT"] = str(self.root) if root is None else root
        path = (folder or self.config / "hosts/hv1") / name
        return subprocess.run([str(self.bin / "sh"), str(path)], env=env, capture_output=True, text=True, check=False)

    def calls(self) -> list[str]:
        found = self.log.read_text().replace(str(self.root), "/a").splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return found


@pytest.fixture(params=["dash", "bash"])
def machine(
    request: pytest.FixtureRequest, tmp_path: Path, host: Hypervisor, site: Site, netmasks: dict[str, str]
) -> Machine:
    return Machine(tmp_path, request.param, scripts(host, netmasks, site.release, site.report_urls))


def test_finish_does_what_can_be_done_and_leaves_the_rest(machine: Machine) -> None:
    done = machine.run("finish")
    assert done.returncode == 0, done.stderr
    assert machine.calls() == [
        "dladm <rename-link> <-R> </a> <e1000g1> <be0>",
        "dladm <rename-link> <-R> </a> <e1000g0> <fe0>",
        "installgrub <-fm> </a/boot/grub/stage1> </a/boot/grub/stage2> </dev/rdsk/c0t1d0s0>",
        "bootadm <update-archive> <-R> </a>",
    ]
    assert (machine.root / "etc/hostname.be0").read_text() == "hv1\n"
    assert (machine.root / "etc/hostname.fe0").read_text() == "192.168.76.21 netmask 255.255.255.0 broadcast + up\n"
    assert sorted(path.name for path in (machine.root / "var/twinboot").iterdir()) == [
        "links",
        "report",
        "services",
        "xend",
    ]
    assert os.access(machine.root / "etc/rc3.d/S99twinboot", os.X_OK)
    assert (machine.root / "var/twinboot").stat().st_mode & 0o077 == 0


def test_finish_twice_is_finish_once(machine: Machine) -> None:
    machine.run("finish")
    first = {str(path): path.read_bytes() for path in machine.root.rglob("*") if path.is_file()}
    assert machine.run("finish").returncode == 0
    assert {str(path): path.read_bytes() for path in machine.root.rglob("*") if path.is_file()} == first


def test_a_step_that_fails_is_reported_at_once(machine: Machine) -> None:
    machine.stand_in("installgrub", 1)
    done = machine.run("finish")
    assert done.returncode == 1
    assert "bootblocks: c0t1d0s0 got no boot blocks" in done.stderr
    (report,) = "\n".join(machine.calls()).split("wget")[1:]
    assert "<outcome=failed\nhost=hv1\nreason=finish script, step bootblocks: see" in report
    assert not (machine.root / "etc/rc3.d/S99twinboot").exists()


def test_the_menu_gets_one_entry_of_ours_and_keeps_the_others(machine: Machine) -> None:
    for _ in range(2):
        assert machine.run("grub").returncode == 0
        text = machine.menu.read_text()
        assert text.startswith("default 2\nsplashimage ")
        assert text.count("\ntitle ") == 3
        assert text.count("\ndefault") == 0
        assert text.replace("default 2\n", "").startswith(MENU.replace("default 0\n", ""))
        assert "\nkernel$ /boot/$ISADIR/xen.gz com1=9600,8n1 console=com1 dom0_mem=2G\n" in text
    assert [path.name for path in machine.menu.parent.iterdir()] == ["menu.lst"]


def test_no_menu_is_an_error(machine: Machine) -> None:
    machine.menu.unlink()
    done = machine.run("grub")
    assert (done.returncode, "no boot menu" in done.stderr) == (1, True)


def test_links_wait_for_the_first_boot_where_dladm_cannot_yet(machine: Machine) -> None:
    machine.stand_in("dladm", 1)
    assert machine.run("links").returncode == 0
    assert (machine.root / "etc/hostname.e1000g1").exists()
    machine.calls()
    done = machine.run("finish")
    assert done.returncode == 0, done.stderr


def test_links_that_have_their_names_are_let_be(machine: Machine) -> None:
    conf = "1\tname=string,be0;class=int,1;\n2\tname=string,fe0;class=int,1;\n"
    (machine.root / "etc/dladm/datalink.conf").write_text(conf)
    assert machine.run("links").returncode == 0
    assert machine.calls() == []
    assert (machine.root / "etc/hostname.be0").exists()


def first_boot(machine: Machine) -> subprocess.CompletedProcess[str]:
    """As init runs it: the root is the machine's own, here by a name that is not that of the install."""
    machine.run("finish")
    machine.calls()
    return machine.run("S99twinboot", folder=machine.root / "etc/rc3.d")


def test_the_first_boot_runs_once_and_reports(machine: Machine) -> None:
    done = first_boot(machine)
    assert done.returncode == 0, done.stderr
    calls = machine.calls()
    assert calls[2:11] == [
        "svccfg <-s> <xend> <setprop> <config/xend-relocation-server> <=> <boolean:> <true>",
        'svccfg <-s> <xend> <setprop> <config/xend-relocation-address> <=> <astring:> <"192.168.78.21">',
        f"svccfg <-s> <xend> <setprop> <config/xend-relocation-hosts-allow> <=> <astring:> <{ALLOW}>",
        "svcadm <refresh> <xend>",
        "svcadm <restart> <xend>",
        "svcs <-H> <svc:/application/graphical-login/cde-login:default>",
        "svcadm <disable> <svc:/application/graphical-login/cde-login:default>",
        "svcs <-H> <svc:/application/graphical-login/gdm:default>",
        "svcadm <disable> <svc:/application/graphical-login/gdm:default>",
    ]
    assert calls[11].startswith("wget <-q> <-t> <1> <-T> <30> <-O> </dev/null> <--post-data> <outcome=installed")
    assert calls[-1].endswith("<http://192.168.78.14:8080/report/t0ken>")
    assert not (machine.root / "etc/rc3.d/S99twinboot").exists()
    assert not (machine.root / "var/twinboot/report").exists()


def test_a_failure_at_the_first_boot_is_reported_with_its_step(machine: Machine) -> None:
    machine.stand_in("svccfg", 1)
    first_boot(machine)
    assert "reason=first boot, step xend: see /var/twinboot/log" in "\n".join(machine.calls())
    assert "xend has no relocation server" in (machine.root / "var/twinboot/log").read_text()
    assert not (machine.root / "etc/rc3.d/S99twinboot").exists()


def test_a_report_that_is_not_taken_is_tried_again_at_the_next_boot(machine: Machine) -> None:
    machine.stand_in("wget", 1)
    assert first_boot(machine).returncode == 1
    assert sum(call.startswith("sleep") for call in machine.calls()) == 5
    machine.stand_in("wget")
    assert machine.run("S99twinboot", folder=machine.root / "etc/rc3.d").returncode == 0
    assert not (machine.root / "etc/rc3.d/S99twinboot").exists()


def test_a_link_is_unplumbed_before_it_is_renamed_on_the_machine_itself(machine: Machine) -> None:
    done = machine.run("links", root="")
    assert done.returncode == 0, done.stderr
    assert machine.calls() == [
        "ifconfig <e1000g1> <unplumb>",
        "dladm <rename-link> <e1000g1> <be0>",
        "ifconfig <e1000g0> <unplumb>",
        "dladm <rename-link> <e1000g0> <fe0>",
        "svcadm <restart> <svc:/network/physical:default>",
    ]


def test_begin_looks_for_both_disks(machine: Machine) -> None:
    (machine.root / "dev/rdsk/c0t0d0s0").touch()
    done = machine.run("begin")
    assert (done.returncode, done.stderr) == (1, "begin: no disk c0t1d0s0\n")
    assert "reason=begin script: no disk c0t1d0s0" in "\n".join(machine.calls())
    (machine.root / "dev/rdsk/c0t1d0s0").symlink_to("../../devices/not/there")
    assert machine.run("begin").returncode == 0


def test_services_that_are_not_there_are_let_be(machine: Machine) -> None:
    machine.stand_in("svcs", 1)
    assert machine.run("services").returncode == 0
    assert not any("disable" in call for call in machine.calls())


def test_without_an_address_live_migration_stays_off(host: Hypervisor, site: Site, netmasks: dict[str, str]) -> None:
    texts = scripts(replace(host, relocation_address=""), netmasks, site.release, site.report_urls)
    assert "xend" not in texts
    assert "STEPS='links services'" in texts["firstboot"]


def test_a_hostile_value_stays_a_value(host: Hypervisor, site: Site, netmasks: dict[str, str], tmp_path: Path) -> None:
    """Shapes would refuse it; if one let it through, the shell still sees one word."""
    hostile = replace(host, services_off=("x'; touch " + str(tmp_path / "harm") + "; '$(touch harm)",))
    machine = Machine(tmp_path / "m", "dash", scripts(hostile, netmasks, site.release, site.report_urls))
    machine.run("services")
    assert not (tmp_path / "harm").exists()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_every_script_is_clean_for_shellcheck(
    host: Hypervisor, site: Site, netmasks: dict[str, str], tmp_path: Path
) -> None:
    texts = scripts(host, netmasks, site.release, site.report_urls)
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["shellcheck", "-s", "sh", *(str(tmp_path / name) for name in texts)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
