"""The life of an install: the whole state machine, races, spent tokens, a store that fails."""

from collections.abc import Callable, Sequence

import pytest

from pxe.installs import (
    LIVE,
    TABLE,
    TRANSITIONS,
    Event,
    InstallError,
    Installs,
    SpentTokenError,
    State,
    StoreError,
    UnknownTokenError,
    arm,
)
from storage.records import Change, Delta, Install, MemoryRecords, Outcome, RecordsError, Result
from storage.records.port import nothing

SERVER = 0x0A000001
T0_S = 1_767_225_600


@pytest.fixture
def records() -> MemoryRecords:
    store = MemoryRecords()
    store.create(TABLE)
    return store


def put(records: MemoryRecords, state: str | None) -> None:
    if state is not None:
        row = Install("hv1", state, "live-xen", "feed", T0_S, SERVER, 0, "")
        assert records.commit([Change(TABLE, None, row)])[0].outcome is Outcome.STORED


def happen(installs: Installs, event: Event) -> Install:
    match event:
        case Event.ARM:
            return installs.arm("hv1", "live-xen", T0_S + 1, SERVER)
        case Event.BEGIN:
            return installs.begin("feed", T0_S + 1, SERVER).row
        case _:
            return installs.finish("feed", event is Event.SUCCEED, "detail", T0_S + 1, SERVER).row


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", [None, *State])
def test_every_event_in_every_state(records: MemoryRecords, state: State | None, event: Event) -> None:
    put(records, state)
    wanted = TRANSITIONS.get((state, event))
    installs = Installs(records)
    if wanted is None:
        with pytest.raises((SpentTokenError, UnknownTokenError), match="`twinboot install"):
            happen(installs, event)
        rows = records.read(TABLE).rows
        assert [row.state for row in rows if isinstance(row, Install)] == ([state] if state else [])
    else:
        assert happen(installs, event).state == wanted
        assert Installs(records).by_host("hv1") is None  # nothing is known before the first refresh
        installs.refresh()
        found = installs.by_host("hv1")
        assert found is not None
        assert found.state == wanted


def test_the_table_is_closed_and_reaches_every_state() -> None:
    assert set(TRANSITIONS.values()) == set(State)
    assert all((state, Event.ARM) in TRANSITIONS for state in [None, *State])
    moves = [(state, new) for (state, event), new in TRANSITIONS.items() if state and event is not Event.ARM]
    assert all(state in LIVE or state == new for state, new in moves)  # what is over stays as it is


def test_arming_makes_a_new_unguessable_token_each_time(records: MemoryRecords) -> None:
    rows = [arm(records, "hv1", "live-xen", T0_S, SERVER) for _ in range(20)]
    assert len({row.token for row in rows}) == 20
    assert all(len(row.token) == 32 for row in rows)
    installs = Installs(records)
    installs.refresh()
    assert installs.by_token(rows[-1].token) is not None
    assert installs.by_token(rows[0].token) is None


@pytest.mark.parametrize("token", ["", "x", "ü", "\ud800", "feed\0", "FEED", "f" * 5000])
def test_strange_tokens_are_unknown(records: MemoryRecords, token: str) -> None:
    put(records, "armed")
    installs = Installs(records)
    installs.refresh()
    assert installs.by_token(token) is None
    with pytest.raises(UnknownTokenError):
        installs.begin(token, T0_S, SERVER)


def test_a_report_spends_the_token(records: MemoryRecords) -> None:
    installs = Installs(records)
    row = installs.arm("hv1", "live-xen", T0_S, SERVER)
    installs.begin(row.token, T0_S + 5, SERVER)
    done = installs.finish(row.token, True, "x" * 5000, T0_S + 90, SERVER)
    assert (done.row.state, done.row.changed_s, len(done.row.detail)) == ("installed", T0_S + 90, 200)
    with pytest.raises(SpentTokenError, match="over"):
        installs.finish(row.token, False, "", T0_S + 91, SERVER)
    with pytest.raises(SpentTokenError):
        installs.begin(row.token, T0_S + 91, SERVER)


def test_a_report_sent_again_because_its_answer_was_lost_is_taken_as_it_was(records: MemoryRecords) -> None:
    installs = Installs(records)
    token = installs.arm("hv1", "live-xen", T0_S, SERVER).token
    first = installs.finish(token, True, "first", T0_S + 90, SERVER)
    again = installs.finish(token, True, "again", T0_S + 95, SERVER)
    assert (first.changed, again.changed) == (True, False)
    assert again.row == first.row


def test_beginning_twice_is_one_change(records: MemoryRecords) -> None:
    installs = Installs(records)
    token = installs.arm("hv1", "live-xen", T0_S, SERVER).token
    assert installs.begin(token, T0_S + 1, SERVER).changed
    again = installs.begin(token, T0_S + 2, SERVER)
    assert not again.changed
    assert again.row.changed_s == T0_S + 1


def test_two_servers_race_and_one_wins(records: MemoryRecords) -> None:
    token = arm(records, "hv1", "live-xen", T0_S, SERVER).token
    odd, even = Installs(records), Installs(records)
    odd.refresh()
    even.refresh()
    steps = [odd.begin(token, T0_S + 1, SERVER), even.begin(token, T0_S + 1, SERVER + 1)]
    assert [step.changed for step in steps] == [True, False]
    assert {step.row.server for step in steps} == {SERVER}


class Meddler(MemoryRecords):
    """A store in which somebody else is faster, a given number of times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        if self.times:
            self.times -= 1
            row = next(row for row in super().read(TABLE).rows if isinstance(row, Install))
            super().commit([Change(TABLE, row, row._replace(detail=f"edited {self.times}"))])
        return super().commit(changes, waits)


@pytest.mark.parametrize(("times", "wins"), [(1, True), (2, False)])
def test_a_collision_is_looked_at_once_more(times: int, wins: bool) -> None:
    records = Meddler(0)
    records.create(TABLE)
    token = arm(records, "hv1", "live-xen", T0_S, SERVER).token
    records.times = times
    installs = Installs(records)
    if wins:
        assert installs.begin(token, T0_S, SERVER).row.state == "installing"
    else:
        with pytest.raises(StoreError, match="collision"):
            installs.begin(token, T0_S, SERVER)


class Broken(MemoryRecords):
    """A store whose share comes and goes."""

    away = False

    def read(self, table: str, since: int = 0) -> Delta:
        if self.away:
            raise RecordsError(Outcome.UNAVAILABLE, "the share is away")
        return super().read(table, since)


def test_last_known_rows_stand_while_the_share_is_away() -> None:
    records = Broken()
    records.create(TABLE)
    installs = Installs(records)
    token = installs.arm("hv1", "live-xen", T0_S, SERVER).token
    records.away = True
    with pytest.raises(StoreError, match="the share is away"):
        installs.refresh()
    assert installs.by_token(token) is not None
    with pytest.raises(StoreError):
        installs.begin(token, T0_S, SERVER)


def test_a_store_without_the_table_has_no_installs_and_says_so_when_armed() -> None:
    records = MemoryRecords()
    installs = Installs(records)
    installs.refresh()
    assert installs.by_host("hv1") is None
    with pytest.raises(InstallError) as caught:
        installs.arm("hv1", "live-xen", T0_S, SERVER)
    assert "\n" not in str(caught.value)


def test_a_dropped_table_is_forgotten(records: MemoryRecords) -> None:
    installs = Installs(records)
    installs.arm("hv1", "live-xen", T0_S, SERVER)
    records.drop(TABLE)
    installs.refresh()
    assert installs.by_host("hv1") is None
