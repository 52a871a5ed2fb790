"""The life of one install: armed -> installing -> installed | failed, kept as signed rows both servers share.

Rules of this room:

* `TRANSITIONS` is the whole machine. What is not in it is refused with one line that names the way out.
* A change is one compare-and-swap commit on the table `installs`. A collision means that the other server, or a
  person, was faster: the row is read again and decided once more; a second collision in a row is an error to
  the caller, never a loop.
* The token names one armed install. It is unguessable, it is compared in constant time, arming again replaces
  it, and a report spends it: a spent token fetches and reports nothing.
* Time is passed in (seconds since 1970); nothing here looks at a clock or talks to a machine.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from pxe.bootplan import utc_text
from storage.records import Change, Delta, Install, Outcome, Records, RecordsError

TABLE = "installs"
TOKEN_BYTES = 16  # 128 random bits: not to be guessed, and short enough for every firmware's file name buffer
COMMIT_ATTEMPTS = 2  # the first one, and one more after somebody else's change has been read
DETAIL_CHARS_MAX = 200  # of a report, kept in the row; the journal keeps more


class State(StrEnum):
    """Where an install stands; the value is what the row says."""

    ARMED = "armed"
    INSTALLING = "installing"
    INSTALLED = "installed"
    FAILED = "failed"


class Event(StrEnum):
    """What can happen to an install."""

    ARM = "arm"
    BEGIN = "begin"
    SUCCEED = "succeed"
    FAIL = "fail"


TRANSITIONS: Mapping[tuple[State | None, Event], State] = {
    (None, Event.ARM): State.ARMED,
    (State.ARMED, Event.ARM): State.ARMED,
    (State.INSTALLING, Event.ARM): State.ARMED,
    (State.INSTALLED, Event.ARM): State.ARMED,
    (State.FAILED, Event.ARM): State.ARMED,
    (State.ARMED, Event.BEGIN): State.INSTALLING,
    (State.INSTALLING, Event.BEGIN): State.INSTALLING,
    # A report may come while the row still says armed: the share was away when the first file was fetched.
    (State.ARMED, Event.SUCCEED): State.INSTALLED,
    (State.ARMED, Event.FAIL): State.FAILED,
    (State.INSTALLING, Event.SUCCEED): State.INSTALLED,
    (State.INSTALLING, Event.FAIL): State.FAILED,
    # The answer to a report may be lost; the machine sends the same report again and must hear that it was taken.
    (State.INSTALLED, Event.SUCCEED): State.INSTALLED,
    (State.FAILED, Event.FAIL): State.FAILED,
}
LIVE = frozenset({State.ARMED, State.INSTALLING})
"""States in which a token opens the install's files and takes a report."""


class InstallError(Exception):
    """An install that could not be changed; `str()` is one line with the way out."""


class UnknownTokenError(InstallError):
    """No install has this token: it was never given out, or arming again replaced it."""


class SpentTokenError(InstallError):
    """The install with this token is over."""


class StoreError(InstallError):
    """The records could not be read or written; the state on disk is what it was."""


