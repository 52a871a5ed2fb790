import errno
import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from storage.records import Outcome, RecordsError
from storage.records.perimeter import perimeter


@pytest.fixture
def lock_path(tmp_path: Path):
    return os.path.join(os.path.realpath(tmp_path), ".SUNWfiles1_dhcptab.lock")


def held_elsewhere(lock_path):
    """Whether another process would find the lock taken."""
    pid = os.fork()
    if pid == 0:
        try:
            fd = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_the_lock_is_suns_and_its_file_stays(lock_path):
    with perimeter(lock_path, 1.0):
        assert held_elsewhere(lock_path)
    assert not held_elsewhere(lock_path)
    assert stat.S_IMODE(os.stat(lock_path).st_mode) == 0o600


def test_the_lock_is_given_back_after_an_error(lock_path):
    with pytest.raises(ZeroDivisionError), perimeter(lock_path, 1.0):
        raise ZeroDivisionError
    assert not held_elsewhere(lock_path)


def test_a_second_thread_waits_and_then_is_told(lock_path):
    caught: list[RecordsError | None] = []

    def enter():
        try:
            with perimeter(lock_path, 0.05):
                caught.append(None)
        except RecordsError as error:
            caught.append(error)

    with perimeter(lock_path, 1.0):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    (refused,) = caught
    assert refused is not None
    assert refused.outcome is Outcome.BUSY
    assert lock_path in str(refused)


def test_a_forked_child_takes_the_lock_anew(lock_path):
    with perimeter(lock_path, 1.0):
        pid = os.fork()
        if pid == 0:
            try:
                with perimeter(lock_path, 0.05):
                    os._exit(0)
            except RecordsError as error:
                os._exit(10 + (error.outcome is Outcome.BUSY))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 11
        assert held_elsewhere(lock_path)


def test_a_lock_file_replaced_under_a_waiter_is_taken_anew(lock_path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fcntl.lockf
    tidied: list[bool] = []

    def lockf(fd, how):
        if not tidied:
            tidied.append(True)
            os.unlink(lock_path)
        return real(fd, how)

    monkeypatch.setattr(fcntl, "lockf", lockf)
    with perimeter(lock_path, 1.0):
        assert held_elsewhere(lock_path)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(errno.EACCES, Outcome.DENIED), (errno.EROFS, Outcome.DENIED), (errno.EIO, Outcome.UNAVAILABLE)],
)
def test_a_lock_file_that_cannot_be_opened_is_named(lock_path, monkeypatch: pytest.MonkeyPatch, code, outcome) -> None:
    def refuse(path, *_args, **_kwargs):
        raise OSError(code, os.strerror(code), path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RecordsError, match=r"dhcptab\.lock") as caught, perimeter(lock_path, 1.0):
        pass
    assert caught.value.outcome is outcome


def test_a_share_without_locks_is_not_busy(lock_path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(_fd, _how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    with pytest.raises(RecordsError) as caught, perimeter(lock_path, 1.0):
        pass
    assert caught.value.outcome is Outcome.UNAVAILABLE
