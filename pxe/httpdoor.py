"""The HTTP door's answers: boot files with ranges, rendered texts, and the reports that end an install.

| request | answer |
|---|---|
| `GET`, `HEAD /boot/NAME` | the catalog's answer; one byte range; validators |
| `POST /report/TOKEN` | 200; 400 malformed, 404 unknown token, 409 spent, 413 too big, 503 not stored |
| `GET /` | one plain page that says what this is |

Rules:

* File bytes go from the page cache to the socket by sendfile(2), from the descriptor that the catalog opened:
  the name is never opened a second time. A client that takes too long over a part of a file is cut off.
* The loop never waits on the share: the catalog and reports run in a few threads with a deadline. (Once open, a
  file's bytes are read by sendfile in the loop, which is what keeps it as cheap as nginx.)
* A refusal is one line of text that says why; tokens never appear in events.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from aiohttp import web

from pxe.catalog import public_name
from pxe.content import Content, FileContent, Refused, TextContent, Why
from pxe.installs import SpentTokenError, StoreError, UnknownTokenError
from pxe.known import Emit
from pxe.offloop import OffLoop
from pxe.ranges import Span, Version, span
from pxe.report import BODY_BYTES_MAX, Report, ReportError, parse
from pxe.tree import close, shown
from storage.records import Install

CATALOG_S = 15.0  # for one look-up or report; above it the share is taken to be away
BODY_S = 30.0  # for a report's body to arrive
PART_BYTES = 4 << 20  # one sendfile call's worth ...
PART_S = 120.0  # ... must leave within this time: 35 kB/s, below any machine that will ever finish booting
THREADS = 8

STATUS_OF = {Why.NOT_FOUND: 404, Why.ACCESS: 403, Why.UNAVAILABLE: 503}
EFI_TYPE = "application/efi"  # UEFI HTTP Boot tells a loader from a disk image by this
FILE_TYPE = "application/octet-stream"
TEXT_TYPE = "text/plain; charset=utf-8"
PAGE = """twinboot
This server boots machines. Boot files are below /boot/; see `twinboot status` for what they are doing.
"""


class Doors(Protocol):
    """What the HTTP server asks of the catalog."""

    def resolve(self, name: str, client: str) -> Content:
        """Content for a GET."""

    def peek(self, name: str, client: str) -> Content:
        """Content for a HEAD."""

    def report(self, token: str, report: Report, client: str) -> Install:
        """End an install."""


class HttpDoor:
    """The handlers. One for each process; `app()` makes the aiohttp application."""

    def __init__(self, catalog: Doors, emit: Emit, waiting_max: int) -> None:
        """Ask the catalog for at most `waiting_max` requests at a time; others are refused."""
        self._catalog = catalog
        self._emit = emit
        self._off_loop = OffLoop(THREADS, waiting_max, CATALOG_S)

    def app(self) -> web.Application:
        """The application, to be given to `run`."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_get("/", self.page)
        app.router.add_get("/boot/{name:.*}", self.boot)
        app.router.add_post("/report/{token}", self.report)
        app.on_response_prepare.append(_sign)
        app.on_cleanup.append(self._close)
        return app

    async def page(self, _request: web.Request) -> web.Response:
        """GET /."""
        return web.Response(text=PAGE)

    async def boot(self, request: web.Request) -> web.StreamResponse:
        """GET or HEAD of a boot file or rendered text."""
        name, client = request.match_info["name"], request.remote or ""
        look = self._catalog.peek if request.method == "HEAD" else self._catalog.resolve
        try:
            content = await self._off_loop.run(partial(look, name, client), close)
        except Refused as error:
            return self._refuse(request, STATUS_OF[error.why], str(error))
        try:
            if isinstance(content, FileContent):
                return await self._send_file(request, content)
            return await self._send_text(request, content)
        finally:
            close(content)

    async def report(self, request: web.Request) -> web.Response:
        """POST of a report."""
        token, client = request.match_info["token"], request.remote or ""
        try:
            async with asyncio.timeout(BODY_S):
                report = parse(await request.read())
            row = await self._off_loop.run(partial(self._catalog.report, token, report, client), lambda _row: None)
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(request, 413, f"a report has at most {BODY_BYTES_MAX} bytes")
        except TimeoutError:
            return self._refuse(request, 408, f"the report did not arrive within {BODY_S:.0f} s")
        except ReportError as error:
            return self._refuse(request, 400, str(error))
        except UnknownTokenError as error:
            return self._refuse(request, 404, str(error))
        except SpentTokenError as error:
            return self._refuse(request, 409, str(error))
        except (StoreError, Refused) as error:
            return self._refuse(request, 503, str(error))
        return web.Response(text=f"{row.host} is {row.state}\n")

    def _refuse(self, request: web.Request, status: int, reason: str) -> web.Response:
        self._emit(
            "http.refused", address=request.remote or "", file=shown(public_name(request.path))[1:-1], reason=reason
        )
        return web.Response(status=status, text=reason + "\n")

    async def _send_file(self, request: web.Request, content: FileContent) -> web.StreamResponse:
        version = Version.of(content.size, content.mtime_ns)
        part = span(request.headers, version)
        response = _head(part, version)
        response.headers["Last-Modified"] = version.last_modified
        response.content_type = EFI_TYPE if content.name.endswith(".efi") else FILE_TYPE
        await self._send(request, response, content.name, part, partial(_sendfile, request, content.fd, part))
        return response

    async def _send_text(self, request: web.Request, content: TextContent) -> web.StreamResponse:
        version = Version(len(content.data), 0, f'"{hashlib.sha256(content.data).hexdigest()[:16]}"')
        part = span(request.headers, version)
        response = _head(part, version)
        response.headers["Content-Type"] = TEXT_TYPE
        response.headers["Cache-Control"] = "no-store"
        body = content.data[part.start : part.start + part.length]
        await self._send(request, response, content.name, part, lambda: response.write(body))
        return response

    async def _send(
        self,
        request: web.Request,
        response: web.StreamResponse,
        name: str,
        part: Span,
        body: Callable[[], Awaitable[None]],
    ) -> None:
        """The head, then the body, between a start and a done (or failed) event."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        told = partial(self._emit, address=request.remote or "", file=name)
        if request.method == "HEAD" or not part.length:
            await response.prepare(request)
            return
        told("http.start", bytes=part.length)
        try:
            await response.prepare(request)
            await body()
            await response.write_eof()
        except (OSError, TimeoutError) as error:
            told("http.failed", reason=_why(error))
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError(str(error)) from None
        told("http.done", bytes=part.length, elapsed_s=round(loop.time() - started_s, 3))

    async def _close(self, _app: web.Application) -> None:
        self._off_loop.close()


async def _sign(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "twinboot"


def _why(error: OSError | TimeoutError) -> str:
    """Say why a body did not arrive whole."""
    if isinstance(error, ConnectionError):
        return "the client closed the connection"  # GRUB does so when it looks for the end of a packed file
    return str(error) or f"the client took more than {PART_S:.0f} s over a part of the file"


def _head(part: Span, version: Version) -> web.StreamResponse:
    response = web.StreamResponse(status=part.status)
    response.headers["ETag"] = version.etag
    response.headers["Accept-Ranges"] = "bytes"
    if part.status == 206:
        last = part.start + part.length - 1
        response.headers["Content-Range"] = f"bytes {part.start}-{last}/{version.size}"
    elif part.status == 416:
        response.headers["Content-Range"] = f"bytes */{version.size}"
    if part.status != 304:
        response.content_length = part.length
    return response


async def _sendfile(request: web.Request, fd: int, part: Span) -> None:
    """Send a file's bytes part by part, each within `PART_S`."""
    loop = asyncio.get_running_loop()
    with open(fd, "rb", buffering=0, closefd=False) as file:
        offset, end = part.start, part.start + part.length
        while offset < end:
            if request.transport is None:
                raise ConnectionResetError("the client went away")
            async with asyncio.timeout(PART_S):
                sent = await loop.sendfile(
                    request.transport, file, offset, min(PART_BYTES, end - offset), fallback=False
                )
            if not sent:
                raise OSError("the file became shorter while it was sent")
            offset += sent
