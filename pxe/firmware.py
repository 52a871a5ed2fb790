"""The firmware table: what each kind of machine is given to boot first, written as DHCP macros.

A machine says what it is in DHCP option 93 (RFC 4578 section 2.1, numbers kept by IANA, "Processor Architecture
Types") and again at the front of its vendor class, option 60: `PXEClient:Arch:00007:UNDI:003016`, or
`HTTPClient:...` when its firmware fetches by HTTP (UEFI specification 2.5 and later, "HTTP Boot"). DHCP picks a
class macro by the longest prefix of option 60 cut at a colon, so one macro `PXEClient:Arch:00007` serves every
version of that firmware, and `dhtadm -P` shows every boot decision that DHCP makes.

Adding a machine type is one row here. Pure values: nothing is opened, sent or stored.

Rules the macros keep:

* `EchoVC` for HTTP Boot only, whose firmware takes an offer only when option 60 comes back as `HTTPClient`. A PXE
  client that gets its `PXEClient` back asks a boot server (port 4011) before it loads anything: measured, OVMF gives
  up after 90 s and iPXE goes on after 15 s. A plain offer with a boot file is taken by both at once.
* No option 43 at all. UEFI firmware that finds PXE vendor options searches for a boot server (port 4011) and
  waits for one; without them it loads the boot file from the offer, which is what BIOS ROMs do as well.
* No `BootSrvA`: the answering server is the next server, so either server can boot a machine while the other is down.
* A boot file `http:///path` means *the answering server*: the DHCP engine inserts its own address.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from jumpstart.model import Hypervisor

GRUB_MENU_SYMBOL = ("GrubMenu", "Site,150,ASCII,1,0")
"""The symbol that host macros use: option 150, which pxegrub and GRUB take as the name of their menu."""

HTTP_PORT = 80
HTTP_HERE = "http:///boot/"
IPXE_SCRIPT = "boot.ipxe"
BIOS_CORE = "grub/i386-pc/core.0"
EFI_CORE = "grub/x86_64-efi/core.efi"


class Transport(Enum):
    """How the firmware fetches its first file; the value is the first word of its vendor class."""

    TFTP = "PXEClient"
    HTTP = "HTTPClient"


class Firmware(NamedTuple):
    """One row: option 93, a name for people, and the boot file below the boot tree (None: no loader for it)."""

    arch: int
    name: str
    transport: Transport
    boot_file: str | None

    @property
    def macro_name(self) -> str:
        """The class macro's name, a prefix of what this firmware sends in option 60."""
        return f"{self.transport.value}:Arch:{self.arch:05d}"

    @property
    def macro_text(self) -> str | None:
        """The class macro's text, or None where there is no loader."""
        echo = "EchoVC:" if self.transport is Transport.HTTP else ""
        return self.boot_url and f':BootFile="{self.boot_url}":{echo}'

    @property
    def boot_url(self) -> str | None:
        """What goes into the DHCP `file` field: a TFTP name or a URL of the answering server."""
        if self.boot_file is None or self.transport is Transport.TFTP:
            return self.boot_file
        return HTTP_HERE + self.boot_file


FIRMWARES: Mapping[int, Firmware] = {
    row.arch: row
    for row in (
        Firmware(0, "x86 BIOS", Transport.TFTP, BIOS_CORE),
        Firmware(6, "x86 UEFI, 32-bit", Transport.TFTP, None),
        Firmware(7, "x86-64 UEFI", Transport.TFTP, EFI_CORE),
        # RFC 4578 printed 9 as x86-64 and 7 as byte code; an erratum swapped them. Firmware of both kinds exists.
        Firmware(9, "x86-64 UEFI (as numbered by RFC 4578)", Transport.TFTP, EFI_CORE),
        Firmware(10, "ARM UEFI, 32-bit", Transport.TFTP, None),
        Firmware(11, "ARM UEFI, 64-bit", Transport.TFTP, None),
        Firmware(15, "x86 UEFI, 32-bit, by HTTP", Transport.HTTP, None),
        Firmware(16, "x86-64 UEFI by HTTP", Transport.HTTP, EFI_CORE),
        Firmware(18, "ARM UEFI, 32-bit, by HTTP", Transport.HTTP, None),
        Firmware(19, "ARM UEFI, 64-bit, by HTTP", Transport.HTTP, None),
        Firmware(20, "x86 BIOS by HTTP", Transport.HTTP, None),
        Firmware(25, "RISC-V UEFI, 32-bit", Transport.TFTP, None),
        Firmware(27, "RISC-V UEFI, 64-bit", Transport.TFTP, None),
        Firmware(39, "LoongArch UEFI, 64-bit", Transport.TFTP, None),
    )
}


def describe(arch: int) -> str:
    """Say in one line what a machine with this option 93 boots, or why it boots nothing."""
    row = FIRMWARES.get(arch)
    if row is None:
        return f"architecture {arch} is unknown here; only {_served()} can boot"
    if row.boot_url is None:
        return f"{row.name} (architecture {arch}): there is no boot loader for it here; only {_served()} can boot"
    return f"{row.name} (architecture {arch}): boots {row.boot_url}"


def _served() -> str:
    return ", ".join(row.name for row in FIRMWARES.values() if row.boot_file is not None)


def class_macros(http_port: int = HTTP_PORT) -> list[tuple[str, str]]:
    """(name, text) of the dhcptab's macros for firmware: one for each row with a loader, and one for iPXE.

    `http:///` has no place for a port, so where HTTP is not on port 80 only the rows that boot by TFTP remain.

    iPXE is chosen by user class (option 77) after the class macro, so it overrides the boot file of its
    architecture: the script then goes on by HTTP, with real throughput, on BIOS and UEFI alike.
    """
    transports = tuple(Transport) if http_port == HTTP_PORT else (Transport.TFTP,)
    rows = [
        (row.macro_name, row.macro_text)
        for row in FIRMWARES.values()
        if row.macro_text is not None and row.transport in transports
    ]
    ipxe = [("iPXE", f':BootFile="{HTTP_HERE}{IPXE_SCRIPT}":')]
    return [*rows, *(ipxe if Transport.HTTP in transports else [])]


def menu_name(mac: str) -> str:
    """Name of the rendered GRUB menu for this MAC (`00:14:4f:00:00:01`); GRUB itself asks for it first."""
    return f"grub/grub.cfg-01-{mac.replace(':', '-')}"


def host_macros(host: Hypervisor) -> list[tuple[str, str]]:
    """(name, text) of the host's own macros, one for each link, since any of its NICs may be the one that boots.

    The name is the client id that a boot ROM has by default: hardware type 01 and the MAC, in upper-case hex.
    """
    return [(f"01{mac.replace(':', '').upper()}", f':GrubMenu="{menu_name(mac)}":') for mac in _macs(host)]


def _macs(host: Hypervisor) -> Iterable[str]:
    return (link.mac for link in host.links)
