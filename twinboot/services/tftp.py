"""The TFTP service: boot files and menus."""

from __future__ import annotations

from dhcp import svcconf_file
from dhcp.sockets import SocketError
from pxe.catalog import Catalog
from pxe.content import Content
from pxe.tftp_sockets import ListenError
from pxe.tftpd import TftpServer
from twinboot import machine
from twinboot.config import Config
from twinboot.events import Emit
from twinboot.faults import Stop
from twinboot.services.catalog import open_catalog
from twinboot.services.port import Bound, Ready, on_stop

__all__ = ["bind"]


def bind(config: Config, emit: Emit) -> Bound:
    """Hand out boot files and menus by TFTP."""
    catalog: list[Catalog] = []  # opened when root is gone, because the share may not trust root

    def resolve(name: str, client: str) -> Content:
        return catalog[0].resolve(name, client)

    server = TftpServer(resolve, emit)
    try:
        server.bind(machine.addresses(config, svcconf_file.load(config.dhcpsvc)), config.tftp_port)
    except (ListenError, SocketError) as error:
        raise Stop(f"tftp: {error}") from error

    def serve(ready: Ready) -> None:
        on_stop(server.stop)
        catalog.append(open_catalog(config, emit))
        ready()
        server.serve()

    return Bound(f"tftp {config.tftp_port}", serve)
