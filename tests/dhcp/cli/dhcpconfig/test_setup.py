"""-D, -N, -U, -R: what is made, in which order, and what is refused before anything is written."""

from pathlib import Path

import pytest

from dhcp.cli import config_machine, config_setup, hostsfile
from dhcp.cli.dhcpconfig import USAGE
from dhcp.cli.service import Daemon
from dhcp.sockets import Interface
from storage.records import FREE_ID, Binding, Change, SunwFiles, TabEntry, ipv4_int
from tests.rows import rows_of

PROGRESS = """\
Created DHCP configuration file.
Created dhcptab.
Added "Locale" macro to dhcptab.
Added server macro to dhcptab - install-odd.
DHCP server enabled: `twinboot serve` starts it.
"""


def test_d_writes_the_file_of_solaris_and_the_first_macros(server) -> None:
    assert server.ok("-D -r SUNWfiles -p @/dhcp -h files") == PROGRESS
    assert server.conf.read_text() == (
        f"DAEMON_ENABLED=TRUE\nRESOURCE=SUNWfiles\nRUN_MODE=server\nPATH={server.store}\nCONVER=1\nHOSTS_RESOURCE=files\n"
    )
    assert server.macros() == {
        "Locale": ":UTCoffst=-18000:",
        "install-odd": ":Include=Locale:Timeserv=192.168.78.14:LeaseTim=86400:LeaseNeg:",
    }


def test_d_as_a_site_typed_it_in_2009(server) -> None:
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


def test_d_as_the_manual_page_has_it(server) -> None:
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


def test_d_with_few_options_asks_the_machine(server) -> None:
    server.machine = server.machine._replace(domain="example.com", dns=(ipv4_int("10.0.0.2"), ipv4_int("10.0.0.3")))
    server.ok("-D -r SUNWfiles -p @/dhcp -n")
    assert server.macros()["install-odd"] == (
        ':Include=Locale:Timeserv=192.168.78.14:LeaseTim=86400:DNSdmain="example.com":DNSserv=10.0.0.2 10.0.0.3:'
    )


def test_d_on_a_host_without_an_address_leaves_timeserv_out(server) -> None:
    server.machine = server.machine._replace(address=None)
    assert server("-D -r SUNWfiles -p @/dhcp") == 0
    assert "Timeserv is left out" in server.err
    assert server.macros()["install-odd"] == ":Include=Locale:LeaseTim=86400:LeaseNeg:"


def test_the_second_server_adds_its_own_macro_and_changes_nothing_else(server) -> None:
    server.configure()
    before = server.macros()
    server.conf.unlink()
    server.machine = server.machine._replace(name="install-even", utc_offset_s=0)
    assert server.ok("-D -r SUNWfiles -p @/dhcp").splitlines()[1:3] == [
        "Dhcptab already exists.",
        "Added server macro to dhcptab - install-even.",
    ]
    assert server.macros().items() > before.items()


