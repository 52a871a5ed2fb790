"""The catalog: what every name means that a machine asks for, through either door.

TFTP `NAME` and HTTP `/boot/NAME` both end here. Most names are files of the boot tree; the table `RENDERED`
below holds those that are answered in its place:

| name | answer |
|---|---|
| `grub/grub.cfg-01-<mac>` | that host's menu, rendered now |
| `grub/grub.cfg-<anything else>` | not found, at once: GRUB tries up to nine such names (UUID, parts of its address) |
| `grub/grub.cfg` | the menu of the host that holds the asking address, else the menu for unknown machines |
| `boot.ipxe` | the script for iPXE ROMs: on to the next |
| `boot.ipxe-01-<mac>` | that host's script: its install by HTTP, or GRUB |
| `install/<token>/<file>` | a file of the armed install's target, or one rendered for its host; the first begins it |
| `01<MAC>`, `menu.lst.01<MAC>`, `jumpstart/<file>` | Sun's chain, see `pxegrub.py` |

Rules: nothing is served for a token that is unknown or spent. A machine that may boot boots: when the share
cannot take a change of state, the file is served all the same, the fault is reported, and the next fetch tries
again; when it cannot be read, the last known rows stand. Every method may be called from any thread.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from jumpstart.hosts import Hosts, HostsCache
from jumpstart.model import HostFault, Hypervisor
from jumpstart.targets import TARGETS, ArgumentError, BootEntry, load_target
from jumpstart.targets.nevada import NAME as NEVADA
from pxe import pxegrub
from pxe.bootplan import UNKNOWN_MACHINE, Kind, Plan, decide
from pxe.content import Content, FileContent, Refused, TextContent, Why
from pxe.firmware import IPXE_SCRIPT
from pxe.installs import LIVE, Installs, SpentTokenError, State, StoreError, UnknownTokenError
from pxe.menus import (
    Attempt,
    MenuError,
    Source,
    install_menu,
    ipxe_host_script,
    ipxe_script,
    local_menu,
    unknown_menu,
)
from pxe.neighbours import Neighbours
from pxe.pxegrub import Pxegrub
from pxe.report import Report
from pxe.settings import Settings
from pxe.tree import BootTree, tidy_name
from storage.records import Install, Records, RecordsError, ipv4_int

CLIENT = r"01([0-9a-fA-F]{12})"
MAC = r"-01-([0-9a-fA-F]{2}(?:-[0-9a-fA-F]{2}){5})"
TOKEN_IN_NAME = re.compile(r"(^|/)(install|report)/[^/]+")

LOADED = {name: load_target(name) for name in TARGETS}
"""All targets; loaded with this module, because a server answers its first machine as fast as any other."""

Emit = Callable[..., None]


class Offer(NamedTuple):
    """An install that a machine may have: the MAC address it asks from, and the row that arms it."""

    mac: str
    row: Install


Writer = Callable[[Hypervisor, Plan, Offer | None], bytes]
"""Puts a plan, and for an install its offer, into one boot loader's language. MenuError, ArgumentError."""


def public_name(name: str) -> str:
    """A requested name without its token, for journals and messages: tokens are secrets."""
    return TOKEN_IN_NAME.sub(r"\1\2/...", name)


