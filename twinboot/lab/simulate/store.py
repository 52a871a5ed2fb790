"""The real datastore on a simulated mount: `twinlog`, with the simulation's time, entropy and threads."""

from storage.records import Records
from storage.records.twinlog import TwinLog
from twinboot.lab.simulate.server import Server


class Clock:
    """The clocks of a server, as the datastore reads them."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def now(self) -> float:
        """Monotonic seconds."""
        return self._server.clock.monotonic()

    def today(self) -> float:
        """Unix seconds, as wrong as the server's clock."""
        return self._server.clock.time()

    def sleep(self, seconds: float) -> None:
        """Wait, in simulated time."""
        self._server.site.clockwork.current().sleep(seconds)


def open_twinlog(server: Server) -> Records:
    """Open the share as that server sees it; to be called in a task. RecordsError as the datastore raises it."""
    rng = server.site.rng
    return TwinLog(
        server.mount,
        server=server.name,
        clock=Clock(server),
        generation=lambda: rng.getrandbits(16),
        background=server.spawn,
    )
