"""Install targets: each renders a hypervisor into what the machine boots. One file each, one line in `TARGETS`."""

from jumpstart.targets.debian import Debian
from jumpstart.targets.live_xen import LiveXen
from jumpstart.targets.nevada import Nevada
from jumpstart.targets.port import ArgumentError, BootContext, BootEntry, Net, Payload, Target

TARGETS: dict[str, Target] = {
    "live-xen": LiveXen(),
    "nevada": Nevada(),
    "debian": Debian(),
}

__all__ = ["TARGETS", "ArgumentError", "BootContext", "BootEntry", "Net", "Payload", "Target"]
