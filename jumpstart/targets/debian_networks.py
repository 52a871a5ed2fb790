"""The network of the debian target: links named by their MAC addresses, a bridge for each, and who sees to the bridges.

systemd-networkd asks the kernel for each bridge once, and takes for failed what has not been answered within 25 s
(systemd 252, sd-netlink). The kernel loads its bridge module within that very call, so on a slow or busy machine the
first bridge can be late: it is there then, but networkd puts no link into it, and a reload does not look at it again;
only a start anew does. So the module is loaded before networkd starts, and after each boot the unit `twinboot-bridges`
looks whether all links are where they belong.

Sources: systemd.link(5), systemd.netdev(5), systemd.network(5), modules-load.d(5), networkctl(1).
"""

import ipaddress
from collections.abc import Mapping

from jumpstart.model import Hypervisor, Link
from jumpstart.quoting import ArgumentError
from jumpstart.targets.debian_tar import File
from jumpstart.targets.port import BootContext, Net

BRIDGE_NAME_MAX = 15  # Linux, IFNAMSIZ - 1
UNITS = "etc/systemd/system"
BRIDGES_SCRIPT = "usr/local/sbin/twinboot-bridges"


def bridge(link: Link) -> str:
    """The bridge of a link: guests are plugged into it, and it has the link's address."""
    name = f"br-{link.name}"
    if len(name) > BRIDGE_NAME_MAX:
        raise ArgumentError(
            f"links.{link.name}: its bridge would be {name}, longer than Linux allows; shorten the name"
        )
    return name


def _network_of(address: str, ctx: BootContext) -> Net | None:
    return next(
        (net for net in ctx.networks if ipaddress.ip_address(address) in ipaddress.ip_network(net.subnet)), None
    )


def resolver(host: Hypervisor, ctx: BootContext) -> str:
    """The text of resolv.conf, from the network of the host's first address; empty where the server knows none."""
    net = _network_of(host.links[0].address or ctx.server, ctx)
    if net is None:
        return ""
    search = f"search {net.domain}\n" if net.domain else ""
    return search + "".join(f"nameserver {server}\n" for server in net.dns)


def network_files(host: Hypervisor, ctx: BootContext, watch: str) -> Mapping[str, File]:
    """For each link: itself as a port, its bridge as a device, the bridge's address; and `watch`, with its unit."""
    texts = {"etc/modules-load.d/twinboot.conf": "# Before systemd-networkd asks for bridges.\nbridge\n"}
    for link in host.links:
        own = bridge(link)
        place = "etc/systemd/network/20-"
        texts[f"{place}{link.name}.network"] = (
            f"[Match]\nName={link.name}\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nBridge={own}\n"
        )
        # The link's own MAC address, so that DHCP and switches know the machine by one.
        texts[f"{place}{own}.netdev"] = (
            f"[NetDev]\nName={own}\nKind=bridge\nMACAddress={link.mac}\n\n[Bridge]\nSTP=no\nForwardDelaySec=0\n"
        )
        texts[f"{place}{own}.network"] = _bridge_network(link, first=link is host.links[0], ctx=ctx)
    return {
        **{name: File(text) for name, text in texts.items()},
        BRIDGES_SCRIPT: File(watch, 0o755),
        f"{UNITS}/twinboot-bridges.service": File(BRIDGES_UNIT),
        f"{UNITS}/multi-user.target.wants/twinboot-bridges.service": File(link="../twinboot-bridges.service"),
    }


def _bridge_network(link: Link, *, first: bool, ctx: BootContext) -> str:
    net = _network_of(link.address, ctx) if link.address else None
    lines = ["[Match]", f"Name={bridge(link)}", "", "[Link]", f"RequiredForOnline={'yes' if first else 'no'}", ""]
    lines += ["[Network]", "LinkLocalAddressing=no", "IPv6AcceptRA=no", "ConfigureWithoutCarrier=yes"]
    if net is not None:
        lines.append(f"Address={link.address}/{net.subnet.partition('/')[2]}")
        lines += [f"Gateway={net.router}"] if first and net.router else []
    elif first or link.address:  # a server knows the address better than we the prefix
        lines += ["DHCP=ipv4", "", "[DHCPv4]", "ClientIdentifier=mac", f"UseRoutes={'yes' if first else 'no'}"]
    return "\n".join(lines) + "\n"


def link_files(host: Hypervisor) -> Mapping[str, str]:
    """The names of links, which the initramfs gives as well."""
    # Type keeps the bridge, which has the same MAC address, out of this.
    return {
        f"etc/systemd/network/10-{link.name}.link": (
            f"[Match]\nMACAddress={link.mac}\nType=ether\n\n[Link]\nName={link.name}\n"
        )
        for link in host.links
    }


# No Requires nor PartOf: a start of networkd anew would end the script that asked for it.
BRIDGES_UNIT = f"""[Unit]
Description=Every link in its bridge, however slow the boot
After=systemd-networkd.service
Before=systemd-networkd-wait-online.service network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/{BRIDGES_SCRIPT}
StandardOutput=journal+console
"""