def test_d_warns_of_a_directory_where_services_could_not_write(server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhcp.cli.config_setup.is_left_to_root", lambda path: True)
    server.store.mkdir()
    assert server("-D -r SUNWfiles -p @/dhcp") == 0
    assert server.err.startswith("dhcpconfig: warning: @/dhcp belongs to root: give it to the account of the services")


def test_d_starts_the_service_where_systemd_minds_it(server, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr("dhcp.cli.service._by_unit", lambda name, action: told.append((name, action)))
    server.unit = "twinboot@dhcp.service"
    assert server.ok("-D -r SUNWfiles -p @/dhcp").endswith("DHCP server started.\n")
    assert told == [("twinboot@dhcp.service", "start")]


def test_d_that_fails_half_way_can_be_repeated(server) -> None:
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
def test_what_is_refused_before_anything_is_written(server, line: str, reason: str) -> None:
    (server.root / "file").touch()
    assert reason in server.refused(line)
    assert not server.conf.exists()


def test_a_datastore_that_is_not_here_is_no_valid_resource(server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_setup, "ADAPTERS", {"SUNWfiles": SunwFiles})
    said = server.refused("-D -r postgresql -p host=/run/postgresql")
    assert said == "postgresql is not a valid resource here: use SUNWfiles"


@pytest.mark.parametrize(
    ("line", "macro"),
    [
        ("-N 192.168.76.0", ":Subnet=255.255.255.0:RDiscvyF=1:Broadcst=192.168.76.255:"),
        ("-N 192.168.76.0 -b", ":Subnet=255.255.255.0:RDiscvyF=1:"),
        (
            "-N 10.0.0.0 -m 255.255.254.0 -t 10.0.0.1,10.0.1.2",
            ":Subnet=255.255.254.0:Router=10.0.0.1 10.0.1.2:Broadcst=10.0.1.255:",
        ),
        ("-N 10.0.0.0", ":Subnet=255.0.0.0:RDiscvyF=1:Broadcst=10.255.255.255:"),
        ("-N 172.16.0.0", ":Subnet=255.255.0.0:RDiscvyF=1:Broadcst=172.16.255.255:"),
        ("-N 10.77.0.0", ":Subnet=255.255.0.0:RDiscvyF=1:Broadcst=10.77.255.255:"),
    ],
)
def test_n_makes_a_macro_and_an_empty_container(server, line: str, macro: str) -> None:
    server.configure()
    assert server(line) == 0
    name = line.split()[1]
    assert server.macros()[name] == macro
    assert server.rows(name) == {}
    assert server.refused(f"-N {name}") == f"network {name} is configured already: pntadm and dhtadm change it"


def test_n_takes_the_mask_from_netmasks_or_from_an_interface(server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.configure()
    config_machine.NETMASKS.write_text("# number mask\n10.1.0.0 255.255.240.0\n")
    ethernet = Interface("eth1", ipv4_int("10.2.0.9"), ipv4_int("255.255.255.128"), b"", False)
    monkeypatch.setattr(config_machine, "list_interfaces", lambda: [ethernet])
    server.ok("-N 10.1.0.0")
    server.ok("-N 10.2.0.0")
    assert server.macros()["10.1.0.0"].startswith(":Subnet=255.255.240.0:")
    assert server.macros()["10.2.0.0"].startswith(":Subnet=255.255.255.128:")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-N 192.168.76.5", "192.168.76.5 is not a valid network"),
        ("-N 192.168.76.5 -m 255.255.255.0", "is not a network number; it would be 192.168.76.0"),
        ("-N 192.168.76.0 -m 255.0.255.0", "its ones are not together"),
        ("-N 192.168.76.0 -m 255.255.255.255", "is not a netmask of /8 to /30"),
        ("-N blue", "blue is not a valid network"),
        ("-N 192.168.76.0 -m 24 -t 10.0.0.1", "-t: 10.0.0.1: no machine of 192.168.76.0 could reach it"),
        ("-N 192.168.76.0 -m 24 -t 192.168.76.300", "-t: '192.168.76.300' is not a dotted IPv4 address"),
        ("-N 192.168.76.0 -m 24 -y blue", "NIS domain or server information is incomplete"),
    ],
)
def test_n_refuses_what_makes_no_network(server, line: str, reason: str) -> None:
    server.configure()
    assert reason in server.refused(line)


def test_n_refuses_containers_of_another_version(server) -> None:
    server.configure("RESOURCE=SUNWfiles\nPATH=@/dhcp\nCONVER=0\n")
    assert "There is a version mismatch" in server.refused("-N 192.168.76.0")


def test_n_g_tells_the_daemon_and_fails_if_it_cannot(server) -> None:
    server.configure()
    assert server("-N 192.168.76.0 -m 24 -g") == 255
    assert server.err.startswith("dhcpconfig: Unable to signal the daemon to reload the dhcptab: it does not run here")
    assert "192.168.76.0" in server.macros()


def bound(server) -> None:
    server.ok("-N 192.168.76.0 -m 24")
    rows = [
        Binding(ipv4_int(f"192.168.76.{last}"), client_id, 0, 1, 0, 0, "install-odd", "")
        for last, client_id in ((10, FREE_ID), (11, b"\1abcdef"))
    ]
    SunwFiles(server.store).commit([Change("192.168.76.0", None, row) for row in rows])


def test_u_asks_and_keeps_the_datastore(server) -> None:
    server.configure()
    assert "nothing was changed" in server.refused("-U", "N\n")
    assert "nothing was changed" in server.refused("-U", "")
    said = server.ok("-U", "Y\n")
    assert said.startswith(
        "Unconfigure will stop the DHCP service and remove the DHCP configuration file.\nAre you SURE"
    )
    assert said.endswith(
        "DHCP server not running.\nDeleted the server macro from dhcptab.\nDeleted the DHCP configuration file.\n"
    )
    assert not server.conf.exists()
    assert list(server.macros()) == ["Locale"]


def test_u_keeps_a_server_macro_that_addresses_bear(server) -> None:
    server.configure()
    bound(server)
    assert server("-U -f") == 0
    assert "the server macro install-odd stays: 2 addresses bear it" in server.err
    assert "install-odd" in server.macros()


def test_u_x_tells_what_goes_and_deletes_it(server) -> None:
    server.configure()
    bound(server)
    assert "-x deletes the dhcptab and 1 networks with 1 bound addresses, for every server." in server.ok(
        "-U -x", "y\n"
    )
    assert server.out.endswith(
        "Deleted table for network 192.168.76.0.\nDeleted the dhcptab.\nDeleted the DHCP configuration file.\n"
    )
    assert SunwFiles(server.store).tables() == []


def test_u_h_deletes_the_names_of_the_addresses(server, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = server.root / "hosts"
    hosts.write_text("127.0.0.1\tlocalhost\n192.168.76.10\tvm-1 # ours\n192.168.76.12\tother\n")
    monkeypatch.setattr(hostsfile, "HOSTS_FILE", hosts)
    server.ok("-D -r SUNWfiles -p @/dhcp -h files")
    bound(server)
    hosts.write_bytes(hosts.read_bytes() + b"\xff\n")
    assert server("-U -f -x -h") == 255
    assert "@/hosts: byte 66 is not UTF-8 text" in server.err
    hosts.write_bytes(hosts.read_bytes()[:-2])
    assert "Deleted the hosts entries.\nDeleted table for network 192.168.76.0.\n" in server.ok("-U -f -x -h")
    assert hosts.read_text() == "127.0.0.1\tlocalhost\n192.168.76.12\tother\n"


def test_u_h_without_a_place_for_names_warns(server) -> None:
    server.configure()
    assert server("-U -f -h") == 0
    assert "-h: names are deleted in /etc/hosts only, and HOSTS_RESOURCE is not set" in server.err


def test_u_goes_no_further_than_a_service_it_cannot_stop(server) -> None:
    server.configure()
    server.daemon = Daemon(4711, supervised=True)
    assert server.refused("-U -f").startswith("the DHCP server runs under `twinboot serve`")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "give one of -D -R"),
        ("-Z", "give one of -D -R"),
        ("-D", "-D needs -r"),
        ("-D -r SUNWfiles", "-D needs -p"),
        ("-N", "option -N requires argument"),
        ("-U -q", "option -q not recognized"),
        ("-D -U -r a -p b", "option -U not recognized"),
        ("-N 10.0.0.0 -m 24 -m 25", "-m is given twice"),
        ("-U now", "-U takes no operands, not 1"),
        ("-D --json -r SUNWfiles -p /x", "--json does not go with -D"),
    ],
)
def test_wrong_usage_is_told_with_the_usage(server, line: str, reason: str) -> None:
    assert server(line) == 255
    first, blank, usage, *_ = server.err.splitlines()
    assert reason in first
    assert (blank, usage) == ("", "dhcpconfig [--config-file dhcpsvc.conf] function")


# -- what the machine says


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


def test_name_servers_of_loopback_are_left_out(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "# made by hand\nsearch example.com other.com\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nnameserver fe80::1\n"
    )
    monkeypatch.setattr(config_machine, "RESOLV_CONF", file)
    found = config_machine.look()
    assert (found.domain, found.dns) == ("example.com", (ipv4_int("10.0.0.2"),))


def test_the_documentation_has_the_usage_as_it_is() -> None:
    text = (Path(__file__).parents[4] / "docs" / "sun-commands.md").read_text()
    section = text.partition("\n## dhcpconfig\n")[2].partition("\n## ")[0]
    for line in USAGE.splitlines()[:-2]:
        assert f"    {line}\n" in section or not line
