"""Every file of the debian target that belongs to one host, by its path below the root: names, disks, menus, services.

Each file has one function, `FILES` in `overlay_files` is the table of them. What has no place in the host file is in
the root archive instead.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import NamedTuple

from jumpstart.model import Hypervisor
from jumpstart.quoting import ArgumentError, sh_word
from jumpstart.targets.debian_networks import UNITS, bridge, link_files, network_files, resolver
from jumpstart.targets.debian_tar import File
from jumpstart.targets.port import BootContext, words

RELOCATION_PORT = 8002  # xend's, so that firewalls need not learn another
UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]*")
UNIT_KINDS = (".service", ".socket", ".timer", ".target", ".path", ".mount")
MENU_TIMEOUT_S = 3


class Identity(NamedTuple):
    """The names of one install's array (mdadm's form), root file system and EFI partitions (`ABCD-0123`)."""

    array: str
    root: str
    esps: tuple[str, ...]


def overlay_files(host: Hypervisor, ctx: BootContext, own: Identity, scripts: Mapping[str, str]) -> Mapping[str, File]:
    """All of them; `scripts` are `report` and `bridges`. ArgumentError when the host file has what Debian cannot do."""
    texts = {
        "etc/hostname": f"{host.name}\n",
        "etc/hosts": _hosts(host),
        "etc/resolv.conf": resolver(host, ctx),
        "etc/fstab": _fstab(own),
        "etc/default/grub": _grub_defaults(host),
        "etc/xen/xl.conf": f'autoballoon="off"\nvif.default.bridge="{bridge(host.links[0])}"\n',
        "boot/grub/grub.cfg": _menu(host, own),
        "boot/grub/esp/grub.cfg": _esp_menu(own),
        f"{UNITS}/twinboot-report.service": REPORT_UNIT,
        **early_files(host, own),
    }
    found = {name: File(text) for name, text in texts.items()}
    found |= network_files(host, ctx, scripts["bridges"])
    found["var/lib/twinboot"] = File(mode=0o700, directory=True)
    found["var/lib/twinboot/report"] = File(scripts["report"], 0o700)
    found[f"{UNITS}/multi-user.target.wants/twinboot-report.service"] = File(link="../twinboot-report.service")
    if host.ssh_keys:
        found["root/.ssh"] = File(mode=0o700, directory=True)
        found["root/.ssh/authorized_keys"] = File("".join(f"{key}\n" for key in host.ssh_keys), 0o600)
    return found | _relocation(host) | {f"{UNITS}/{unit}": File(link="/dev/null") for unit in services_off(host)}


def early_files(host: Hypervisor, own: Identity) -> Mapping[str, str]:
    """What the initramfs of the installed system must know as well: its array, and the names of links."""
    return {"etc/mdadm/mdadm.conf": _mdadm(own), **link_files(host)}


INITRAMFS_MODULES = "raid1\next4\n"
"""What the initramfs loads by itself. mdadm would have every RAID level, and RAID 6 measures itself for seconds."""


def services_off(host: Hypervisor) -> tuple[str, ...]:
    """The units to mask; a name without a kind is a service."""
    units = tuple(name if name.endswith(UNIT_KINDS) else f"{name}.service" for name in host.services_off)
    wrong = next((unit for unit in units if not UNIT.fullmatch(unit)), None)
    if wrong is not None:
        raise ArgumentError(f"services_off: {wrong.removesuffix('.service')!r} is no systemd unit; write cron.service")
    return units


def _hosts(host: Hypervisor) -> str:
    return f"127.0.0.1 localhost\n{host.links[0].address or '127.0.1.1'} {host.name}\n"


def _mdadm(own: Identity) -> str:
    return f"HOMEHOST <system>\nMAILADDR root\nARRAY /dev/md0 metadata=1.2 UUID={own.array}\n"


def _fstab(own: Identity) -> str:
    first, second = own.esps
    # noauto: only grub-install wants them, and nothing shall wait for the one of a lost disk.
    return (
        f"UUID={own.root} / ext4 rw,noatime,errors=remount-ro 0 1\n"
        f"UUID={first} /boot/efi vfat noauto,umask=0077 0 0\n"
        f"UUID={second} /boot/efi2 vfat noauto,umask=0077 0 0\n"
    )


def _xen_words(host: Hypervisor) -> tuple[str, ...]:
    console = host.console
    return words(str(console), f"console={console.name}", f"dom0_mem={host.dom0_mem.xen_text}")


def _serial(host: Hypervisor) -> str:
    return f"serial --unit={host.console.port - 1} --speed={host.console.speed_baud}"


def _grub_defaults(host: Hypervisor) -> str:
    """What update-grub makes its menu of, once the machine makes its own."""
    values = {
        "GRUB_DEFAULT": "0",
        "GRUB_TIMEOUT": str(MENU_TIMEOUT_S),
        "GRUB_DISTRIBUTOR": "Debian",
        "GRUB_DISABLE_OS_PROBER": "true",
        "GRUB_DISABLE_SUBMENU": "y",
        "GRUB_TERMINAL": "serial console",
        "GRUB_SERIAL_COMMAND": _serial(host),
        "GRUB_CMDLINE_LINUX": "",
        "GRUB_CMDLINE_LINUX_DEFAULT": "",
        "GRUB_CMDLINE_XEN": " ".join(_xen_words(host)),
        "GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT": "console=hvc0",
    }
    return "".join(f"{name}={sh_word(value)}\n" for name, value in values.items())


def _menu(host: Hypervisor, own: Identity) -> str:
    return f"""# The menu of the first boot; update-grub writes it anew from /etc/default/grub.
