"""dhcpconfig -N: one more network, as a macro of its number and an empty container.

The container comes last: it is what makes the network known, so a run that was cut short can be repeated.
"""

from dhcp.cli.common import CommandError, Options, Session
from dhcp.cli.config_file import configured, warn
from dhcp.cli.config_machine import find_netmask
from dhcp.cli.config_tables import DHCPTAB, addresses, macro_text, put_macro
from dhcp.networks import Network, network
from storage.records import MACRO, TabEntry, ipv4_text


def add_network(options: Options, session: Session) -> int:
    """-N: a macro and an empty container for one more network. CommandError, RecordsError."""
    configured(options)
    with session.records(options) as records:
        tables = records.tables()
        if options.values["N"] in tables:
            raise CommandError(f"network {options.values['N']} is configured already: pntadm and dhtadm change it")
        if DHCPTAB not in tables:
            raise CommandError("there is no dhcptab: make it with `dhtadm -C`")
        net = _network(options)
        macro = TabEntry(net.name, MACRO, 0, _network_macro(options, net))
        put_macro(records, macro)
        print(f"Added network macro to dhcptab - {net.name}.")
        records.create(net.name)
        print("Created network table.")
    return 0


def _network(options: Options) -> Network:
    number, mask = options.values["N"], options.get("m")
    try:
        if mask is not None:
            return network(f"{number}/{mask}")
        net, guessed = find_netmask(number)
    except ValueError as error:
        raise CommandError(f"{number} is not a valid network: {error}") from None
    if guessed:
        warn(f"netmask of {number} taken to be {ipv4_text(net.mask)}: -m gives another")
    return net


def _network_macro(options: Options, net: Network) -> str:
    items: list[tuple[str, str | None]] = [("Subnet", ipv4_text(net.mask))]
    routers = options.get("t")
    if routers is None:
        items.append(("RDiscvyF", "1"))
    else:
        found = addresses("-t", routers)
        strangers = [ipv4_text(router) for router in found if not net.has_host(router)]
        if strangers:
            raise CommandError(f"-t: {', '.join(strangers)}: no machine of {net.name} could reach it")
        items.append(("Router", " ".join(map(ipv4_text, found))))
    if "b" not in options:
        items.append(("Broadcst", ipv4_text(net.broadcast)))
    domain, servers = options.get("y"), options.get("a")
    if bool(domain) != bool(servers):
        raise CommandError("NIS domain or server information is incomplete: give both -y and -a, or neither")
    if domain and servers:
        items.append(("NISdmain", domain))
        items.append(("NISservs", " ".join(map(ipv4_text, addresses("-a", servers)))))
    return macro_text(items)
