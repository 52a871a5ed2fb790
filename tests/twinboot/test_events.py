from __future__ import annotations

import json
import os
import socket
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinboot import events
from twinboot.events import EVENT_BYTES_MAX, Emitter, Event, bind_socket, decode, encode, tell_journal


@pytest.fixture
def receiver(tmp_path: Path):
    with bind_socket(tmp_path / "events.sock") as end:
        end.settimeout(5)
        yield end


def decoded(data: bytes) -> Event:
    event = decode(data)
    assert event is not None
    return event


def received(end: socket.socket, count: int) -> list[Event]:
    return [decoded(end.recv(EVENT_BYTES_MAX)) for _ in range(count)]


def test_an_event_arrives_as_it_was_told(tmp_path: Path, receiver: socket.socket) -> None:
    emit = Emitter(tmp_path / "events.sock", "dhcp", clock=lambda: 12.5)
    emit("dhcp.ack", mac="00:14:4f:00:00:01", address="10.0.0.9", elapsed_s=0.25, reason=None, client_id=b"\x01\x02")
    assert received(receiver, 1) == [
        {
            "at": 12.5,
            "kind": "dhcp.ack",
            "mac": "00:14:4f:00:00:01",
            "address": "10.0.0.9",
            "elapsed_s": 0.25,
            "client_id": "0102",
            "service": "dhcp",
        }
    ]


def test_nothing_blocks_or_raises_without_a_journal(tmp_path: Path) -> None:
    emit = Emitter(tmp_path / "none.sock", "tftp")
    began = time.monotonic()
    for _ in range(events.WAITING_MAX + 10):
        emit("tftp.start")
    assert emit.dropped == 10
    assert time.monotonic() - began < 5
    emit.close()


def test_a_burst_larger_than_the_kernels_queue_arrives_whole(tmp_path: Path, receiver: socket.socket) -> None:
    emit = Emitter(tmp_path / "events.sock", "tftp")
    for number in range(500):
        emit("tftp.progress", bytes=number)
    assert [event["bytes"] for event in received(receiver, 500)] == list(range(500))


def test_the_count_of_dropped_events_is_an_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "WAITING_MAX", 5)
    emit = Emitter(tmp_path / "events.sock", "dhcp")
    for _ in range(8):
        emit("dhcp.dropped")
    with bind_socket(tmp_path / "events.sock") as end:
        end.settimeout(5)
        got = received(end, 6)
    assert (got[0]["kind"], got[0]["count"]) == ("journal.dropped", 3)
    assert emit.dropped == 0


def test_many_threads_may_emit(tmp_path: Path, receiver: socket.socket) -> None:
    emit = Emitter(tmp_path / "events.sock", "http")

    def fifty() -> None:
        for _ in range(50):
            emit("http.done")

    threads = [threading.Thread(target=fifty) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert len(received(receiver, 200)) == 200
    for thread in threads:
        thread.join()


def test_hostile_texts_are_cut_and_fit(tmp_path: Path) -> None:
    data = encode("tftp.refused", 1.0, {f"f{n}": "\x00" * 10_000 for n in range(100)})
    assert len(data) <= EVENT_BYTES_MAX
    assert decoded(data)["kind"] == "tftp.refused"
    assert len(decoded(encode("x", 1.0, {"file": "a" * 9999}))["file"]) == events.TEXT_CHARS_MAX


def test_the_socket_is_for_its_owner_only_and_replaces_a_left_over(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    bind_socket(path).close()
    with bind_socket(path):
        assert os.stat(path).st_mode & 0o777 == 0o600


@given(st.binary(max_size=200))
def test_any_datagram_is_an_event_or_nothing(data: bytes) -> None:
    event = decode(data)
    assert event is None or isinstance(event["kind"], str)


@pytest.mark.parametrize("opening", [b"[", b'{"kind":', b'{"at":1,"kind":"x","detail":['])
def test_deep_nesting_is_no_event(opening: bytes) -> None:
    assert decode((opening * 8000)[: events.EVENT_BYTES_MAX]) is None


@pytest.mark.parametrize("at", ["1", True, None, float("nan")])
def test_a_datagram_without_a_time_is_refused(at: object) -> None:
    assert decode(json.dumps({"kind": "x", "at": at}).encode()) is None


def test_a_command_tells_all_that_it_has_to_tell(tmp_path: Path, receiver: socket.socket) -> None:
    tell_journal(tmp_path / "events.sock", [("guests.made", {"host": "appl-1:vm-1"}), ("guests.bound", {"mac": None})])
    first, second = received(receiver, 2)
    assert (first["kind"], first["host"], first["service"]) == ("guests.made", "appl-1:vm-1", "command")
    assert (second["kind"], "mac" in second) == ("guests.bound", False)


def test_a_command_goes_on_without_a_journal_or_with_one_that_hangs(tmp_path: Path, receiver: socket.socket) -> None:
    tell_journal(tmp_path / "none.sock", [("guests.made", {})])
    many = [("guests.bound", {"count": number}) for number in range(1000)]
    tell_journal(tmp_path / "events.sock", many)  # nobody reads: the kernel's queue is full long before
    told = [received(receiver, 1)[0]["count"] for _ in range(5)]
    assert told == list(range(5))
