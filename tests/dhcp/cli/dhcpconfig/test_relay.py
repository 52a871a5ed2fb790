"""-R: a relay agent's configuration, its listing, its end."""

import pytest

from dhcp import svcconf_file
from dhcp.cli.service import Daemon
from tests.dhcp.cli.dhcpconfig.conftest import Server

LISTED = "DAEMON_ENABLED TRUE\nRUN_MODE relay\nRELAY_DESTINATIONS 120.30.33.7,120.30.42.132\n"


@pytest.fixture
def relay(server: Server):
    said = server.ok("-R 120.30.33.7,120.30.42.132")
    assert said == "Created DHCP configuration file.\nDHCP server enabled: `twinboot serve` starts it.\n"
    return server


def test_r_writes_what_a_relay_needs_and_p_lists_it(relay) -> None:
    assert relay.ok("-P") == LISTED
    conf = svcconf_file.load(relay.conf)
    assert conf.relay_destinations == ("120.30.33.7", "120.30.42.132")
    assert not relay.store.exists()


def test_names_are_looked_up_when_typed_and_doubles_left_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostbyname", {"boston": "120.30.33.7"}.__getitem__)
    server.ok("-R boston,120.30.33.7")
    assert server.ok("-P RELAY_DESTINATIONS") == "120.30.33.7\n"


def test_what_is_configured_already_stays(relay) -> None:
    assert "server is already configured as a BOOTP relay agent" in relay.refused("-R 120.30.33.8")
    assert "already configured" in relay.refused("-D -r SUNWfiles -p @/dhcp")
    assert "RESOURCE is not set" in relay.refused("-N 120.30.33.0")


def test_a_server_is_not_turned_into_a_relay(server: Server) -> None:
    server.configure()
    assert "DHCP service is already configured" in server.refused("-R 120.30.33.7")
    server("-P RELAY_DESTINATIONS=120.30.33.7")
    assert "no effect with RUN_MODE=server" in server.err


def test_destinations_are_changed_as_a_list(relay) -> None:
    relay.ok("-P RELAY_DESTINATIONS=120.30.33.9,boston,RELAY_HOPS=2")
    assert relay.ok("-P RELAY_DESTINATIONS,RELAY_HOPS") == "120.30.33.9,boston\n2\n"
    assert svcconf_file.load(relay.conf).relay_hops == 2


def test_a_relay_is_disabled_and_removed_without_a_datastore(relay) -> None:
    relay.daemon = Daemon(1, False)
    assert relay("-S -q") == 3
    relay.daemon = None
    assert "DHCP server disabled." in relay.ok("-S -d")
    assert "has no tables" in relay.refused("-U -f -x")
    assert relay.ok("-U", answer="Y\n").endswith("DHCP server not running.\nDeleted the DHCP configuration file.\n")
    assert not relay.conf.exists()
