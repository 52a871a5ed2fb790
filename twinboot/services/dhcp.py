"""The DHCP service: gives out addresses, and says in the dhcptab what each firmware boots; or relays to servers."""

from __future__ import annotations

from collections.abc import Callable

from dhcp import daemon, relayd, svcconf_file
from dhcp.sockets import SERVER_PORT, SocketError, open_sockets
from dhcp.svcconf import ServiceConf
from storage.records import Outcome, Records, RecordsError
from twinboot import machine, sitefiles, stores
from twinboot.config import Config
from twinboot.events import Emit
from twinboot.faults import Stop
from twinboot.services.networks import Networks
from twinboot.services.port import Bound, Ready

__all__ = ["bind", "publish"]

PUBLISH_ATTEMPTS = 3  # both servers may start at once: the loser looks again and mostly finds its work done
LOST_RACE = frozenset({Outcome.COLLISION, Outcome.EXISTS, Outcome.NOT_FOUND})


def bind(config: Config, emit: Emit) -> Bound:
    """Give out addresses."""
    conf = svcconf_file.load(config.dhcpsvc)
    if conf.relay_destinations:
        return _bind_relay(config, conf, emit)
    try:
        ports = open_sockets(conf, [one.name for one in machine.served(config, conf)])
    except SocketError as error:
        raise Stop(f"dhcp: {error}") from error

    def serve(ready: Ready) -> None:
        with stores.daemon_records(conf, emit) as (records, begin):

            def began() -> None:
                begin()
                ready()

            publish(config, records, emit)
            daemon.serve(conf, ports, records, Networks(config, records, emit), emit, began)

    return Bound(f"dhcp {SERVER_PORT + conf.debug_port_offset}", serve)


def _bind_relay(config: Config, conf: ServiceConf, emit: Emit) -> Bound:
    try:
        ports, plan = relayd.open_relay(conf, relayd.resolve(conf.relay_destinations), config.interfaces)
    except SocketError as error:
        raise Stop(*(f"dhcp: {line}" for line in str(error).splitlines())) from error
    return Bound(
        f"dhcp relay {SERVER_PORT + conf.debug_port_offset}", lambda ready: relayd.serve(plan, ports, emit, ready)
    )


def publish(config: Config, records: Records, emit: Callable[..., None]) -> None:
    """Make what is missing: tables, the dhcptab's firmware macros, and what a network of the configuration needs.

    What is there stays, for it may be the site's own. A store that refuses is reported: what is there still serves.
    """
    try:
        sitefiles.lay_tables(records, stores.state_beside(config, records), config.share / "state")
        _publish_firmware(records)
        for net in config.networks:
            sitefiles.lay_network(records, net, config.domain, config.name_server)
    except (Stop, RecordsError) as error:
        emit("records.fault", file=stores.DHCPTAB, reason=str(error))


def _publish_firmware(records: Records) -> None:
    for _ in range(PUBLISH_ATTEMPTS):
        changes = stores.missing_entries(records, sitefiles.firmware_entries())
        if not changes or all(result.outcome not in LOST_RACE for result in records.commit(changes)):
            return
