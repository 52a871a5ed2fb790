"""Replies: what is the same for many clients is made once, and what a client says about size is heeded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhcp import options as o
from dhcp import reply, wire
from dhcp.macros import MacroTable, Selected
from dhcp.networks import network
from dhcp.options import MessageType
from dhcp.packet import BROADCAST_FLAG
from dhcp.reply import Plans, make_plan
from storage.records import TabEntry, ipv4_int
from tests.dhcp.conftest import make_packet

NET = network("10.0.0.0/24")
SERVER = ipv4_int("10.0.0.1")
MAC = "02:00:00:00:00:0a"


def selected(text: str) -> Selected:
    return MacroTable.load([TabEntry("10.0.0.0", "m", 1, text)]).select("", (), "10.0.0.0", "", b"")


def test_plans_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "PLANS_MAX", 3)
    plans, plan = Plans(), make_plan(selected(":LeaseTim=600:"), NET, SERVER, b"")
    for number in range(10):
        key = (b"", b"", bytes((number,)), "", b"", SERVER, NET.name)
        assert plans.keep(key, plan) is plans.made[key]
    assert len(plans.made) <= 3


def test_the_network_fills_in_mask_and_broadcast_only_where_macros_do_not() -> None:
    plan = make_plan(selected(":Subnet=255.255.0.0:Broadcst=10.0.255.255:"), NET, SERVER, bytes((1, 28)))
    assert plan.leased[o.SUBNET_MASK] == b"\xff\xff\0\0"
    assert plan.leased[o.BROADCAST_ADDRESS] == bytes((10, 0, 255, 255))
    bare = make_plan(selected(":Router=10.0.0.9:"), NET, SERVER, bytes((28,)))
    assert bare.leased[o.SUBNET_MASK] == b"\xff\xff\xff\0"
    assert bare.leased[o.BROADCAST_ADDRESS] == bytes((10, 0, 0, 255))


def test_an_answer_does_not_change_its_plan() -> None:
    plan = make_plan(selected(":LeaseTim=600:EchoVC:"), NET, SERVER, b"")
    before = dict(plan.leased)
    asked = make_packet(MessageType.DISCOVER, MAC, options={60: b"HTTPClient:Arch:00016", 61: b"\1\2", 82: b"\1\1x"})
    packet = reply.answer(asked, MessageType.OFFER, SERVER, plan, SERVER + 9, 300, {o.CLASS_ID: b"HTTPClient"})
    assert packet.options[o.CLASS_ID] == b"HTTPClient"
    assert packet.options[o.LEASE_TIME] == (300).to_bytes(4, "big")
    assert packet.options[o.RELAY_INFO] == b"\1\1x"
    assert plan.leased == before


answers = st.tuples(
    st.sampled_from([MessageType.OFFER, MessageType.ACK]),
    st.integers(0, 0xFFFFFFFF),
    st.dictionaries(st.sampled_from([12, 50, 55, 57, 60, 61, 82]), st.binary(min_size=1, max_size=90)),
    st.binary(max_size=20),
    st.sampled_from([":LeaseTim=600:", ":Router=10.0.0.9:LeaseTim=5:UTCoffst=7:", ":BootFile=x:", ":BootSrvN=s:"]),
)


@given(answers)
def test_the_quick_answer_is_the_same_packet(drawn: tuple[MessageType, int, dict[int, bytes], bytes, str]) -> None:
    kind, number, options, file, macros = drawn
    plan = make_plan(selected(macros), NET, SERVER, options.get(o.PARAMETER_LIST, b""))
    asked = make_packet(kind, MAC, ciaddr="10.0.0.7", options=options, xid=number, flags=number & 0xFFFF)
    asked = asked.altered(file=file)
    data = reply.quick(asked, kind, plan, SERVER + 9, number)
    packet = reply.answer(asked, kind, SERVER, plan, SERVER + 9, number, {})
    assert data in (None, wire.encode(packet, reply.limit_bytes(asked)))
    assert data is not None or file or len(options.get(61, b"")) + len(options.get(82, b"")) > 100


@pytest.mark.parametrize(("said", "limit"), [(None, 548), (0, 548), (575, 548), (1000, 972), (65535, 1472)])
def test_the_size_of_a_reply(said: int | None, limit: int) -> None:
    options = {} if said is None else {o.MAX_MESSAGE_SIZE: said.to_bytes(2, "big")}
    assert reply.limit_bytes(make_packet(MessageType.DISCOVER, MAC, options=options)) == limit


def test_texts_that_are_no_utf8_leave_as_they_are_stored() -> None:
    name = b"b\xfcro.efi".decode("utf-8", "surrogateescape")
    plan = make_plan(selected(f":BootFile={name}:"), NET, SERVER, b"")
    assert plan.file == b"b\xfcro.efi"


def test_a_refusal_is_broadcast_and_gives_nothing() -> None:
    asked = make_packet(MessageType.REQUEST, MAC, ciaddr="10.0.0.9", options={82: b"\1\1x"})
    packet = reply.refusal(asked, SERVER, "Lease has expired.")
    assert (packet.yiaddr, packet.ciaddr, packet.siaddr) == (0, 0, 0)
    assert packet.flags & BROADCAST_FLAG
    assert list(packet.options) == [53, 54, 56, 82]
