"""The journal service: keeps what the others report. Nobody waits for it, so it yields to whoever serves (nice)."""

from __future__ import annotations

import importlib.metadata  # noqa: F401 - sqlite-utils loads it when the first database is opened
import threading

from twinboot.config import Config
from twinboot.events import Emit, bind_socket
from twinboot.journal import Journal, on_network_file_system, write_forever
from twinboot.privileges import account
from twinboot.services.port import Bound, Ready, give_way, on_stop

__all__ = ["bind"]


def bind(config: Config, emit: Emit) -> Bound:
    """Keep what the others report."""
    receiver = bind_socket(config.socket_path, account(config.user))

    def serve(ready: Ready) -> None:
        stopping = threading.Event()
        on_stop(stopping.set)
        kept = Journal(config.journal_path)
        if kept.moved_aside:
            emit("config.fault", file=str(config.journal_path), reason=f"was corrupt, moved to {kept.moved_aside}")
        if kind := on_network_file_system(config.state):
            reason = f"{config.state} is on {kind}: the journal may be lost or stall; use a local directory"
            emit("config.fault", file=str(config.path), reason=f"server.state: {reason}")
        give_way()
        ready()
        write_forever(receiver, kept, stopping.is_set)
        kept.close()

    return Bound("journal", serve)
