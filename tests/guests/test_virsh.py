"""virsh: what it says when it refuses, how long it may take, and what its tables mean."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guests import virsh_text
from guests.hypervisor import HypervisorError, Outcome
from guests.libvirt import LibvirtHypervisor
from guests.libvirt_settings import LibvirtSettings
from guests.memory import MemoryHypervisor
from guests.virsh import Virsh

SAID = {
    "error: failed to get domain 'x'\nerror: Domain not found: no domain with matching name 'x'": Outcome.NOT_FOUND,
    "error: Requested operation is not valid: domain is already running": Outcome.ALREADY,
    "error: Requested operation is not valid: domain is not running": Outcome.ALREADY,
    "error: internal error: process exited while connecting to monitor: qemu: iSCSI: Failed to connect to LUN : "
    "Failed to log in to target. Status: Target not found(515)": Outcome.NO_DISK,
    "error: qemu: iSCSI: Failed to connect to LUN : Authentication failure(513)": Outcome.NO_DISK,
    "error: Cannot get interface MTU on 'be0': No such device": Outcome.NO_LINK,
    "error: qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory": Outcome.NO_MEMORY,
    "error: failed to connect to the hypervisor\nerror: unable to connect to server at '192.168.78.21:16509': "
    "Connection refused": Outcome.UNAVAILABLE,
    "error: authentication failed: Failed to verify peer's certificate": Outcome.DENIED,
    "error: unsupported configuration: Domain requires KVM, but it is not available": Outcome.INVALID,
    "error: XML document failed to validate against schema: Unable to validate doc": Outcome.INVALID,
    "error: Timed out during operation: cannot acquire state change lock (held by x)": Outcome.BUSY,
    "error: this function is not supported by the connection driver: virDomainMigrate3": Outcome.INCOMPATIBLE,
    "error: internal error: guest CPU doesn't match specification: missing features: avx2": Outcome.INCOMPATIBLE,
    "error: the moon is not full": Outcome.FAILED,
    "": Outcome.FAILED,
}


@pytest.mark.parametrize("words", list(SAID))
def test_what_libvirt_says_is_an_outcome_of_the_port(words):
    error = virsh_text.refusal("hv1", words)
    assert error.outcome is SAID[words]
    assert str(error).startswith("hv1: ")
    assert "\n" not in str(error)


def test_of_an_emulator_that_ended_its_own_reason_is_told():
    words = (
        "error: internal error: process exited while connecting to monitor: 2026-11-29T01:12:00.5Z qemu-system-x86_64: "
        '-blockdev {"driver":"iscsi","cache":{"direct":true},"lun":1}: iSCSI: Failed to connect to LUN : Failed to log '
        "in to target. Status: Target not found(515)"
    )
    assert str(virsh_text.refusal("hv2", words)) == (
        "hv2: iSCSI: Failed to connect to LUN : Failed to log in to target. Status: Target not found(515): "
        "let the host's initiator in: export the volume for it"
    )


@given(st.text())
def test_anything_that_virsh_prints_can_be_read(text):
    virsh_text.refusal("hv1", text)
    virsh_text.memory(text, text)
    virsh_text.names(text)
    virsh_text.bridge(text)
    virsh_text.net_devices(text)
    done, in_all = virsh_text.job_bytes(text)
    assert done >= 0
    assert in_all >= 0


def test_memory_that_caches_take_is_free():
    node = "CPU(s):              2\nMemory size:         4194304 KiB\n"
    assert virsh_text.memory(
        node, "total  : 4194304 KiB\nfree   : 1048576 KiB\nbuffers: 0 KiB\ncached : 1048576 KiB\n"
    ) == (
        4096,
        2048,
    )
    assert virsh_text.memory(node, "") == (4096, 4096)


def test_network_devices_are_found_among_node_devices():
    assert virsh_text.net_devices("net_fe0_52_54_00_aa_bb_cc\nnet_lo_00_00_00_00_00_00\nnet_be0\n\n") == [
        "fe0",
        "lo",
        "be0",
    ]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a shell script in the place of virsh."""

    def put(text: str) -> None:
        path = tmp_path / "virsh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return put


