"""Install targets: each renders a hypervisor into what the machine boots. One file each, one line in `TARGETS`."""

import functools
import importlib

from jumpstart.targets.port import ArgumentError, BootContext, BootEntry, Net, Payload, Target

TARGETS = {
    "live-xen": "jumpstart.targets.live_xen:LiveXen",
    "nevada": "jumpstart.targets.nevada:Nevada",
    "debian": "jumpstart.targets.debian:Debian",
}
"""Name -> its class; loaded when used, because most commands only read the name in a host's file."""

__all__ = ["TARGETS", "ArgumentError", "BootContext", "BootEntry", "Net", "Payload", "Target", "load_target"]


@functools.cache
def load_target(name: str) -> Target:
    """The target of that name; KeyError for one that is not in the table."""
    module, _, kind = TARGETS[name].partition(":")
    target: Target = getattr(importlib.import_module(module), kind)()
    return target