if [ "$grub_platform" = pc ]; then
  {_serial(host)}
  terminal_input serial console
  terminal_output serial console
fi
set timeout={MENU_TIMEOUT_S}
insmod part_gpt
insmod mdraid1x
insmod ext2
search --no-floppy --fs-uuid --set=root {own.root}
menuentry "{host.name}: Xen" {{
  multiboot2 /boot/xen.gz placeholder {" ".join(_xen_words(host))}
  module2 /boot/vmlinuz placeholder root=UUID={own.root} ro console=hvc0
  module2 /boot/initrd.img
}}
"""


def _esp_menu(own: Identity) -> str:
    return (
        f"search --no-floppy --fs-uuid --set=root {own.root}\n"
        "set prefix=($root)/boot/grub\n"
        "configfile $prefix/grub.cfg\n"
    )


REPORT_UNIT = """[Unit]
Description=Tell the install server that this machine runs
ConditionPathExists=/var/lib/twinboot/report
Wants=network-online.target
After=network-online.target xen.service twinboot-relocation.socket ssh.service

[Service]
Type=oneshot
ExecStart=/bin/sh /var/lib/twinboot/report
"""


def _relocation(host: Hypervisor) -> dict[str, File]:
    """Who may send a guest here by live migration: systemd listens, admits the peers only, and starts xl."""
    if not host.relocation_address:
        return {}
    allowed = " ".join(_peer(peer) for peer in host.relocation_peers)
    socket = f"""[Unit]
Description=Live migrations of guests to this machine

[Socket]
ListenStream={host.relocation_address}:{RELOCATION_PORT}
FreeBind=yes
Accept=yes
MaxConnections=4
IPAddressDeny=any
{f"IPAddressAllow={allowed}" if allowed else ""}
"""
    service = """[Unit]
Description=A guest that comes in by live migration

[Service]
ExecStart=/usr/sbin/xl migrate-receive
StandardInput=socket
StandardOutput=socket
StandardError=journal
"""
    return {
        f"{UNITS}/twinboot-relocation.socket": File(socket),
        f"{UNITS}/twinboot-relocation@.service": File(service),
        f"{UNITS}/sockets.target.wants/twinboot-relocation.socket": File(link="../twinboot-relocation.socket"),
    }


def _peer(peer: str) -> str:
    try:
        return str(ipaddress.IPv4Network(peer))
    except ValueError:
        raise ArgumentError(
            f"relocation_peers: {peer!r} is a name; Debian's filter takes addresses and networks"
        ) from None
