"""nevada: Solaris Nevada with xVM (and Solaris 10 from update 6), installed by JumpStart from an NFS image.

Pure: host and site in, texts out, by their names below the share's `jumpstart/` and `boot/`. What kind of menu a
machine gets follows from what the install image *contains*, never from a release's name. Every text that Sun's
installer reads is proved by `language/encode.py`: it reads back as meant, has no error, and leaves no question open.

The chain: the PXE ROM loads a copy of pxegrub under the name `01MAC`; pxegrub asks DHCP again for option 150
(GrubMenu) and loads `menu.lst.01MAC`; that loads kernel and miniroot, which mounts the image, finds the JumpStart
directory and the sysidcfg directory by the properties on the kernel line, and asks `rules.ok`.
"""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from jumpstart.language.encode import answer, encode_profile, encode_rules, encode_sysidcfg, line, rule, when
from jumpstart.language.okfile import rules_ok
from jumpstart.language.rules import Rule
from jumpstart.model import Hypervisor, Link
from jumpstart.quoting import ArgumentError, boot_properties, macro, menu_line, menu_title
from jumpstart.targets.nevada_hooks import SCRIPT_NAMES, scripts
from jumpstart.targets.port import BootContext

NAME = "nevada"
CLASS_MACRO = "PXEClient:Arch:00000:UNDI:002001"
"""What Sun's documents call the macro of BIOS boot ROMs; Solaris' own daemon looks for this name whole."""
MENU_TIMEOUT_S = 5
TTYS = {1: "ttya", 2: "ttyb"}
SOFTWARE_GROUP = "SUNWCXall"
SWAP, DUMP = "2g", "2g"
HOST_FILES = ("profile", "sysidcfg", *SCRIPT_NAMES)
OPTIONAL_FILES = ("xend",)
"""Every name that `render` may give a file of one host, and those that some hosts do not have."""


class Image(NamedTuple):
    """An install image by what is in it: its name below `boot/`, and the loaders and miniroots that it has."""

    name: str
    multiboot: bool
    direct: bool
    amd64: bool


class Site(NamedTuple):
    """What the host's own server adds to the model: addresses as dotted quads, paths as its NFS exports them.

    `netmasks` are by the names of networks that links have; `router` is empty where there is none. `nfs` exports the
    paths where `server` itself does not.
    """

    server: str
    media: str
    config: str
    image: Image
    release: str
    netmasks: Mapping[str, str]
    router: str
    report_urls: tuple[str, ...]
    timezone: str = "UTC"
    locale: str = "C"
    keyboard: str = "US-English"
    terminal: str = "vt100"
    nfs: str = ""


class KernelLine(NamedTuple):
    """One style of booting the installer: commands and files of the kernel and module lines, below the image."""

    kernel: str
    words: tuple[str, ...]
    module: str
    miniroot: str


STYLES: Mapping[tuple[bool, bool], KernelLine] = {
    (True, False): KernelLine("kernel", ("multiboot", "kernel/unix"), "module", "x86.miniroot"),
    (True, True): KernelLine("kernel$", ("multiboot", "kernel/$ISADIR/unix"), "module$", "$ISADIR/x86.miniroot"),
    (False, False): KernelLine("kernel", ("platform/i86pc/kernel/unix",), "module", "x86.miniroot"),
    (False, True): KernelLine("kernel$", ("platform/i86pc/kernel/$ISADIR/unix",), "module$", "$ISADIR/x86.miniroot"),
}
"""By (has the multiboot program and boots by it, has a 64-bit miniroot)."""


MULTIBOOT, DIRECT, DIRECT64 = "multiboot", "platform/i86pc/kernel/unix", "platform/i86pc/kernel/amd64/unix"
MINIROOT, MINIROOT64 = "x86.miniroot", "amd64/x86.miniroot"
PXEGRUB = "grub/pxegrub"
BOOT_FILES = (PXEGRUB, MULTIBOOT, DIRECT, DIRECT64, MINIROOT, MINIROOT64)
"""What machines may fetch of an image, by the names in its boot directory."""


class Nevada:
    """The target named `nevada`. GRUB 2 and iPXE have no entry for it: pxegrub's menu is `menu`."""

    files: Mapping[str, str] = MappingProxyType({})

    def texts(self, _host: Hypervisor, _ctx: BootContext) -> Mapping[str, bytes]:
        """None: its files go by NFS and by pxegrub's own names."""
        return {}

    def entry(self, host: Hypervisor, _ctx: BootContext) -> NoReturn:
        """ArgumentError: this loader was not meant to boot the host."""
        link = host.links[0]
        raise ArgumentError(
            f"{NAME} is installed by Sun's pxegrub alone; boot it in BIOS mode from links.{link.name} ({link.mac})"
        )


def image_of(name: str, files: Collection[str]) -> Image:
    """What an image is, by the files of its boot directory. ArgumentError when it cannot boot a machine."""
    image = Image(name, multiboot=MULTIBOOT in files, direct=DIRECT in files, amd64=MINIROOT64 in files)
    if not (image.multiboot or image.direct) or not (image.amd64 or MINIROOT in files):
        raise ArgumentError(f"{name}: neither kernel nor miniroot in its boot directory; name an install image")
    return image


