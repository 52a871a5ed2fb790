"""A host's menu: its boot plan as of now, put into the language of the boot loader that asks."""

from collections.abc import Callable
from typing import NamedTuple

from jumpstart.model import Hypervisor
from jumpstart.targets import ArgumentError, BootEntry
from pxe import pxegrub
from pxe.bootplan import Kind, Plan, decide
from pxe.content import Refused, TextContent, Why
from pxe.known import LOADED, Emit, Known
from pxe.menus import Attempt, MenuError, Source, install_menu, ipxe_host_script, local_menu
from pxe.pxegrub import Pxegrub
from pxe.settings import Settings
from storage.records import Install


class Offer(NamedTuple):
    """An install that a machine may have: the MAC address it asks from, and the row that arms it."""

    mac: str
    row: Install


Writer = Callable[[Hypervisor, Plan, Offer | None], bytes]
"""Puts a plan, and for an install its offer, into one boot loader's language. MenuError, ArgumentError."""


class HostMenus:
    """Menus of hosts. `grub`, `ipxe` and `pxegrub` are the `Writer`s that `text` is given."""

    def __init__(self, known: Known, settings: Settings, sun: Pxegrub, emit: Emit) -> None:
        self._known = known
        self._settings = settings
        self._sun = sun
        self._emit = emit

    def text(self, host: Hypervisor, mac: str, client: str, name: str, write: Writer) -> TextContent:
        """The plan for a host, in the language of `write`, told as rendered for `client`. Refused."""
        self._known.refresh()
        row = self._known.installs.by_host(host.name)
        try:
            plan, data = self._planned(host, mac, decide(host.name, row), row, write)
        except MenuError as error:
            raise Refused(Why.UNAVAILABLE, f"no menu can be made for {host.name}: {error}") from None
        self._emit(
            "menu.rendered",
            host=host.name,
            mac=mac,
            address=client,
            server=self._settings.server,
            plan=plan.kind.value,
            reason=plan.reason,
            file=name,
        )
        return TextContent(data, name)

    def _planned(
        self, host: Hypervisor, mac: str, plan: Plan, row: Install | None, write: Writer
    ) -> tuple[Plan, bytes]:
        """The plan's text; a plan to install that cannot be put into words becomes a rescue that says why."""
        if plan.kind is not Kind.INSTALL or row is None:
            return plan, write(host, plan, None)
        try:
            return plan, write(host, plan, Offer(mac, row))
        except (MenuError, ArgumentError) as error:
            rescue = Plan(Kind.RESCUE, f"{plan.reason}, but its menu cannot be made: {error}")
            return rescue, write(host, rescue, None)

    def grub(self, host: Hypervisor, plan: Plan, offer: Offer | None) -> bytes:
        """For GRUB 2."""
        if offer is None:
            return local_menu(host, plan)
        return install_menu(host, plan, self._attempts(host, offer), self._settings.loader_transport)

    def ipxe(self, host: Hypervisor, plan: Plan, offer: Offer | None) -> bytes:
        """For iPXE."""
        attempts = [] if offer is None else self._attempts(host, offer)
        return ipxe_host_script(host, plan, attempts, self._settings.other_sources)

    def pxegrub(self, host: Hypervisor, plan: Plan, offer: Offer | None) -> bytes:
        """For Sun's pxegrub."""
        return pxegrub.local_menu(host, plan) if offer is None else self._sun.menu(host, *offer)

    def _attempts(self, host: Hypervisor, offer: Offer) -> list[Attempt]:
        """From us, then from each other server: tokens are shared rows, so they all serve the same names."""
        sources = (Source(self._settings.server), *self._settings.other_sources)
        return [Attempt(source, self._entry(host, offer, source.server)) for source in sources]

    def _entry(self, host: Hypervisor, offer: Offer, server: str) -> BootEntry:
        target = LOADED.get(offer.row.target)
        if target is None:
            raise MenuError(f"the target {offer.row.target!r} is not known to this server; it has {', '.join(LOADED)}")
        return target.entry(host, self._settings.context(offer.row.token, offer.mac, server))
