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

Rules: nothing is served for a token that is unknown or spent (`installfiles.py`). A machine that may boot boots, also
when the share cannot take a change of state (`progress.py`); when it cannot be read, the last known rows stand
(`known.py`). Every method may be called from any thread.
"""

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from jumpstart.hosts import HostsCache
from jumpstart.model import Hypervisor
from pxe import pxegrub
from pxe.bootplan import UNKNOWN_MACHINE
from pxe.content import Content, FileContent, Refused, TextContent, Why
from pxe.firmware import IPXE_SCRIPT
from pxe.hostmenus import HostMenus, Writer
from pxe.installfiles import InstallFiles
from pxe.installs import State
from pxe.known import Emit, Known
from pxe.menus import ipxe_script, unknown_menu
from pxe.progress import Progress
from pxe.pxegrub import Pxegrub
from pxe.report import Report
from pxe.settings import Settings
from pxe.tree import BootTree, tidy_name
from storage.records import Install, Records

CLIENT = r"01([0-9a-fA-F]{12})"
MAC = r"-01-([0-9a-fA-F]{2}(?:-[0-9a-fA-F]{2}){5})"
TOKEN_IN_NAME = re.compile(r"(^|/)(install|report)/[^/]+")


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
        self._emit = emit
        self._pxegrub = Pxegrub(tree, jumpstart, settings.server, settings.segment)
        self._known = Known(hosts, records, emit)
        self._menus = HostMenus(self._known, settings, self._pxegrub, emit)
        self._files = InstallFiles(self._known, settings, tree, self._pxegrub)
        self._progress = Progress(self._known.installs, settings.server, emit, clock, after_report)

    def resolve(self, name: str, client: str) -> Content:
        """The content of `name` for the machine at `client`, with all that fetching it means. Raises Refused."""
        return self._answer(name, client, fetch=True)

    def peek(self, name: str, client: str) -> Content:
        """The same answer for somebody who only looks (HTTP HEAD): no install begins by it. Raises Refused."""
        return self._answer(name, client, fetch=False)

    def report(self, token: str, report: Report, client: str) -> Install:
        """End the token's install, or tell how far it is. UnknownTokenError, SpentTokenError, StoreError."""
        return self._progress.report(token, report, client)

    def _answer(self, name: str, client: str, *, fetch: bool) -> Content:
        tidy = tidy_name(name)
        for pattern, answer in RENDERED.items():
            found = pattern.fullmatch(tidy)
            if found:
                return answer(self, found, client, fetch)
        return self._tree.open(tidy)

    # -- menus ---------------------------------------------------------------------------------------------------

    def _menu_by_mac(self, found: re.Match[str], client: str, _fetch: bool) -> TextContent:
        return self._text_by_mac(found, client, self._menus.grub)

    def _ipxe_by_mac(self, found: re.Match[str], client: str, _fetch: bool) -> TextContent:
        return self._text_by_mac(found, client, self._menus.ipxe)

    def _menu_for_pxegrub(self, found: re.Match[str], client: str, _fetch: bool) -> TextContent:
        mac = pxegrub.mac_of(found[1])
        return self._menus.text(self._host(mac), mac, client, found[0], self._menus.pxegrub)

    def _loader_for_sun(self, found: re.Match[str], _client: str, _fetch: bool) -> FileContent:
        self._host(pxegrub.mac_of(found[1]))
        return self._pxegrub.loader()._replace(name=found[0])

    def _text_by_mac(self, found: re.Match[str], client: str, write: Writer) -> TextContent:
        mac = found[1].replace("-", ":").lower()
        return self._menus.text(self._host(mac), mac, client, found[0], write)

    def _host(self, mac: str) -> Hypervisor:
        host = self._known.host_of(mac)
        if host is None:
            raise Refused(Why.NOT_FOUND, f"no host file has the MAC {mac}; {self._hint(mac)}")
        return host

    def _menu_by_address(self, found: re.Match[str], client: str, _fetch: bool) -> TextContent:
        mac = self._known.mac_at(client)
        host = self._known.host_of(mac) if mac else None
        if mac and host is not None:
            return self._menus.text(host, mac, client, found[0], self._menus.grub)
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

    def _hint(self, mac: str) -> str:
        settings = self.settings
        return (
            f"add it with `twinboot host add NAME --mac fe0={mac} --segment {settings.segment} "
            f"--target {settings.default_target}`"
        )

    # -- the files of an install ---------------------------------------------------------------------------------

    def _payload(self, found: re.Match[str], client: str, fetch: bool) -> Content:
        row = self._files.by_token(found[1])
        return self._begun(row, self._files.open(row, found[2]), client, fetch)

    def _jumpstart(self, found: re.Match[str], client: str, fetch: bool) -> Content:
        """A JumpStart file for a host that cannot carry its token: its own address stands for it while it is armed."""
        row = self._files.by_address(client)
        return self._begun(row, self._pxegrub.jumpstart(row.host, found[1]), client, fetch)

    def _begun(self, row: Install, content: Content, client: str, fetch: bool) -> Content:
        if fetch and row.state == State.ARMED:
            self._progress.begin(row, content, client)
        return content


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
