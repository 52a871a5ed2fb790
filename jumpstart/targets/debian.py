"""debian: Debian with Xen, installed onto two mirrored disks from one root archive, JumpStart's flash archive anew.

Pure: host and context in, texts out. The machine boots the installer's kernel and initramfs; that fetches `install`,
a shell script whose values stand quoted at its head, and runs it; the script fetches the root archive, then
`overlay.tar` (every file that is this host's alone) and `early.cpio` (those of them that the initramfs of the
installed system needs). UUIDs are derived from the install's token: known before there is a disk, new at each install,
and never the same for the array and what is on it, which a degraded start would mix up.

Sources: systemd.link(5), systemd.netdev(5), systemd.network(5), mdadm.conf(5), the GRUB manual (multiboot2), xl(1).
"""

import hashlib
import uuid
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from jumpstart import newc
from jumpstart.model import Hypervisor
from jumpstart.quoting import ArgumentError, sh_assignments
from jumpstart.targets.debian_overlay import INITRAMFS_MODULES, Identity, early_files, overlay_files
from jumpstart.targets.debian_tar import archive
from jumpstart.targets.port import BootContext, BootEntry, Payload, words

SCRIPTS = files("jumpstart.targets") / "debian_scripts"
FILES: Mapping[str, str] = MappingProxyType(
    {name: f"debian/{name}" for name in ("vmlinuz", "installer.img", "root.tar.zst")}
)
HEAD = """#!/bin/sh
# {name} of {host}, written by twinboot.
# shellcheck disable=SC2034,SC2016 # values that a body may not need; what shells would expand stays as it is
{values}
"""


class Debian:
    """The target named `debian`."""

    files = FILES

    def entry(self, host: Hypervisor, ctx: BootContext) -> BootEntry:
        """The installer's kernel and initramfs; the same for BIOS and UEFI."""
        check(host)
        # A host that cannot be rendered is told so in its menu.
        overlay_files(host, ctx, identity(ctx.token), own_scripts(host, ctx))
        (base,) = words(ctx.base)
        arguments = words(
            "console=tty0",
            f"console=ttyS{host.console.port - 1},{host.console.speed_baud}",
            "loglevel=5",
            "boot=twinboot",
            f"twinboot.host={host.name}",
            f"twinboot.mac={ctx.mac or host.links[0].mac}",
            *(f"twinboot.install={url}/{base}/install" for url in ctx.boot_urls),
            *(f"twinboot.report={url}" for url in ctx.report_urls),
        )
        return BootEntry(
            title=f"{host.name}: install Debian with Xen on {' and '.join(host.root_mirror)}",
            loader="linux",
            kernel=Payload(f"{base}/vmlinuz", arguments),
            modules=(Payload(f"{base}/installer.img", ()),),
        )

    def texts(self, host: Hypervisor, ctx: BootContext) -> Mapping[str, bytes]:
        """The install script, the host's own files, and those for its initramfs."""
        check(host)
        own = identity(ctx.token)
        early = {**early_files(host, own), "conf/modules": INITRAMFS_MODULES}
        values = {
            "DISKS": " ".join(host.root_mirror),
            "ARRAY_UUID": own.array,
            "ROOT_UUID": own.root,
            "ESP_IDS": " ".join(name.replace("-", "") for name in own.esps),
            "FILES": " ".join(f"{url}/{ctx.base}" for url in ctx.boot_urls),
            "REPORTS": " ".join(ctx.report_urls),
            "PASSWORD_HASH": host.root_password_hash,
            "PACKAGES": " ".join(host.packages),
        }
        return {
            "install": script("install", host.name, values).encode(),
            "overlay.tar": archive(overlay_files(host, ctx, own, own_scripts(host, ctx))),
            "early.cpio": newc.archive({name: newc.regular(text.encode()) for name, text in early.items()}),
        }


def check(host: Hypervisor) -> None:
    """ArgumentError when the host file lacks what this target needs, or has what it cannot do."""
    if len(set(host.root_mirror)) != 2 or len(host.root_mirror) != 2:
        raise ArgumentError(f'{host.name}: root_mirror must name two disks; write it as ["sda", "sdb"]')


def identity(token: str) -> Identity:
    """The UUIDs of one install, a function of its token that does not tell the token."""
    space = uuid.UUID(bytes=hashlib.sha256(b"twinboot " + token.encode()).digest()[:16], version=4)
    numbers = (uuid.uuid5(space, f"esp {number}").hex[:8].upper() for number in (1, 2))
    return Identity(
        array=":".join(uuid.uuid5(space, "array").hex[at : at + 8] for at in (0, 8, 16, 24)),
        root=str(uuid.uuid5(space, "root")),
        esps=tuple(f"{number[:4]}-{number[4:]}" for number in numbers),
    )


def own_scripts(host: Hypervisor, ctx: BootContext) -> Mapping[str, str]:
    """The scripts that stay on the machine, by their names."""
    links = " ".join(link.name for link in host.links)
    return {
        "report": script("report", host.name, {"LINKS": links, "URLS": " ".join(ctx.report_urls)}),
        "bridges": script("bridges", host.name, {"LINKS": links}),
    }


def script(name: str, host: str, values: Mapping[str, str]) -> str:
    """A script's body below its values."""
    body = (SCRIPTS / f"{name}.sh").read_text(encoding="utf-8")
    return HEAD.format(name=name, host=host, values=sh_assignments({"HOST": host, **values})) + body
