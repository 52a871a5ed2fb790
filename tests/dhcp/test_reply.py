"""Replies: what is the same for many clients is made once, and what a client says about size is heeded."""

import pytest

from dhcp import options as o
from dhcp import reply, wire
from dhcp.macros import MacroTable, Selected
from dhcp.networks import network
from dhcp.options import MessageType
from dhcp.reply import Plans
from storage.records import TabEntry, ipv4_int
from tests.dhcp.conftest import make_packet

NET = network("10.0.0.0/24")
SERVER = ipv4_int("10.0.0.1")
MAC = "02:00:00:00:00:0a"


def selected(text: str) -> Selected:
    return MacroTable.load([TabEntry("10.0.0.0", "m", 1, text)]).select("", (), "10.0.0.0", "", "")


def test_a_plan_is_made_once_for_each_macros_network_server_and_list() -> None:
    plans, macros = Plans(), selected(":LeaseTim=600:")
    plan = plans.get(macros, NET, SERVER, b"\1")
    assert plans.get(macros, NET, SERVER, b"\1") is plan
    others = [(selected(":LeaseTim=600:"), NET, SERVER, b"\1"), (macros, network("10.0.1.0/24"), SERVER, b"\1")]
    others += [(macros, NET, SERVER + 1, b"\1"), (macros, NET, SERVER, b"\1\3")]
    assert all(plans.get(*other) is not plan for other in others)


def test_plans_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "PLANS_MAX", 3)
    plans, macros = Plans(), selected(":LeaseTim=600:")
    for number in range(10):
        plans.get(macros, NET, SERVER, bytes((number,)))
    assert len(plans._plans) <= 3


def test_the_network_fills_in_mask_and_broadcast_only_where_macros_do_not() -> None:
    plan = Plans().get(selected(":Subnet=255.255.0.0:Broadcst=10.0.255.255:"), NET, SERVER, bytes((1, 28)))
    assert plan.leased[o.SUBNET_MASK] == b"\xff\xff\0\0"
    assert plan.leased[o.BROADCAST_ADDRESS] == bytes((10, 0, 255, 255))
    bare = Plans().get(selected(":Router=10.0.0.9:"), NET, SERVER, bytes((28,)))
    assert bare.leased[o.SUBNET_MASK] == b"\xff\xff\xff\0"
    assert bare.leased[o.BROADCAST_ADDRESS] == bytes((10, 0, 0, 255))


def test_an_answer_does_not_change_its_plan() -> None:
    plan = Plans().get(selected(":LeaseTim=600:EchoVC:"), NET, SERVER, b"")
    before = dict(plan.leased)
    asked = make_packet(MessageType.DISCOVER, MAC, options={60: b"HTTPClient:Arch:00016", 61: b"\1\2", 82: b"\1\1x"})
    packet = reply.answer(asked, MessageType.OFFER, SERVER, plan, SERVER + 9, 300)
    assert packet.options[o.CLASS_ID] == b"HTTPClient"
    assert packet.options[o.LEASE_TIME] == (300).to_bytes(4, "big")
    assert list(packet.options)[-1] == o.RELAY_INFO
    assert plan.leased == before


def test_a_class_that_is_no_firmware_is_echoed_whole() -> None:
    plan = Plans().get(selected(":EchoVC:"), NET, SERVER, b"")
    asked = make_packet(MessageType.DISCOVER, MAC, options={60: b"SUNW.i86pc:x"})
    assert reply.answer(asked, MessageType.OFFER, SERVER, plan, 9, 1).options[o.CLASS_ID] == b"SUNW.i86pc:x"


@pytest.mark.parametrize(("said", "limit"), [(None, 548), (0, 548), (575, 548), (1000, 972), (65535, 1472)])
def test_the_size_of_a_reply(said: int | None, limit: int) -> None:
    options = {} if said is None else {o.MAX_MESSAGE_SIZE: said.to_bytes(2, "big")}
    assert reply.limit_bytes(make_packet(MessageType.DISCOVER, MAC, options=options)) == limit


def test_texts_that_are_no_utf8_leave_as_they_are_stored() -> None:
    name = b"b\xfcro.efi".decode("utf-8", "surrogateescape")
    plan = Plans().get(selected(f":BootFile={name}:"), NET, SERVER, b"")
    assert plan.file == b"b\xfcro.efi"


def test_a_refusal_is_broadcast_and_gives_nothing() -> None:
    asked = make_packet(MessageType.REQUEST, MAC, ciaddr="10.0.0.9", options={82: b"\1\1x"})
    packet = reply.refusal(asked, SERVER, "Lease has expired.")
    assert (packet.yiaddr, packet.ciaddr, packet.siaddr) == (0, 0, 0)
    assert packet.flags & wire.BROADCAST_FLAG
    assert list(packet.options) == [53, 54, 56, 82]