def test_a_host_that_hangs_is_unavailable(program):
    program("exec sleep 60")
    virsh = Virsh("hv1", "qemu:///system", 0.1)
    for verb in (lambda: virsh.ask("list"), lambda: virsh.ask_all(["list"])):
        with pytest.raises(HypervisorError, match=r"hv1: .* did not answer within 0.1 s") as caught:
            verb()
        assert caught.value.outcome is Outcome.UNAVAILABLE
    with pytest.raises(HypervisorError, match="migrate did not answer") as caught:
        virsh.watch("migrate", tick=None, deadline_s=0.1)
    assert caught.value.outcome is Outcome.UNAVAILABLE


def test_without_virsh_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HypervisorError, match="libvirt-clients"):
        Virsh("hv1", "qemu:///system", 1).ask("list")


def test_a_connection_that_breaks_off_amid_answers_is_no_answer(program):
    program("echo half; echo 'error: End of file while reading data' >&2; exit 1")
    with pytest.raises(HypervisorError, match="End of file") as caught:
        Virsh("hv1", "qemu:///system", 5).ask_all(["list", "version"])
    assert caught.value.outcome is Outcome.UNAVAILABLE


def test_a_thousand_questions_take_few_processes(program, tmp_path: Path) -> None:
    count = tmp_path / "count"
    marks = "printf '%s\\n' \"$3\" | grep -o twinboot-next-answer"
    program(f"echo x >> {count}; {marks}")
    assert len(Virsh("hv1", "qemu:///system", 20).ask_all(["list"] * 1000)) == 1000
    assert len(count.read_text().split()) == 2


def test_ssh_never_asks_for_a_password():
    assert Virsh("a", "qemu+ssh://root@hv1/system", 1).uri == "qemu+ssh://root@hv1/system?no_tty=1"
    assert Virsh("a", "qemu+ssh://hv1/system?keyfile=/k", 1).uri.endswith("?keyfile=/k&no_tty=1")
    assert Virsh("a", "qemu+tcp://hv1/system", 1).uri == "qemu+tcp://hv1/system"


PEERS = {
    ("qemu:///system", "192.168.78.21"): "qemu+ssh://192.168.78.21/system",
    ("qemu+ssh://root@hv1/system", "192.168.78.21"): "qemu+ssh://root@192.168.78.21/system",
    ("qemu+tcp://hv1:16509/system", ""): "qemu+tcp://hv1:16509/system",
    ("xen+ssh://hv1/system", "fd00::1"): "xen+ssh://[fd00::1]/system",
}


@pytest.mark.parametrize("case", list(PEERS))
def test_hosts_reach_one_another_at_their_backend_address(case):
    uri, address = case
    assert LibvirtSettings("hv1", uri, "iqn.2026-11.test:hv1", address).peer_uri() == PEERS[case]


def test_a_host_known_to_itself_alone_cannot_be_moved_to():
    with pytest.raises(HypervisorError, match="give its address"):
        LibvirtSettings("hv1", "qemu:///system", "iqn.2026-11.test:hv1").peer_uri()


RUNNING = """case "$*" in *domstate*) echo running;; *dumpxml*) cat <<'X'
<domain><name>appl-1:vm-1</name><uuid>u</uuid><memory>65536</memory><vcpu>1</vcpu></domain>
X
;; esac"""


def test_guests_move_between_hosts_of_one_kind_only(program):
    program(RUNNING)
    source = LibvirtHypervisor(LibvirtSettings("hv1", "qemu:///system", "iqn.2026-11.test:hv1"))
    xen = LibvirtHypervisor(LibvirtSettings("hv2", "xen+ssh://hv2/system", "iqn.2026-11.test:hv2"))
    for target in (MemoryHypervisor("hv3"), xen):
        with pytest.raises(HypervisorError, match="not a host of the same kind") as caught:
            source.migrate("appl-1:vm-1", target, live=True)
        assert caught.value.outcome is Outcome.INCOMPATIBLE
