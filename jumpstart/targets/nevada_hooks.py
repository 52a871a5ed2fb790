"""The scripts of a Nevada install: each one small, rendered from the model, safe to run twice.

`nevada_scripts/` holds their bodies; here they get their values, as quoted assignments at their head, and nothing
is ever pasted into a body. The bodies keep to the oldest shell: Solaris runs begin and finish scripts with the
Bourne shell, which knows backquotes and no `$(`, and no `!` before a command.

When what runs: `begin` before the install; `finish` at its end, which runs `addresses`, `links`, `grub` and
`bootblocks` against the new root; `firstboot` once in the new system, which runs `links` (if it could not be done
yet), `xend` and `services`, and then reports.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files

from jumpstart.model import Hypervisor
from jumpstart.quoting import (
    ArgumentError,
    menu_line,
    menu_title,
    sh_assignments,
    svccfg_astring,
    xend_hosts_allow,
)

SCRIPTS = files("jumpstart.targets") / "nevada_scripts"
SCRIPT_NAMES = (
    "begin",
    "finish",
    "firstboot",
    "addresses",
    "links",
    "grub",
    "bootblocks",
    "xend",
    "services",
    "report",
)
AT_FINISH = ("addresses", "links", "grub", "bootblocks")
AT_FIRST_BOOT = ("links", "xend", "services")
MENUS = ("rpool/boot/grub/menu.lst", "boot/grub/menu.lst")
"""Where a boot menu may be below the root: on a ZFS root in the pool's own dataset, on UFS in the root itself."""

HEAD = """#!/bin/sh
# {name} of {host}, written by twinboot; safe to run twice.
# shellcheck disable=SC2006,SC2015,SC2016,SC2034,SC2086 # an old shell; lists are split at blanks
{values}fail() {{
    echo "{name}: $1" >&2
    exit 1
}}
"""


def scripts(
    host: Hypervisor, netmasks: Mapping[str, str], release: str, report_urls: Sequence[str]
) -> Mapping[str, str]:
    """The text of each script by its name. ArgumentError where the model lacks or holds what they cannot have.

    `netmasks` are those of the links that have an address, by the link's name; of `report_urls` the first that
    answers gets the report.
    """
    later = [step for step in AT_FIRST_BOOT if step != "xend" or host.relocation_address]
    values: dict[str, Mapping[str, str]] = {
        "begin": {"SLICES": " ".join(host.root_mirror)},
        "finish": {"STEPS": " ".join(AT_FINISH), "LATER": " ".join(later)},
        "firstboot": {"STEPS": " ".join(later)},
        "addresses": {"ADDRESSES": _addresses(host, netmasks)},
        "links": {"LINKS": _links(host)},
        "grub": {"MENUS": " ".join(MENUS), "ENTRY": menu_entry(host, release)},
        "bootblocks": {"SLICES": " ".join(host.root_mirror[1:])},
        "services": {"SERVICES": " ".join(host.services_off)},
        "report": {"URLS": " ".join(report_urls)},
    }
    if host.relocation_address:  # without one, live migration stays off
        values["xend"] = _xend(host)
    return {name: _script(name, host.name, given) for name, given in values.items()}


def menu_entry(host: Hypervisor, release: str) -> str:
    """The entry of the installed disk's boot menu: Xen with the model's console and memory, then dom0's kernel."""
    unix = "/platform/i86xpv/kernel/$ISADIR/unix"
    memory = str(host.dom0_mem).partition(",")[0]  # this Xen (3.1) knows one size only
    xen = (str(host.console), f"console={host.console.name}", f"dom0_mem={memory}")
    return "\n".join(
        (
            menu_title("Solaris xVM by twinboot"),
            menu_line("findroot", "(pool_rpool,0,a)"),
            menu_line("bootfs", f"rpool/ROOT/{release}"),
            menu_line("kernel$", "/boot/$ISADIR/xen.gz", *xen),
            menu_line("module$", unix, unix, "-B", "$ZFS-BOOTFS"),
            menu_line("module$", "/platform/i86pc/$ISADIR/boot_archive"),
        )
    )


def _script(name: str, host: str, given: Mapping[str, str]) -> str:
    body = (SCRIPTS / f"{name}.sh").read_text()
    return HEAD.format(name=name, host=host, values=sh_assignments({"HOST": host, **given})) + body


def _links(host: Hypervisor) -> str:
    missing = next((link.name for link in host.links if not link.device), None)
    if missing is not None:
        raise ArgumentError(f'{host.name}: links.{missing} has no device; add device = "e1000g0", as Solaris names it')
    return " ".join(f"{link.name}={link.device}" for link in host.links)


def _addresses(host: Hypervisor, netmasks: Mapping[str, str]) -> str:
    others = (link for link in host.links[1:] if link.address)
    return " ".join(f"{link.device}={link.address}/{netmasks[link.name]}" for link in others)


def _xend(host: Hypervisor) -> Mapping[str, str]:
    return {
        "ADDRESS": svccfg_astring(host.relocation_address),
        "ALLOW": svccfg_astring(xend_hosts_allow(host.relocation_peers)),
    }
