"""-D: what is made, in which order, what is refused before anything is written, and what the machine says."""

from pathlib import Path

import pytest

from dhcp.cli import config_machine, config_setup
from dhcp.sockets import Interface
from storage.records import SunwFiles, TabEntry, ipv4_int
from tests.dhcp.cli.dhcpconfig.conftest import Server
from tests.rows import rows_of

PROGRESS = """\
Created DHCP configuration file.
Created dhcptab.
Added "Locale" macro to dhcptab.
Added server macro to dhcptab - install-odd.
DHCP server enabled: `twinboot serve` starts it.
"""


def test_d_writes_the_file_of_solaris_and_the_first_macros(server: Server) -> None:
    assert server.ok("-D -r SUNWfiles -p @/dhcp -h files") == PROGRESS
    assert server.conf.read_text() == (
        f"DAEMON_ENABLED=TRUE\nRESOURCE=SUNWfiles\nRUN_MODE=server\nPATH={server.store}\nCONVER=1\nHOSTS_RESOURCE=files\n"
    )
    assert server.macros() == {
        "Locale": ":UTCoffst=-18000:",
        "install-odd": ":Include=Locale:Timeserv=192.168.78.14:LeaseTim=86400:LeaseNeg:",
    }


def test_d_as_a_site_typed_it_in_2009(server: Server) -> None:
    server.ok("-D -r SUNWfiles -p @/var/dhcp -a 192.168.0.1 -d tenzer.lan -h files -l 86400")
    server.ok("-N 192.168.0.0 -m 255.255.255.0 -t 192.168.0.1")
    rows = rows_of(SunwFiles(server.root / "var" / "dhcp"), "dhcptab", TabEntry)
    assert {row.name: row.value for row in rows} == {
        "Locale": ":UTCoffst=-18000:",
        "install-odd": (
            ':Include=Locale:Timeserv=192.168.78.14:LeaseTim=86400:LeaseNeg:DNSdmain="tenzer.lan":DNSserv=192.168.0.1:'
        ),
        "192.168.0.0": ":Subnet=255.255.255.0:Router=192.168.0.1:Broadcst=192.168.0.255:",
    }


def test_d_as_the_manual_page_has_it(server: Server) -> None:
    server.ok("-D -r SUNWfiles -p @/dhcp -l 28800 -d acme.eng -a 120.30.33.4 -h dns -y acme.eng")
    assert server.conf.read_text().splitlines()[-2:] == ["HOSTS_RESOURCE=dns", "HOSTS_DOMAIN=acme.eng"]
    assert server.macros()["install-odd"].endswith(':LeaseTim=28800:LeaseNeg:DNSdmain="acme.eng":DNSserv=120.30.33.4:')
    assert server("-N 120.30.171.0 -y east.acme.eng.com -a 120.30.33.4") == 0
    assert server.out == "Added network macro to dhcptab - 120.30.171.0.\nCreated network table.\n"
    assert "netmask of 120.30.171.0 taken to be 255.255.255.0: -m gives another" in server.err
    assert server.macros()["120.30.171.0"] == (
        ':Subnet=255.255.255.0:RDiscvyF=1:Broadcst=120.30.171.255:NISdmain="east.acme.eng.com":NISservs=120.30.33.4:'
    )
    assert server.refused("-D -r SUNWbinfiles -p /var/dhcp").startswith("DHCP service is already configured")


def test_d_with_few_options_asks_the_machine(server: Server) -> None:
    server.machine = server.machine._replace(domain="example.com", dns=(ipv4_int("10.0.0.2"), ipv4_int("10.0.0.3")))
    server.ok("-D -r SUNWfiles -p @/dhcp -n")
    assert server.macros()["install-odd"] == (
        ':Include=Locale:Timeserv=192.168.78.14:LeaseTim=86400:DNSdmain="example.com":DNSserv=10.0.0.2 10.0.0.3:'
    )


def test_d_on_a_host_without_an_address_leaves_timeserv_out(server: Server) -> None:
    server.machine = server.machine._replace(address=None)
    assert server("-D -r SUNWfiles -p @/dhcp") == 0
    assert "Timeserv is left out" in server.err
    assert server.macros()["install-odd"] == ":Include=Locale:LeaseTim=86400:LeaseNeg:"


def test_the_second_server_adds_its_own_macro_and_changes_nothing_else(server: Server) -> None:
    server.configure()
    before = server.macros()
    server.conf.unlink()
    server.machine = server.machine._replace(name="install-even", utc_offset_s=0)
    assert server.ok("-D -r SUNWfiles -p @/dhcp").splitlines()[1:3] == [
        "Dhcptab already exists.",
        "Added server macro to dhcptab - install-even.",
    ]
    assert server.macros().items() > before.items()


