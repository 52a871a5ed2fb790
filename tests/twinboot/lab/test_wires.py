"""The lab's cables as commands."""

from __future__ import annotations

from twinboot.lab.wires import Plug, Server, plan


def test_each_server_stands_in_its_own_namespace_with_a_card_per_role() -> None:
    steps = plan([Server("odd", {"fe": "10.77.0.1/24", "be": "10.78.0.1/24"})], [])
    assert ["netns", "add", "odd"] in steps
    assert ["link", "add", "odd-fe", "type", "veth", "peer", "name", "fe0", "netns", "odd"] in steps
    assert ["-n", "odd", "addr", "add", "10.78.0.1/24", "dev", "be0"] in steps


def test_a_machine_is_plugged_into_the_switch_of_its_role() -> None:
    assert ["link", "set", "hv1-be", "master", "backend", "up"] in plan([], [Plug("hv1-be", "be")])


def test_device_names_fit_the_kernel() -> None:
    longest = max(len(step[2]) for step in plan([Server("server-even", {"fe": "10.0.0.1/8"})], []) if step[0] == "link")
    assert longest <= 15  # IFNAMSIZ less its NUL
