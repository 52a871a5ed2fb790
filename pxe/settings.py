"""What menus, scripts and files must know of this server and of the others in its cluster.

All servers of a cluster use the same HTTP port: each writes the names of the others into its menus.
"""

from typing import NamedTuple

from jumpstart.targets import BootContext, Net
from pxe.firmware import HTTP_PORT
from pxe.menus import Source


class Settings(NamedTuple):
    """What the catalog must know of its server. `transport` ("http", "tftp") is how GRUB fetches an install."""

    server: str  # own IPv4 address, as machines reach it
    segment: str
    transport: str = "tftp"
    http_port: int = HTTP_PORT
    default_target: str = "live-xen"  # named in the hint for unknown machines
    networks: tuple[Net, ...] = ()
    others: tuple[str, ...] = ()  # addresses of the other servers, in the order in which machines try them

    @property
    def loader_transport(self) -> str:
        """How GRUB really fetches: GRUB 2.06 knows HTTP on port 80 only, so another port leaves TFTP."""
        return self.transport if self.http_port == HTTP_PORT else "tftp"

    def http_host(self, server: str) -> str:
        """Host part of a server's URLs: the port, the same on all, only where it is not HTTP's own."""
        return server if self.http_port == HTTP_PORT else f"{server}:{self.http_port}"

    @property
    def other_sources(self) -> tuple[Source, ...]:
        """The other servers, as menus name them."""
        return tuple(Source(server, f"http://{self.http_host(server)}/boot/") for server in self.others)

    def context(self, token: str, mac: str, server: str) -> BootContext:
        """What a target is told when the machine at `mac` ("" if unknown) boots from `server`, us or another."""
        order = (server, *(one for one in (self.server, *self.others) if one != server))
        hosts = tuple(map(self.http_host, order))
        return BootContext(
            server=server,
            token=token,
            base=f"install/{token}",
            report_urls=tuple(f"http://{host}/report/{token}" for host in hosts),
            mac=mac,
            boot_urls=tuple(f"http://{host}/boot" for host in hosts),
            networks=self.networks,
        )
