"""The tables as they stood after some batch of the past, put together from what is left of the log."""

from storage.records.files import Files, again, fetch
from storage.records.twinlog_names import FOLDER, log_name, numbered, snap_name
from storage.records.twinlog_state import State
from storage.records.twinlog_text import DamagedError, ForeignError, decode_batch, decode_snapshot


def state_at(files: Files, number: int) -> State | None:
    """The tables after batch `number`; None if that can no longer be told (compacted or damaged). OSError."""
    names = set(again(lambda: files.names(FOLDER)))
    below = sorted(name for name in names if name.endswith(".snap") and name <= snap_name(number))
    state = State()
    try:
        if below:
            found = numbered(below[-1])
            assert found is not None
            state.load(found[0], decode_snapshot(_read(files, below[-1])).tables)
        while state.number < number:
            name = log_name(state.number + 1)
            if name not in names:
                return None
            state.apply(state.number + 1, decode_batch(_read(files, name)))
    except (DamagedError, ForeignError, FileNotFoundError):
        return None
    return state


def _read(files: Files, name: str) -> bytes:
    return fetch(files, f"{FOLDER}/{name}")
