"""What moves an install on: the first fetch of its files, and its reports. Each change of state is told.

A machine that may boot boots: when the share cannot take a change of state, the file is served all the same, the
fault is reported, and the next fetch tries again.
"""

from collections.abc import Callable

from pxe.content import Content, Refused, Why
from pxe.installs import Installs, SpentTokenError, StoreError, UnknownTokenError
from pxe.known import Emit
from pxe.report import Report
from pxe.tree import close
from storage.records import Install, ipv4_int


class Progress:
    """The installs, as `server` moves them on. `clock` gives seconds since 1970."""

    def __init__(
        self,
        installs: Installs,
        server: str,
        emit: Emit,
        clock: Callable[[], float],
        after_report: Callable[[Install], None],
    ) -> None:
        """`after_report` is told each install that a report has ended."""
        self._installs = installs
        self._server = server
        self._emit = emit
        self._clock = clock
        self._after_report = after_report

    def begin(self, row: Install, content: Content, client: str) -> None:
        """A file of an armed install is fetched: `content`, which is closed if it may not be. Refused."""
        try:
            step = self._installs.begin(row.token, self._now_s(), self._server_number())
        except StoreError as error:
            self._emit("records.fault", host=row.host, reason=f"{row.host} boots, but its state is not stored: {error}")
        except (UnknownTokenError, SpentTokenError) as error:
            close(content)
            raise Refused(Why.ACCESS, str(error)) from None
        else:
            if step.changed:
                self._emit_state(step.row, client)

    def report(self, token: str, report: Report, client: str) -> Install:
        """End the token's install, or tell how far it is. UnknownTokenError, SpentTokenError, StoreError."""
        if report.success is None:
            return self._news(token, report, client)
        step = self._installs.finish(token, report.success, report.detail, self._now_s(), self._server_number())
        row = step.row
        if step.changed:
            self._emit("report.received", host=row.host, address=client, state=row.state, detail=report.detail)
            self._emit_state(row, client)
            self._after_report(row)
        return row

    def _news(self, token: str, report: Report, client: str) -> Install:
        """News for the journal; the row stays, so that it says when the install began."""
        row = self._installs.begin(token, self._now_s(), self._server_number()).row
        self._emit_state(row._replace(detail=report.detail), client)
        return row

    def _emit_state(self, row: Install, client: str) -> None:
        self._emit(
            "install.state",
            host=row.host,
            state=row.state,
            target=row.target,
            address=client,
            server=self._server,
            detail=row.detail,
        )

    def _now_s(self) -> int:
        return int(self._clock())

    def _server_number(self) -> int:
        return ipv4_int(self._server)
