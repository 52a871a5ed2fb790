"""The names that Sun's chain asks for: pxegrub, its menu, the installer's kernel, and the JumpStart directory.

| name | answer |
|---|---|
| `01<MAC>` | the image's network loader: the boot file that DHCP names for this client |
| `menu.lst.01<MAC>` | the menu for pxegrub: the armed install, else the local disk |
| `install/<token>/<file>` | kernel and miniroot, so that loading them begins the install as every other target's does |
| `install/<token>/jumpstart/<file>` | rules, rules.ok, and the host's own profile, sysidcfg and scripts |
| `jumpstart/<file>` | the same for clients that cannot carry a token, by the host's own address |

The menu's paths bear the token where `add_install_client` writes the image's name: Solaris looks for `/platform/` in
the path of its kernel and does not care what stands before it. Files are found by what `nevada.toml` on the share
says, read anew each time: it is one page, and it changes under us.
"""

from pathlib import Path

from jumpstart.hostfile import HostError
from jumpstart.model import Hypervisor
from jumpstart.quoting import menu_title
from jumpstart.targets import nevada, nevada_site
from pxe.bootplan import Plan
from pxe.content import FileContent, Refused, Why
from pxe.menus import LOCAL_TIMEOUT_S, MenuError
from pxe.tree import BootTree
from storage.records import Install

RULES = ("rules", "rules.ok")
PLACE = "jumpstart/"
REASON_CHARS_MAX = 300


def mac_of(client: str) -> str:
    """`001B21A0B1C2` -> `00:1b:21:a0:b1:c2`."""
    return bytes.fromhex(client).hex(":")


def local_menu(host: Hypervisor, plan: Plan) -> bytes:
    """The menu that starts the local disk of `host`, with the reason as a comment: a title cannot hold sentences."""
    reason = "".join(char if char.isprintable() else "?" for char in plan.reason[:REASON_CHARS_MAX])
    lines = (
        f"# {plan.kind.value}: {reason}",
        "default=0",
        f"timeout={LOCAL_TIMEOUT_S}",
        menu_title(f"{host.name}: local disk"),
        "\trootnoverify (hd0)",
        "\tchainloader +1",
        "",
    )
    return "\n".join(lines).encode("ascii", "replace")


class Pxegrub:
    """Sun's chain on one server. `jumpstart` is the share's directory of that name; None: there is none here."""

    def __init__(self, tree: BootTree, jumpstart: Path | None, server: str, segment: str) -> None:
        self._tree = tree
        self._directory = jumpstart
        self._jumpstart = BootTree(jumpstart) if jumpstart else None
        self._server = server
        self._segment = segment

    def menu(self, host: Hypervisor, mac: str, row: Install) -> bytes:
        """The menu that installs `host`. MenuError, ArgumentError."""
        if row.target != nevada.NAME:
            raise MenuError(f"{row.target} is armed, which pxegrub cannot boot; `twinboot install {host.name}` again")
        if mac != host.links[0].mac:
            first = host.links[0]
            raise MenuError(f"the installer sets up the link it boots from; boot from links.{first.name} ({first.mac})")
        settings = self._settings()
        site = settings.site(settings.server_of(self._segment, host.segment), host.segment, row.token, {}, "")
        own = site._replace(image=site.image._replace(name=f"install/{row.token}"))
        if self._segment in settings.servers:  # whoever is asked is there, whatever address the file has for it
            own = own._replace(server=self._server)
        return nevada.menu(host, own).encode()

    def loader(self) -> FileContent:
        """The image's copy of pxegrub. Refused."""
        try:
            return self._tree.open(f"pxegrub.{self._settings().image}")
        except MenuError as error:
            raise Refused(Why.UNAVAILABLE, str(error)) from None

    def file(self, host: str, name: str) -> FileContent:
        """A file of an install of `host`, by its name behind the token. Refused."""
        if name.startswith(PLACE):
            return self.jumpstart(host, name.removeprefix(PLACE))
        try:
            settings = self._settings()
        except MenuError as error:
            raise Refused(Why.UNAVAILABLE, str(error)) from None
        if name not in settings.boot_files:
            has = ", ".join(settings.boot_files)
            raise Refused(Why.NOT_FOUND, f"the image {settings.image} has no file {name!r}; it has {has}")
        return self._tree.open(f"{settings.image}/{name}")

    def jumpstart(self, host: str, name: str) -> FileContent:
        """A file of the JumpStart directory that `host` may see: the rules, and what is its own. Refused."""
        own = f"hosts/{host}/"
        if self._jumpstart is None or not (name in RULES or name.startswith(own) or "/" not in name):
            raise Refused(Why.NOT_FOUND, f"{name!r} is not among the JumpStart files of {host}")
        return self._jumpstart.open(name if name in RULES or name.startswith(own) else own + name)

    def _settings(self) -> nevada_site.Settings:
        if self._directory is None:
            raise MenuError("this server has no JumpStart directory")
        try:
            return nevada_site.load(self._directory)
        except HostError as error:
            raise MenuError(str(error)) from None
        except OSError as error:
            raise MenuError(f"{self._directory} cannot be read ({error.strerror}): check the share") from None