def test_d_warns_of_a_directory_where_services_could_not_write(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhcp.cli.config_setup.is_left_to_root", lambda path: True)
    server.store.mkdir()
    assert server("-D -r SUNWfiles -p @/dhcp") == 0
    assert server.err.startswith("dhcpconfig: warning: @/dhcp belongs to root: give it to the account of the services")


def test_d_starts_the_service_where_systemd_minds_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr("dhcp.cli.service._by_unit", lambda name, action: told.append((name, action)))
    server.unit = "twinboot@dhcp.service"
    assert server.ok("-D -r SUNWfiles -p @/dhcp").endswith("DHCP server started.\n")
    assert told == [("twinboot@dhcp.service", "start")]


def test_d_that_fails_half_way_can_be_repeated(server: Server) -> None:
    server.machine = server.machine._replace(name="x" * 200)
    assert server("-D -r SUNWfiles -p @/dhcp") == 255
    assert not server.conf.exists()
    server.machine = server.machine._replace(name="install-odd")
    assert "Dhcptab already exists." in server.ok("-D -r SUNWfiles -p @/dhcp")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-D -r SUNWbinfiles -p @/dhcp", 'RESOURCE: "SUNWbinfiles" is not legal; legal: SUNWfiles'),
        ("-D -r SUNWfiles -p dhcp", 'PATH: "dhcp" is not legal; legal: an absolute directory'),
        ("-D -r SUNWfiles -p host=/run/postgresql", "-p host=/run/postgresql: SUNWfiles needs an absolute directory"),
        ("-D -r SUNWfiles -p '@/a\nOWNER_IP=1.2.3.4'", "PATH: the value holds a control character"),
        ("-D -r SUNWfiles -p @/dhcp -l 0", "-l 0: the lease value is not valid"),
        ("-D -r SUNWfiles -p @/dhcp -l 1e3", "-l 1e3: the lease value is not valid"),
        ("-D -r SUNWfiles -p @/dhcp -l 4294967295", "-l 4294967295: the lease value is not valid"),
        ("-D -r SUNWfiles -p @/dhcp -d acme.eng", "DNS domain or server information is incomplete"),
        ("-D -r SUNWfiles -p @/dhcp -d acme.eng -a ns1", "-a: 'ns1' is not a dotted IPv4 address"),
        ("-D -r SUNWfiles -p @/dhcp -d acme.eng -a ,", "-a: no address given"),
        ("-D -r SUNWfiles -p @/dhcp -d '' -a 10.0.0.1", "DNS domain or server information is incomplete"),
        ("-D -r SUNWfiles -p @/dhcp -h ldap", 'HOSTS_RESOURCE: "ldap" is not legal; legal: files, nisplus or dns'),
        ("-D -r SUNWfiles -p @/dhcp -h files -y acme.eng", "-y: a host domain needs -h dns or -h nisplus, not files"),
        ("-D -r SUNWfiles -p @/dhcp -h dns", "-h dns requires a host domain"),
        ("-D -r SUNWfiles -p @/file/dhcp", "@/file/dhcp: Not a directory"),
        ("-R ,", '-R: "" is not legal; legal: addresses or names of 1 to 16 servers'),
        ("-R 120.30.33.7,120.30.42.256", "-R: '120.30.42.256' is not a dotted IPv4 address"),
        ("-R 127.0.0.1", "-R: 127.0.0.1 is no server's address"),
        ("-R 120.30.255.255,255.255.255.255", "-R: 255.255.255.255 is no server's address"),
        ("-R no-such-host.invalid", "no host of that name is known"),
        (
            "-N 192.168.0.0",
            "DHCP service is not configured on this server (@/etc/dhcpsvc.conf): execute `dhcpconfig -D`",
        ),
    ],
)
def test_what_is_refused_before_anything_is_written(server: Server, line: str, reason: str) -> None:
    (server.root / "file").touch()
    assert reason in server.refused(line)
    assert not server.conf.exists()


def test_a_datastore_that_is_not_here_is_no_valid_resource(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_setup, "ADAPTERS", {"SUNWfiles": SunwFiles})
    said = server.refused("-D -r postgresql -p host=/run/postgresql")
    assert said == "postgresql is not a valid resource here: use SUNWfiles"


def test_the_host_s_own_name_leading_to_loopback_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "odd.example.com")
    monkeypatch.setattr("socket.gethostbyname_ex", lambda name: (name, [], ["127.0.1.1"]))
    ethernet = Interface("eth0", ipv4_int("10.0.0.9"), 0, b"", False)
    loopback = Interface("lo", ipv4_int("127.0.0.1"), 0, b"", True)
    monkeypatch.setattr(config_machine, "list_interfaces", lambda: [loopback, ethernet])
    assert config_machine.look()[:2] == ("odd", ipv4_int("10.0.0.9"))
    monkeypatch.setattr(config_machine, "list_interfaces", lambda: [loopback])
    assert config_machine.look().address is None


def test_the_name_s_address_is_taken_if_an_interface_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostbyname_ex", lambda name: (name, [], ["10.0.0.7", "10.0.0.8"]))
    found = [Interface(f"eth{last}", ipv4_int(f"10.0.0.{last}"), 0, b"", False) for last in (6, 8)]
    monkeypatch.setattr(config_machine, "list_interfaces", lambda: found)
    assert config_machine.look().address == ipv4_int("10.0.0.8")


def test_name_servers_of_loopback_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "# made by hand\nsearch example.com other.com\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nnameserver fe80::1\n"
    )
    monkeypatch.setattr(config_machine, "RESOLV_CONF", file)
    found = config_machine.look()
    assert (found.domain, found.dns) == ("example.com", (ipv4_int("10.0.0.2"),))
