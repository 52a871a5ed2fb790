"""The files of an install: who may have them, and where each comes from. Nothing is served for a token that is unknown
or spent.
"""

from collections.abc import Mapping

from jumpstart.targets import ArgumentError
from jumpstart.targets.nevada import NAME as NEVADA
from pxe.content import Content, Refused, TextContent, Why
from pxe.installs import LIVE
from pxe.known import LOADED, Known
from pxe.pxegrub import Pxegrub
from pxe.settings import Settings
from pxe.tree import BootTree
from storage.records import Install


class InstallFiles:
    """What belongs to installs that are armed or run."""

    def __init__(self, known: Known, settings: Settings, tree: BootTree, sun: Pxegrub) -> None:
        self._known = known
        self._settings = settings
        self._tree = tree
        self._sun = sun

    def by_token(self, token: str) -> Install:
        """The live install that has this token. Refused."""
        self._known.refresh()
        row = self._known.installs.by_token(token)
        if row is None:
            raise Refused(
                Why.ACCESS, "this install token is unknown or was replaced; `twinboot install HOST` makes a new one"
            )
        if row.state not in LIVE:
            text = f"the install of {row.host} is over ({row.state}) and its token is spent"
            raise Refused(Why.ACCESS, f"{text}; `twinboot install {row.host}` arms another")
        return row

    def by_address(self, client: str) -> Install:
        """The live JumpStart install of the host at this address, for who cannot carry a token. Refused."""
        self._known.refresh()
        hosts = (
            host for host in self._known.hosts().by_name.values() if client in (link.address for link in host.links)
        )
        rows = (self._known.installs.by_host(host.name) for host in hosts)
        row = next((row for row in rows if row and row.target == NEVADA and row.state in LIVE), None)
        if row is None:
            raise Refused(Why.ACCESS, f"no {NEVADA} install is armed for {client}; `twinboot install HOST` arms one")
        return row

    def open(self, row: Install, file: str) -> Content:
        """A file that all hosts of the target share, else one that is rendered for this host. Refused."""
        name = f"install/{row.host}/{file}"
        if row.target == NEVADA:
            return self._sun.file(row.host, file)._replace(name=name)
        files = LOADED[row.target].files if row.target in LOADED else {}
        if file in files:
            return self._tree.open(files[file])._replace(name=name)
        texts = self._texts(row)
        if file not in texts:
            has = ", ".join((*files, *texts)) or "none"
            raise Refused(Why.NOT_FOUND, f"the target {row.target} has no file {file!r}; it has {has}")
        return TextContent(texts[file], name)

    def _texts(self, row: Install) -> Mapping[str, bytes]:
        host = self._known.hosts().by_name.get(row.host)
        if host is None or row.target not in LOADED:
            return {}
        try:
            return LOADED[row.target].texts(host, self._settings.context(row.token, "", self._settings.server))
        except ArgumentError as error:
            raise Refused(Why.UNAVAILABLE, f"nothing can be rendered for {row.host}: {error}") from None