class Catalog:
    """Resolves names for both doors and takes reports. `clock` gives seconds since 1970.

    `jumpstart` is the share's JumpStart directory; `after_report` is told each install that a report has ended.
    """

    def __init__(
        self,
        tree: BootTree,
        hosts: HostsCache,
        records: Records,
        settings: Settings,
        emit: Emit,
        clock: Callable[[], float] = time.time,
        jumpstart: Path | None = None,
        after_report: Callable[[Install], None] = lambda _row: None,
    ) -> None:
        self.settings = settings
        self._tree = tree
        self._pxegrub = Pxegrub(tree, jumpstart, settings.server, settings.segment)
        self._after_report = after_report
        self._hosts_cache = hosts
        self._installs = Installs(records)
        self._neighbours = Neighbours(records)
        self._emit = emit
        self._clock = clock
        self._lock = threading.Lock()
        self._host_faults: frozenset[HostFault] = frozenset()
        self._store_fault = ""

    def resolve(self, name: str, client: str) -> Content:
        """The content of `name` for the machine at `client`, with all that fetching it means. Raises Refused."""
        return self._answer(name, client, fetch=True)

    def peek(self, name: str, client: str) -> Content:
        """The same answer for somebody who only looks (HTTP HEAD): no install begins by it. Raises Refused."""
        return self._answer(name, client, fetch=False)

    def report(self, token: str, report: Report, client: str) -> Install:
        """End the token's install, or tell how far it is. UnknownTokenError, SpentTokenError, StoreError."""
        if report.success is None:
            return self._progress(token, report, client)
        step = self._installs.finish(token, report.success, report.detail, self._now_s(), self._server_number())
        row = step.row
        if step.changed:
            self._emit("report.received", host=row.host, address=client, state=row.state, detail=report.detail)
            self._emit_state(row, client)
            self._after_report(row)
        return row

    def _progress(self, token: str, report: Report, client: str) -> Install:
        """News for the journal; the row stays, so that it says when the install began."""
        row = self._installs.begin(token, self._now_s(), self._server_number()).row
        self._emit_state(row._replace(detail=report.detail), client)
        return row

    def _answer(self, name: str, client: str, *, fetch: bool) -> Content:
        tidy = tidy_name(name)
        for pattern, answer in RENDERED.items():
            found = pattern.fullmatch(tidy)
            if found:
                return answer(self, found, client, fetch)
        return self._tree.open(tidy)

    # -- menus ---------------------------------------------------------------------------------------------------

    def _menu_by_mac(self, found: re.Match[str], client: str, _fetch: bool) -> TextContent:
        return self._text_by_mac(found, client, self._grub_menu)

    def _ipxe_by_mac(self, found: re.Match[str], client: str, _fetch: bool) -> TextContent:
        return self._text_by_mac(found, client, self._ipxe_host_script)

    def _menu_for_pxegrub(self, found: re.Match[str], client: str, _fetch: bool) -> TextContent:
        mac = pxegrub.mac_of(found[1])
        return self._host_text(self._known(mac), mac, client, found[0], self._pxegrub_menu)

    def _loader_for_sun(self, found: re.Match[str], _client: str, _fetch: bool) -> FileContent:
        self._known(pxegrub.mac_of(found[1]))
        return self._pxegrub.loader()._replace(name=found[0])

    def _text_by_mac(self, found: re.Match[str], client: str, write: Writer) -> TextContent:
        mac = found[1].replace("-", ":").lower()
        return self._host_text(self._known(mac), mac, client, found[0], write)

    def _known(self, mac: str) -> Hypervisor:
        host = self._host_of(mac)
        if host is None:
            raise Refused(Why.NOT_FOUND, f"no host file has the MAC {mac}; {self._hint(mac)}")
        return host

    def _menu_by_address(self, found: re.Match[str], client: str, _fetch: bool) -> TextContent:
        mac = self._mac_at(client)
        host = self._host_of(mac) if mac else None
        if mac and host is not None:
            return self._host_text(host, mac, client, found[0], self._grub_menu)
        reason = f"{UNKNOWN_MACHINE.reason}: {self._hint(mac)}" if mac else UNKNOWN_MACHINE.reason
        data = unknown_menu(self.settings.segment, self.settings.default_target)
        self._emit(
            "menu.rendered",
            mac=mac or "",
            address=client,
            plan=UNKNOWN_MACHINE.kind.value,
            reason=reason,
            file=found[0],
        )
        return TextContent(data, found[0])

    def _no_such_menu(self, found: re.Match[str], _client: str, _fetch: bool) -> TextContent:
        raise Refused(Why.NOT_FOUND, f"{found[0]!r} is not there: menus go by MAC, or by grub/grub.cfg")

    def _ipxe(self, found: re.Match[str], _client: str, _fetch: bool) -> TextContent:
        return TextContent(ipxe_script(self.settings.other_sources), found[0])

    def _host_text(self, host: Hypervisor, mac: str, client: str, name: str, write: Writer) -> TextContent:
        self._refresh()
        row = self._installs.by_host(host.name)
        try:
            plan, data = self._planned(host, mac, decide(host.name, row), row, write)
        except MenuError as error:
            raise Refused(Why.UNAVAILABLE, f"no menu can be made for {host.name}: {error}") from None
        self._emit(
            "menu.rendered",
            host=host.name,
            mac=mac,
            address=client,
            server=self.settings.server,
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

    def _grub_menu(self, host: Hypervisor, plan: Plan, offer: Offer | None) -> bytes:
        if offer is None:
            return local_menu(host, plan)
        return install_menu(host, plan, self._attempts(host, offer), self.settings.loader_transport)

    def _ipxe_host_script(self, host: Hypervisor, plan: Plan, offer: Offer | None) -> bytes:
        attempts = [] if offer is None else self._attempts(host, offer)
        return ipxe_host_script(host, plan, attempts, self.settings.other_sources)

    def _pxegrub_menu(self, host: Hypervisor, plan: Plan, offer: Offer | None) -> bytes:
        return pxegrub.local_menu(host, plan) if offer is None else self._pxegrub.menu(host, *offer)

    def _attempts(self, host: Hypervisor, offer: Offer) -> list[Attempt]:
        """From us, then from each other server: tokens are shared rows, so they all serve the same names."""
        sources = (Source(self.settings.server), *self.settings.other_sources)
        return [Attempt(source, self._entry(host, offer, source.server)) for source in sources]

    def _entry(self, host: Hypervisor, offer: Offer, server: str) -> BootEntry:
        target = LOADED.get(offer.row.target)
        if target is None:
            raise MenuError(f"the target {offer.row.target!r} is not known to this server; it has {', '.join(LOADED)}")
        return target.entry(host, self.settings.context(offer.row.token, offer.mac, server))

    # -- the files of an install ---------------------------------------------------------------------------------

    def _payload(self, found: re.Match[str], client: str, fetch: bool) -> Content:
        token, file = found[1], found[2]
        self._refresh()
        row = self._installs.by_token(token)
        if row is None:
            raise Refused(
                Why.ACCESS, "this install token is unknown or was replaced; `twinboot install HOST` makes a new one"
            )
        if row.state not in LIVE:
            text = f"the install of {row.host} is over ({row.state}) and its token is spent"
            raise Refused(Why.ACCESS, f"{text}; `twinboot install {row.host}` arms another")
        return self._begun(row, self._install_file(row, file), client, fetch)

    def _jumpstart(self, found: re.Match[str], client: str, fetch: bool) -> Content:
        """A JumpStart file for a host that cannot carry its token: its own address stands for it while it is armed."""
        self._refresh()
        hosts = (host for host in self._hosts().by_name.values() if client in (link.address for link in host.links))
        rows = (self._installs.by_host(host.name) for host in hosts)
        row = next((row for row in rows if row and row.target == NEVADA and row.state in LIVE), None)
        if row is None:
            raise Refused(Why.ACCESS, f"no {NEVADA} install is armed for {client}; `twinboot install HOST` arms one")
        return self._begun(row, self._pxegrub.jumpstart(row.host, found[1]), client, fetch)

    def _begun(self, row: Install, content: Content, client: str, fetch: bool) -> Content:
        if fetch and row.state == State.ARMED:
            self._begin(row, content, client)
        return content

    def _install_file(self, row: Install, file: str) -> Content:
        """A file that all hosts of the target share, else one that is rendered for this host."""
        name = f"install/{row.host}/{file}"
        if row.target == NEVADA:
            return self._pxegrub.file(row.host, file)._replace(name=name)
        files = LOADED[row.target].files if row.target in LOADED else {}
        if file in files:
            return self._tree.open(files[file])._replace(name=name)
        texts = self._install_texts(row)
        if file not in texts:
            has = ", ".join((*files, *texts)) or "none"
            raise Refused(Why.NOT_FOUND, f"the target {row.target} has no file {file!r}; it has {has}")
        return TextContent(texts[file], name)

    def _install_texts(self, row: Install) -> Mapping[str, bytes]:
        host = self._hosts().by_name.get(row.host)
        if host is None or row.target not in LOADED:
            return {}
        try:
            return LOADED[row.target].texts(host, self.settings.context(row.token, "", self.settings.server))
        except ArgumentError as error:
            raise Refused(Why.UNAVAILABLE, f"nothing can be rendered for {row.host}: {error}") from None

    def _begin(self, row: Install, content: Content, client: str) -> None:
        try:
            step = self._installs.begin(row.token, self._now_s(), self._server_number())
        except StoreError as error:
            self._emit("records.fault", host=row.host, reason=f"{row.host} boots, but its state is not stored: {error}")
        except (UnknownTokenError, SpentTokenError) as error:
            if isinstance(content, FileContent):
                os.close(content.fd)
            raise Refused(Why.ACCESS, str(error)) from None
        else:
            if step.changed:
                self._emit_state(step.row, client)

    # -- what the answers stand on -------------------------------------------------------------------------------

    def _host_of(self, mac: str) -> Hypervisor | None:
        return self._hosts().by_mac.get(mac)

    def _hosts(self) -> Hosts:
        with self._lock:
            hosts = self._hosts_cache.get()
            faults = frozenset(hosts.faults)
            new = faults - self._host_faults
            self._host_faults = faults
        for fault in sorted(new):
            self._emit("host.fault", file=fault.file, reason=str(fault))
        return hosts

    def _mac_at(self, client: str) -> str | None:
        try:
            with self._lock:
                return self._neighbours.mac(client)
        except RecordsError as error:
            self._emit("records.fault", reason=f"cannot tell which machine is at {client}: {error}")
            return None

    def _refresh(self) -> None:
        """Follow the installs; a share that is away is told once, and the last known rows stand."""
        try:
            self._installs.refresh()
        except StoreError as error:
            if str(error) != self._store_fault:
                self._store_fault = str(error)
                self._emit("records.fault", reason=f"{error}; the last known installs stay in force")
        else:
            self._store_fault = ""

    def _hint(self, mac: str) -> str:
        settings = self.settings
        return (
            f"add it with `twinboot host add NAME --mac fe0={mac} --segment {settings.segment} "
            f"--target {settings.default_target}`"
        )

    def _emit_state(self, row: Install, client: str) -> None:
        self._emit(
            "install.state",
            host=row.host,
            state=row.state,
            target=row.target,
            address=client,
            server=self.settings.server,
            detail=row.detail,
        )

    def _now_s(self) -> int:
        return int(self._clock())

    def _server_number(self) -> int:
        return ipv4_int(self.settings.server)


RENDERED: Mapping[re.Pattern[str], Callable[[Catalog, re.Match[str], str, bool], Content]] = {
    re.compile(r"grub/grub\.cfg" + MAC): Catalog._menu_by_mac,  # noqa: SLF001 - the table of the class above
    re.compile(r"grub/grub\.cfg"): Catalog._menu_by_address,  # noqa: SLF001
    re.compile(r"grub/grub\.cfg-.*"): Catalog._no_such_menu,  # noqa: SLF001
    re.compile(re.escape(IPXE_SCRIPT)): Catalog._ipxe,  # noqa: SLF001
    re.compile(re.escape(IPXE_SCRIPT) + MAC): Catalog._ipxe_by_mac,  # noqa: SLF001
    re.compile(r"install/([^/]+)/(.+)"): Catalog._payload,  # noqa: SLF001
    re.compile(CLIENT): Catalog._loader_for_sun,  # noqa: SLF001
    re.compile(r"menu\.lst\." + CLIENT): Catalog._menu_for_pxegrub,  # noqa: SLF001
    re.compile(r"jumpstart/(.+)"): Catalog._jumpstart,  # noqa: SLF001
}
"""Names answered in the place of files; the first pattern that fits the whole name answers."""
