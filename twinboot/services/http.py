"""The HTTP service: boot files and menus, and the reports that end an install."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 - loaded at first use otherwise
import encodings.idna  # noqa: F401 - loaded at the first look-up of a name otherwise
import signal

from dhcp import svcconf_file
from dhcp.sockets import SocketError
from pxe import httpd
from twinboot import machine
from twinboot.config import Config
from twinboot.events import Emit
from twinboot.faults import Stop
from twinboot.services.catalog import open_catalog
from twinboot.services.port import Bound, Ready

__all__ = ["bind"]


def bind(config: Config, emit: Emit) -> Bound:
    """Hand out boot files and menus by HTTP, and take reports."""
    try:
        where = machine.addresses(config, svcconf_file.load(config.dhcpsvc))
        sockets = [httpd.bind(address, config.http_port) for address in where]
    except (httpd.HttpError, SocketError) as error:
        raise Stop(f"http: {error}") from error

    async def run(ready: Ready) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        await httpd.run(sockets, open_catalog(config, emit), emit, ready, stop)

    return Bound(f"http {config.http_port}", lambda ready: asyncio.run(run(ready)))
