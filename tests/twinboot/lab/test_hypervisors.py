"""The guests' lab as far as it is pure: wires of a hypervisor, the tiny guest's partition, the verdict's words."""

import struct

from twinboot.lab import guest_demo, hypervisors, isolate, tinyguest, wires
from twinboot.lab.guest_demo import FIRST, Proof

HV1 = hypervisors.Spot("hv1", {"fe": "192.168.76.21/24", "be": "192.168.78.21/24"})


def test_a_hypervisor_has_a_bridge_for_each_role_with_an_uplink_to_its_switch():
    steps = [" ".join(step) for step in hypervisors.plan(HV1)]
    for role, switch in (("fe", "public"), ("be", "backend")):
        assert f"link add hv1-{role} type veth peer name up-{role} netns hv1" in steps
        assert f"link set hv1-{role} master {switch} up" in steps
        assert f"-n hv1 link set up-{role} master {role}0 up" in steps
        assert f"-n hv1 addr add {HV1.addresses[role]} dev {role}0" in steps
    assert HV1.address == "192.168.78.21"


def test_the_bridges_have_addresses_of_their_own():
    steps = hypervisors.plan(HV1) + hypervisors.plan(HV1._replace(name="hv2")) + wires.plan([], [])
    given = [step[step.index("address") + 1] for step in steps if "bridge" in step]
    assert len(set(given)) == len(given) == 6
    assert all(int(address[:2], 16) & 3 == 2 for address in given)  # IEEE 802: one card's, given locally


def test_the_partition_begins_where_the_loaders_end_and_is_active():
    entry = tinyguest._partition(94208)
    assert len(entry) == 16
    active, _, kind, _, first, sectors = struct.unpack("<B3sB3sII", entry)
    assert (active, kind, first, sectors) == (0x80, 0x83, tinyguest.PARTITION_SECTOR, 94208)


def test_an_ordinary_user_brings_his_range_of_accounts_only_where_it_is_needed():
    assert "--map-auto" in isolate.command(["true"], root=False, accounts=True)
    assert "--map-auto" not in isolate.command(["true"], root=False)
    assert "--user" not in isolate.command(["true"], root=True, accounts=True)


def test_both_addresses_are_wanted_each_under_its_name():
    fe0, be0 = guest_demo.addressed(FIRST)
    assert r"192\.168\.76\.71/24 host=vm-host1 " in fe0
    assert r"192\.168\.78\.71/24 host=vm-host1-be " in be0


def test_a_missed_goal_is_told_and_a_fault_is_a_failure():
    good = Proof(up_s=30.9, migrate_s=6.3, hosts=["hv1", "hv2"], missed=["live migration took 6.3 s, goal 4 s"])
    assert guest_demo.verdict(good).startswith("VERDICT: guests came up")
    assert "goal missed: live migration" in guest_demo.verdict(good)
    bad = Proof(faults=["the guest booted anew instead of running on"])
    assert guest_demo.verdict(bad).endswith("VERDICT: the demo failed")
    assert "not so: the guest booted anew" in guest_demo.verdict(bad)
