"""The HTTP server: listening sockets, and bounds for everything that a client can hold on to. `httpdoor` answers.

A connection above the bound is told so and closed.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Sequence

from aiohttp import web

from pxe.httpdoor import Doors, HttpDoor
from pxe.known import Emit

CONNECTIONS_MAX = 400  # two descriptors each stay below the usual limit of 1024
BACKLOG = 256
IDLE_S = 20.0  # between requests, and for a request's head to arrive
STALL_MS = 60_000  # data on the wire that nobody acknowledges: the machine was switched off
STOP_S = 3.0  # for running transfers when the server is told to stop
HEAD_LINE_BYTES_MAX = 4096
HEADERS_MAX = 64

BIND_REASONS = {
    errno.EADDRINUSE: "another program has it; stop that program or choose another port",
    errno.EACCES: "only root may take a port below 1024; start as root or choose another port",
    errno.EADDRNOTAVAIL: "this machine does not have that address; correct it or bring the link up",
}


class HttpError(Exception):
    """The server cannot start; `str()` is one line with the way out."""


def bind(address: str, port: int) -> socket.socket:
    """A listening socket; bind first, drop root, then `run`. HttpError says why not."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALL_MS)  # accepted sockets inherit it
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        reason = BIND_REASONS.get(error.errno or 0, f"{error.strerror}; check the address and port")
        raise HttpError(f"cannot listen on HTTP port {address}:{port}: {reason}") from None
    return sock


class _Full(asyncio.Protocol):
    """Answers a connection that is one too many."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        reason = f"{CONNECTIONS_MAX} connections are open, which is all this server takes; try again"
        self._emit("http.refused", address=str(transport.get_extra_info("peername", ("",))[0]), file="", reason=reason)
        head = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
        transport.write(f"{head}Content-Type: text/plain\r\nContent-Length: {len(reason)}\r\n\r\n{reason}".encode())
        transport.close()


class _EventLog(logging.Handler):
    """aiohttp's complaints about malformed requests, as events of one line instead of tracebacks."""

    def __init__(self, emit: Emit) -> None:
        super().__init__(logging.ERROR)
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        reason = " ".join(f"{record.getMessage()}: {cause or ''}".split())[:200]
        self._emit("http.failed", reason=reason)


def _logger(emit: Emit) -> logging.Logger:
    """A logger outside logging's tree, so that nothing of it reaches stderr."""
    logger = logging.Logger("twinboot.http", logging.ERROR)
    logger.addHandler(_EventLog(emit))
    return logger


async def run(
    socks: Sequence[socket.socket],
    catalog: Doors,
    emit: Emit,
    ready: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Serve on listening sockets until `stop` is set; `ready` is called once connections are taken."""
    runner = web.AppRunner(
        HttpDoor(catalog, emit, CONNECTIONS_MAX).app(),
        access_log=None,
        logger=_logger(emit),
        keepalive_timeout=IDLE_S,
        lingering_time=1.0,
        max_line_size=HEAD_LINE_BYTES_MAX,
        max_field_size=HEAD_LINE_BYTES_MAX,
        max_headers=HEADERS_MAX,
        shutdown_timeout=STOP_S,
    )
    await runner.setup()
    server = runner.server
    assert server is not None

    def protocol() -> asyncio.Protocol:
        return server() if len(server.connections) < CONNECTIONS_MAX else _Full(emit)

    loop = asyncio.get_running_loop()
    listeners = [await loop.create_server(protocol, sock=sock, backlog=BACKLOG) for sock in socks]
    try:
        ready()
        await stop.wait()
    finally:
        for listener in listeners:
            listener.close()
        await runner.cleanup()
