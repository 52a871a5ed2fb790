"""What a server's journal tells the others of boots: what is told, how much of it, and files that are none of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinboot import peerstory
from twinboot.peerstory import Digest, decode

MAC, OTHER = "00:14:4f:00:00:01", "00:14:4f:00:00:02"
FIRMWARE = "PXEClient:Arch:00000:UNDI:002001"


def event(at: float, kind: str, **fields: object) -> dict:
    return {"id": int(at), "at": at, "kind": kind, **fields}


def kinds(digest: Digest) -> list[str]:
    return [one["kind"] for one in decode(digest.encode())]


def test_boots_are_told_and_other_leases_are_not() -> None:
    digest = Digest()
    assert not digest.take([event(1, "dhcp.ack", mac=MAC), event(2, "clock.skew"), event(3, "dhcp.silent")])
    assert digest.encode() == b""
    assert digest.take(
        [
            event(4, "dhcp.offer", mac=MAC, class_id=FIRMWARE),
            event(5, "dhcp.ack", mac=MAC, class_id=FIRMWARE, address="10.0.0.5"),
            event(6, "dhcp.ack", mac=OTHER),
            event(7, "tftp.done", address="10.0.0.5", file="core.0"),
            event(8, "dhcp.ack", mac=MAC),  # the installed system's client
            event(9, "report.received", host="hv1"),
        ]
    )
    assert kinds(digest) == ["dhcp.offer", "dhcp.ack", "tftp.done", "dhcp.ack", "report.received"]
    assert decode(digest.encode())[2] == {"at": 7.0, "kind": "tftp.done", "address": "10.0.0.5", "file": "core.0"}


def test_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = Digest()
    digest.take(event(at, "tftp.done") for at in range(peerstory.EVENTS_MAX + 10))
    assert [one["at"] for one in decode(digest.encode())] == list(range(10, peerstory.EVENTS_MAX + 10))
    monkeypatch.setattr(peerstory, "BYTES_MAX", 70)
    assert [one["at"] for one in decode(digest.encode())] == [peerstory.EVENTS_MAX + 8, peerstory.EVENTS_MAX + 9]


def test_machines_are_forgotten_in_the_order_in_which_they_booted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peerstory, "MACHINES_MAX", 2)
    digest = Digest()
    digest.take(event(1, "dhcp.offer", mac=mac, class_id=FIRMWARE) for mac in (MAC, OTHER, MAC, "third"))
    assert not digest.take([event(2, "dhcp.ack", mac=OTHER)])
    assert digest.take([event(3, "dhcp.ack", mac=MAC)])


def test_a_file_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peerstory, "BYTES_MAX", 10)
    with pytest.raises(ValueError, match="longer than 10 bytes"):
        decode(b"x" * 11)


@given(st.binary(max_size=300))
def test_a_file_by_anybody_is_read(data: bytes) -> None:
    for one in decode(data + b'\n[1]\n{"kind":"tftp.done"}\n{"at":1e999,"kind":"a"}\n'):
        assert isinstance(one["kind"], str)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 4e9, allow_nan=False),
            st.dictionaries(st.sampled_from(("file", "address", "reason")), st.text(max_size=40) | st.integers()),
        ),
        max_size=5,
    )
)
def test_what_is_told_is_read(told: list[tuple[float, dict]]) -> None:
    news = [{"id": 7, "at": at, "kind": "http.done", **fields} for at, fields in told]
    digest = Digest()
    digest.take(news)
    assert decode(digest.encode()) == [{k: v for k, v in one.items() if k != "id"} for one in news]