class Step(NamedTuple):
    """What a verb did: the row as it now stands, and whether this call changed it."""

    row: Install
    changed: bool


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Installs:
    """The table `installs` of one store, followed by its changes. Safe to call from several threads."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._lock = threading.Lock()
        self._version = 0
        self._by_host: dict[str, Install] = {}
        self._by_digest: dict[bytes, str] = {}

    def refresh(self) -> None:
        """Take over what changed since the last call. StoreError leaves the last known rows in force."""
        with self._lock:
            self._refresh()

    def by_host(self, host: str) -> Install | None:
        """The host's row as last read."""
        with self._lock:
            return self._by_host.get(host)

    def by_token(self, token: str) -> Install | None:
        """The row with this token as last read. The look-up goes by digest: its time says nothing about tokens."""
        with self._lock:
            return self._find(token)

    def arm(self, host: str, target: str, now_s: int, server: int) -> Install:
        """Arm one install of `target` on `host`, with a new token, whatever was before. InstallError, StoreError."""
        token = secrets.token_hex(TOKEN_BYTES)

        def decide() -> tuple[Install | None, Install]:
            old = self._by_host.get(host)
            state = _next(old, Event.ARM)
            return old, Install(host, state.value, target, token, now_s, server, 0, "")

        return self._change(decide).row

    def begin(self, token: str, now_s: int, server: int) -> Step:
        """Note that the machine loads the installer. Repeating it changes nothing: a boot fetches several files."""

        def decide() -> tuple[Install, Install]:
            old = self._owner(token)
            state = _next(old, Event.BEGIN)
            if state == old.state:
                return old, old
            return old, old._replace(state=state.value, changed_s=now_s, server=server)

        return self._change(decide)

    def finish(self, token: str, success: bool, detail: str, now_s: int, server: int) -> Step:
        """End the install by its report and spend the token; the same report once more changes nothing.

        UnknownTokenError, SpentTokenError, StoreError.
        """

        def decide() -> tuple[Install, Install]:
            old = self._owner(token)
            state = _next(old, Event.SUCCEED if success else Event.FAIL)
            if state == old.state:
                return old, old
            kept = detail[:DETAIL_CHARS_MAX]
            return old, old._replace(state=state.value, detail=kept, changed_s=now_s, server=server)

        return self._change(decide)

    def _find(self, token: str) -> Install | None:
        row = self._by_host.get(self._by_digest.get(_digest(token), ""))
        if row is None or not hmac.compare_digest(row.token.encode(), token.encode("utf-8", "surrogatepass")):
            return None
        return row

    def _owner(self, token: str) -> Install:
        row = self._find(token)
        if row is None:
            raise UnknownTokenError("no install has this token; `twinboot install HOST` arms one with a new token")
        return row

    def _refresh(self) -> None:
        try:
            delta = self._records.read(TABLE, since=self._version)
        except RecordsError as error:
            if error.outcome is not Outcome.NOT_FOUND:
                raise StoreError(f"cannot read the installs: {error}") from error
            delta = Delta(0, (), (), whole=True, faults=())
        if delta.whole:
            self._by_host.clear()
            self._by_digest.clear()
        for key in delta.gone:
            self._forget(str(key))
        for row in delta.rows:
            if isinstance(row, Install):
                self._forget(row.host)
                self._by_host[row.host] = row
                self._by_digest[_digest(row.token)] = row.host
        self._version = delta.version

    def _forget(self, host: str) -> None:
        row = self._by_host.pop(host, None)
        if row is not None:
            self._by_digest.pop(_digest(row.token), None)

    def _change(self, decide: Callable[[], tuple[Install | None, Install]]) -> Step:
        """Read, decide, commit; once more if somebody else's change came between."""
        with self._lock:
            detail = ""
            for _ in range(COMMIT_ATTEMPTS):
                self._refresh()
                old, new = decide()
                if old is new:
                    return Step(new, changed=False)
                result = self._records.commit([Change(TABLE, old, new)])[0]
                if result.outcome is Outcome.STORED and isinstance(result.row, Install):
                    self._refresh()
                    return Step(result.row, changed=True)
                detail = (
                    f"{result.outcome.name.lower()}: {result.detail}" if result.detail else result.outcome.name.lower()
                )
                if result.outcome not in (Outcome.COLLISION, Outcome.EXISTS, Outcome.NOT_FOUND):
                    break
            raise StoreError(f"the install could not be stored ({detail}); try again")


def _next(row: Install | None, event: Event) -> State:
    """The state that `event` leads to, or the refusal in words."""
    current = None if row is None else row.state
    for (state, candidate), new in TRANSITIONS.items():
        if state == current and candidate is event:
            return new
    assert row is not None, "arming is legal when there is no row"
    raise SpentTokenError(
        f"the install of {row.host} is over ({row.state} at {utc_text(row.changed_s)}); "
        f"`twinboot install {row.host}` arms another"
    )


def arm(records: Records, host: str, target: str, now_s: int, server: int) -> Install:
    """Arm one install, for a command that does nothing else; see `Installs.arm`."""
    return Installs(records).arm(host, target, now_s, server)
