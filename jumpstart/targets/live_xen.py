"""live-xen: Xen, a Debian dom0 kernel and a small dom0 in memory, booted over the network. Nothing is written to disk.

It proves a machine before it is installed: firmware, wire, boot loader, hypervisor, `dom0_mem`, console and NICs,
and it reports home what it sees. `media.py` builds the three files; `live/init` is what runs in dom0 and reads the
`twinboot.*` words made here.
"""

from collections.abc import Mapping
from types import MappingProxyType

from jumpstart.model import Hypervisor
from jumpstart.targets.port import BootContext, BootEntry, Payload, words

FILES: Mapping[str, str] = MappingProxyType({name: f"live-xen/{name}" for name in ("xen", "vmlinuz", "initrd.gz")})
# A hypervisor that crashed stays still, its reason on the console, instead of coming back to the same menu forever.
XEN_FLAGS = ("loglvl=info", "guest_loglvl=warning", "noreboot")
# Warnings reach the serial line, chatter does not: at 9600 baud the full log costs the boot more than a minute.
LINUX_FLAGS = ("console=hvc0", "loglevel=5")


class LiveXen:
    """The target named `live-xen`."""

    files = FILES

    def texts(self, _host: Hypervisor, _ctx: BootContext) -> Mapping[str, bytes]:
        """None: what this target must know of a host is on its kernel's command line."""
        return {}

    def entry(self, host: Hypervisor, ctx: BootContext) -> BootEntry:
        """Xen by multiboot2, then dom0's kernel and initramfs as its modules; the same for BIOS and UEFI."""
        xen = (str(host.console), f"console={host.console.name}", f"dom0_mem={host.dom0_mem.xen_text}", *XEN_FLAGS)
        dom0 = (
            *LINUX_FLAGS,
            f"twinboot.host={host.name}",
            f"twinboot.mac={ctx.mac or host.links[0].mac}",
            *(f"twinboot.report={url}" for url in ctx.report_urls),
            *(f"twinboot.link={link.name},{link.mac}" for link in host.links),
        )
        (base,) = words(ctx.base)
        return BootEntry(
            title=f"{host.name}: Xen, live in memory (dom0 {host.dom0_mem})",
            loader="multiboot2",
            kernel=Payload(f"{base}/xen", words(*xen)),
            modules=(Payload(f"{base}/vmlinuz", words(*dom0)), Payload(f"{base}/initrd.gz", ())),
        )
