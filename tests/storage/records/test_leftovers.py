"""What a commit replaces is let go, soon and by nobody who waits for the commit."""

import os
import threading
from pathlib import Path

import pytest

from storage.records import leftovers
from storage.records.leftovers import Leftovers


def held(path):
    """Descriptors of this process that refer to a file, removed or not."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue  # the listing's own
    return [link for link in links if link.removesuffix(" (deleted)") == str(path)]


@pytest.fixture
def closing(monkeypatch: pytest.MonkeyPatch):
    """Whatever is to be closed waits for this event."""
    leftovers._closer.cache_clear()
    event = threading.Event()
    close = leftovers._close

    def late(fds):
        assert event.wait(30)
        close(fds)

    monkeypatch.setattr(leftovers, "_close", late)
    yield event
    event.set()
    leftovers._closer()._pool.shutdown(wait=True)
    leftovers._closer.cache_clear()


def replaced(path):
    path.write_bytes(b"old")
    one = Leftovers()
    one.hold(str(path))
    path.with_suffix(".new").write_bytes(b"new")
    path.with_suffix(".new").rename(path)
    return one


def test_a_replaced_file_is_closed_by_another_thread(tmp_path: Path, closing) -> None:
    one = replaced(tmp_path / "one")
    one.let_go()
    assert len(held(tmp_path / "one")) == 1
    closing.set()
    assert leftovers.are_gone()
    assert held(tmp_path / "one") == []


def test_no_more_than_one_commit_is_behind(tmp_path: Path, closing) -> None:
    first, second = replaced(tmp_path / "one"), replaced(tmp_path / "two")
    first.let_go()
    waiting = threading.Thread(target=second.let_go)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    closing.set()
    waiting.join(30)
    assert not waiting.is_alive()
    assert held(tmp_path / "one") == []


def test_where_nothing_was_there_nothing_is_held(tmp_path: Path, closing) -> None:
    one = Leftovers()
    one.hold(str(tmp_path / "absent"))
    one.let_go()
    assert not leftovers.are_gone()


def test_a_forked_child_has_a_thread_of_its_own(tmp_path: Path, closing) -> None:
    replaced(tmp_path / "one").let_go()
    child = os.fork()
    if child == 0:
        closing.set()
        replaced(tmp_path / "two").let_go()
        leftovers.are_gone()
        os._exit(0 if not held(tmp_path / "two") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