def client_id(link: Link) -> str:
    """`01` and the MAC address in capitals, as Sun's tools name files and macros of a client."""
    return "01" + link.mac.replace(":", "").upper()


def install_rule(host: str) -> Rule:
    """The rule that gives this host its own files."""
    place = f"hosts/{host}"
    return rule([when("hostname", host)], f"{place}/profile", f"{place}/begin", f"{place}/finish")


def rules_files(hosts: Iterable[str]) -> Mapping[str, str]:
    """`rules` and `rules.ok` for hosts of these names; any other machine matches nothing and is left alone."""
    text = encode_rules([install_rule(host) for host in hosts])
    return {"rules": text, "rules.ok": rules_ok(text.encode()).decode()}


def profile(host: Hypervisor, site: Site) -> str:
    """The profile: a mirrored ZFS root over the model's slices."""
    if len(host.root_mirror) < 2:
        raise ArgumentError(f'{host.name}: root_mirror needs two slices; write it as ["c0t0d0s0", "c0t1d0s0"]')
    disks = dict.fromkeys(slice_.rpartition("s")[0] or slice_ for slice_ in host.root_mirror)
    return encode_profile(
        [
            line("install_type", "initial_install"),
            line("system_type", "standalone"),
            line("cluster", SOFTWARE_GROUP),
            *(line("package", name, "add") for name in host.packages),
            *(line("fdisk", disk, "solaris", "all") for disk in disks),
            line("pool", "rpool", "auto", SWAP, DUMP, "mirror", *host.root_mirror),
            line("bootenv", "installbe", "bename", site.release, "dataset", "/var"),
        ]
    )


def netmask(link: Link, site: Site) -> str:
    """The netmask of the network that a link is in."""
    if link.network not in site.netmasks:
        raise ArgumentError(
            f"links.{link.name}: network {link.network!r} has no netmask here; name a network of the site"
        )
    return site.netmasks[link.network]


def sysidcfg(host: Hypervisor, site: Site) -> str:
    """The answers to every question of the installer."""
    link = host.links[0]
    if not link.address:
        raise ArgumentError(f"{host.name}: links.{link.name} has no address; add the one that it installs with")
    if not host.root_password_hash:
        raise ArgumentError(f"{host.name}: root_password_hash is missing, the installer would ask; `openssl passwd -5`")
    interface = [
        answer("hostname", host.name),
        answer("ip_address", link.address),
        answer("netmask", netmask(link, site)),
        answer("default_route", site.router or "NONE"),
        answer("protocol_ipv6", "no"),
    ]
    return encode_sysidcfg(
        [
            answer("keyboard", site.keyboard),
            answer("system_locale", site.locale),
            answer("timezone", site.timezone),
            answer("terminal", site.terminal),
            answer("timeserver", site.server),
            answer("root_password", host.root_password_hash),
            answer("security_policy", "NONE"),
            answer("nfs4_domain", "dynamic"),
            answer("service_profile", "limited_net"),
            answer("name_service", "NONE"),
            answer("network_interface", "PRIMARY", block=interface),
        ]
    )


def menu(host: Hypervisor, site: Site) -> str:
    """`menu.lst.01MAC`: one entry that installs, unattended, with the console on the model's serial port."""
    style = STYLES[site.image.multiboot and not site.image.direct, site.image.amd64]
    kernel, *own = style.words
    nfs = site.nfs or site.server
    properties = boot_properties(
        {
            "install_media": f"{nfs}:{site.media}",
            "install_config": f"{nfs}:{site.config}",
            "sysid_config": f"{nfs}:{site.config}/hosts/{host.name}",
            "console": TTYS[host.console.port],
        }
    )
    words = (*own, "-", "install", "nowin", *properties)
    return "\n".join(
        (
            "default=0",
            f"timeout={MENU_TIMEOUT_S}",
            menu_title(f"{host.name}: install {site.release}"),
            "\t" + menu_line(style.kernel, f"/{site.image.name}/{kernel}", *words),
            "\t" + menu_line(style.module, f"/{site.image.name}/{style.miniroot}"),
            "",
        )
    )


def macros(host: Hypervisor, server: str) -> Mapping[str, str]:
    """What DHCP must tell the host, as dhcptab macros by name; `GrubMenu` is option 150.

    `server` is the address of its own segment's server; empty, it boots from whichever server answers it.
    """
    own = client_id(host.links[0])
    first = {"BootSrvA": server} if server else {}
    return {own: macro(first | {"BootFile": own, "GrubMenu": f"menu.lst.{own}"})}


def render(host: Hypervisor, site: Site) -> Mapping[str, str]:
    """Every text of one host by its path below the share. ArgumentError or EncodeError (both ValueError), one line."""
    place = f"jumpstart/hosts/{host.name}"
    masks = {link.name: netmask(link, site) for link in host.links if link.address}
    return {
        f"boot/menu.lst.{client_id(host.links[0])}": menu(host, site),
        f"{place}/profile": profile(host, site),
        f"{place}/sysidcfg": sysidcfg(host, site),
        **{f"{place}/{name}": text for name, text in scripts(host, masks, site.release, site.report_urls).items()},
    }
