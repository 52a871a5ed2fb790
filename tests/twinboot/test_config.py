from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from twinboot.config import KEYS, config_path, load
from twinboot.faults import ConfigError
from twinboot.storageconf import Storage

SITE = """
[site]
name = "dc1"
domain = "example.com"
share = "/net/store/twinboot"
[server]
name = "install-odd"
segment = "odd"
address = "192.168.78.14"
state = "/var/lib/twinboot"
dhcpsvc = "/etc/twinboot/dhcpsvc.conf"
[networks.public]
subnet = "192.168.76.0/24"
router = "192.168.76.1"
link = "fe"
[networks.backend]
subnet = "192.168.78.0/24"
link = "be"
[storage]
backend = "local"
[guests]
hypervisor = "libvirt"
"""


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "twinboot.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def faults_of(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert all("\n" not in line for line in caught.value.lines)
    assert all(line.startswith(f"{path}: ") for line in caught.value.lines)
    return [line.removeprefix(f"{path}: ") for line in caught.value.lines]


def test_the_reference_site_loads_as_written(written) -> None:
    config = load(written(SITE))
    assert (config.site, config.server, config.segment) == ("dc1", "install-odd", "odd")
    assert config.address == IPv4Address("192.168.78.14")
    assert [net.name for net in config.networks] == ["public", "backend"]
    own = config.network_of(config.address)
    assert own is not None
    assert own.name == "backend"
    assert config.networks[0].lease_s == 3600
    assert (config.tftp_port, config.http_port, config.transport) == (69, 80, "tftp")
    assert config.warnings == ()


def test_all_faults_are_named_at_once_with_file_and_key(written) -> None:
    text = SITE.replace('name = "dc1"', 'nmae = "dc1"').replace("192.168.76.1", "10.0.0.1")
    text = text.replace('segment = "odd"', "segment = 3").replace('backend = "local"', 'backend = "floppy"')
    found = faults_of(written(text + "[gusets]\n"))
    assert found == [
        "gusets: unknown section: did you mean guests?",
        "site.nmae: unknown key: did you mean name?",
        "site.name: missing: name of the site: both servers use the same",
        "server.segment: must be text in quotes, not 3",
        "storage.backend: 'floppy' is not one of local, zfs, zfssa",
        "networks.public.router: 10.0.0.1 is not a host address in 192.168.76.0/24: machines could not reach it",
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("192.168.76.0/24", "192.168.76.5/24", "networks.public.subnet: 192.168.76.5/24 has host bits set"),
        ("192.168.76.0/24", "192.168.76.0", "has no prefix length"),
        ("192.168.76.0/24", "192.168.76.0/31", "/31 leaves no sensible number of hosts"),
        ("192.168.76.0/24", "somewhere", "is not a subnet such as"),
        ("192.168.78.0/24", "192.168.0.0/16", "overlaps 192.168.76.0/24 of networks.public"),
        ('"192.168.78.14"', '"install-odd"', "server.address: 'install-odd' is not an IPv4 address"),
        ('"/net/store/twinboot"', '"net/store"', "site.share: 'net/store' is not absolute"),
        ('"dc1"', '"dc 1"', "site.name: 'dc 1' is not a name"),
        ('"dc1"', r'"dc\u001b1"', "site.name: must be 1 to 255 printable characters"),
        ('link = "fe"', "lease_s = true", "networks.public.lease_s: True is not a whole number"),
        ('link = "fe"', 'dns = "10.0.0.1"', "networks.public.dns: must be a list"),
        ('"/var/lib/twinboot"', f'"/{"x" * 120}"', "server.state: longer than"),
        ('"example.com"', '"example..com"', "site.domain: 'example..com' is not a domain name"),
        (
            'backend = "local"',
            'backend = "local"\nportal = "10.0.0.1:0"',
            "storage.portal: '10.0.0.1:0' is not an address",
        ),
        ('backend = "local"', 'backend = "local"\nsince = "2026"', "storage.since: '2026' is not a year and month"),
        (
            'backend = "local"',
            'backend = "local"\nauthority = "example.com"',
            "storage.authority: example.com: write iqn.",
        ),
        ('backend = "local"', 'backend = "local"\nrun = "relative"', "storage.run: 'relative' is not absolute"),
        ('backend = "local"', f'backend = "local"\nrun = "/{"x" * 100}"', "storage.run: longer than"),
        ('backend = "local"', 'backend = "local"\nchap_user = "hv"', "storage.chap_secret_file: missing: CHAP takes"),
        ('backend = "local"', 'portal = "10.0.0.1"', "storage.portal: there is no storage.backend"),
        (
            'segment = "odd"',
            'interfaces = ["eth0/1"]',
            "server.interfaces: 'eth0/1' is not the name of a network device",
        ),
    ],
)
def test_each_bad_value_gets_one_line(written, old: str, new: str, words: str) -> None:
    found = faults_of(written(SITE.replace(old, new)))
    assert len(found) == 1
    assert words in found[0]


def test_text_that_is_not_toml(written) -> None:
    assert "not TOML" in faults_of(written("[site\nname = 1"))[0]
    assert "line 2" in faults_of(written("[site]\nname = \n"))[0]
    assert "not UTF-8" in faults_of(written(b'[site]\nname = "\xff"'))[0]
    assert "larger than 1 MiB" in faults_of(written(b"#" * (1 << 21)))[0]
    assert faults_of(written("a = " + "[" * 5000))[0].startswith("not TOML")


def test_a_missing_file_says_what_to_type(tmp_path: Path) -> None:
    assert "twinboot init" in faults_of(tmp_path / "none.toml")[0]


def test_networks_may_be_left_to_the_containers(written) -> None:
    head, _, _ = SITE.partition("[networks.public]")
    config = load(written(head))
    assert (config.networks, config.warnings) == ((), ())


def test_a_value_in_the_place_of_a_section(written) -> None:
    assert faults_of(written("networks = 1\n" + SITE.partition("[networks.public]")[0]))[0].startswith(
        "networks: must be"
    )
    assert "must be a section" in faults_of(written("boot = 1\n" + SITE))[0]


def test_names_are_answered_where_there_is_a_domain(written) -> None:
    config = load(written(SITE))
    assert (config.names, config.dns_port, config.forward) == (True, 53, ())
    assert config.name_server == config.address
    off = load(written(SITE + "[names]\nenable = false\n"))
    assert (off.names, off.name_server) == (False, None)
    bare = SITE.replace('domain = "example.com"', "")
    assert load(written(bare)).names is False
    assert faults_of(written(bare + "[names]\nenable = true\n"))[0].startswith("names.enable: there is no domain")
    assert faults_of(written(SITE + '[names]\nenable = "yes"\n')) == ["names.enable: 'yes' is not true or false"]
    circle = faults_of(written(SITE + '[names]\nforward = ["10.0.0.1", "192.168.78.14"]\n'))
    assert circle == ["names.forward: 192.168.78.14 is this server: questions would go in a circle"]


def test_an_address_outside_every_network_is_only_a_warning(written) -> None:
    config = load(written(SITE.replace('"192.168.78.14"', '"10.1.1.1"')))
    assert "only relayed machines" in str(config.warnings[0])


def test_guests_are_put_where_the_patterns_say(written) -> None:
    found = load(written(SITE)).guests
    assert (found.uri, found.initiator, found.few, found.most) == (
        *("xen+ssh://root@{address}/system", "{authority}:{name}", 4, 6),
    )
    assert load(written(SITE.replace('"libvirt"', '"xl"'))).guests.uri == "ssh://root@{address}"
    wrong = SITE + 'uri = "qemu://{adress}/"\ninitiator = "{name!r}"\ndisk_source = "{"\nfew = 7\n'
    assert [fault.partition(":")[0] for fault in faults_of(written(wrong))] == [
        *("guests.uri", "guests.initiator", "guests.disk_source", "guests.few"),
    ]


def storage_of(path: Path) -> Storage:
    found = load(path).storage
    assert found is not None
    return found


def test_storage_is_where_the_state_is_and_named_as_the_domain_unless_told(written) -> None:
    found = storage_of(written(SITE))
    assert (found.root, found.run) == (Path("/var/lib/twinboot-volumes"), Path("/var/lib/twinboot-volumes/.run"))
    assert (found.portal, found.authority) == ("192.168.78.14:3260", "iqn.2026-11.com.example")
    told = 'backend = "local"\nroot = "/srv/v"\nrun = "/run/v"\nportal = "192.168.78.10"\nsince = "2009-02"\n'
    found = storage_of(written(SITE.replace('backend = "local"', told)))
    assert (found.root, found.run, found.portal) == (Path("/srv/v"), Path("/run/v"), "192.168.78.10:3260")
    assert found.authority == "iqn.2009-02.com.example"
    bare = SITE.replace('domain = "example.com"', "")
    assert storage_of(written(bare)).authority == "iqn.2026-11.internal.dc1"
    own = SITE.replace('backend = "local"', 'backend = "local"\nauthority = "iqn.1986-03.com.sun"')
    assert storage_of(written(own)).authority == "iqn.1986-03.com.sun"
    assert load(written(SITE.replace('[storage]\nbackend = "local"\n', ""))).storage is None


ZFS = 'backend = "zfs"\n[storage.zfs]\ndataset = "tank/guests"'
ZFSSA = (
    'backend = "zfssa"\nportal = "192.168.78.5"\n[storage.zfssa]\nheads = ["h1", "h2"]\npool = "pool-0"\n'
    'credentials = "/etc/twinboot/appliance"'
)


def test_a_zfs_host_and_an_appliance(written) -> None:
    zfs = storage_of(written(SITE.replace('backend = "local"', ZFS))).zfs
    assert zfs is not None
    assert (zfs.dataset, zfs.portal, zfs.exporter) == ("tank/guests", "192.168.78.14:3260", "lio")
    assert (zfs.authority, zfs.run_dir) == ("iqn.2026-11.com.example", Path("/var/lib/twinboot-volumes/.run"))
    far = ZFS.replace(
        "[storage.zfs]", 'portal = "192.168.78.5"\n[storage.zfs]\nssh = "root@nas"\nbecome = ["sudo", "-n"]'
    )
    zfs = storage_of(written(SITE.replace('backend = "local"', far))).zfs
    assert zfs is not None
    assert (zfs.ssh, zfs.become, zfs.portal) == ("root@nas", ("sudo", "-n"), "192.168.78.5:3260")
    appliance = storage_of(written(SITE.replace('backend = "local"', ZFSSA))).zfssa
    assert appliance is not None
    assert (appliance.heads, appliance.pool, appliance.transport) == (("h1", "h2"), "pool-0", "rest")
    assert storage_of(written(SITE)).zfs is None


@pytest.mark.parametrize(
    ("storage", "found"),
    [
        (
            'backend = "zfs"',
            ["storage.zfs.dataset: missing: dataset that projects are made below, `tank/guests`; required"],
        ),
        (ZFS.replace("tank/guests", "/tank"), ["storage.zfs: /tank: name a dataset, such as tank/guests"]),
        (
            ZFS + '\nssh = "root@nas"',
            ["storage.portal: missing: address:port at which the ZFS host or appliance exports"],
        ),
        (ZFS + "\nexporter = 1\nfiles = 1", ["storage.zfs.exporter", "storage.zfs.files: 1 is not true or false"]),
        (ZFS + "\nquota = 1", ["storage.zfs.quota: unknown key"]),
        (ZFS.replace('"zfs"', '"local"'), ['storage.zfs: storage.backend is "local": take this out, or change that']),
        (
            'backend = "zfssa"',
            [
                *(f"storage.zfssa.{key}: missing" for key in ("heads", "pool", "credentials")),
                "storage.portal: missing: address:port at which the ZFS host or appliance exports",
            ],
        ),
        (ZFSSA + '\ntransport = "telnet"', ["storage.zfssa.transport: 'telnet' is not one of rest, ssh"]),
        (ZFSSA.replace('"h2"', '"h2", "h3"'), ["storage.zfssa: name 1 to 2 heads"]),
        (ZFSSA.replace('["h1", "h2"]', '"h1"'), ["storage.zfssa.heads: must be a list"]),
        ('backend = "zfs"\nzfs = 1', ["storage.zfs: must be a section", "storage.zfs.dataset: missing"]),
    ],
)
def test_what_is_wrong_with_a_backends_own_section(written, storage: str, found: list[str]) -> None:
    lines = faults_of(written(SITE.replace('backend = "local"', storage)))
    assert len(lines) == len(found), lines
    assert all(line.startswith(words) for line, words in zip(lines, found, strict=True)), lines


def test_disks_over_the_public_network_are_a_warning(written) -> None:
    config = load(written(SITE.replace('backend = "local"', 'backend = "local"\nportal = "192.168.76.14"')))
    assert "storage.portal: 192.168.76.14:3260 is in networks.public" in str(config.warnings[0])


def test_where_the_configuration_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWINBOOT_CONFIG", raising=False)
    assert config_path(None) == Path("/etc/twinboot/twinboot.toml")
    monkeypatch.setenv("TWINBOOT_CONFIG", "/x.toml")
    assert config_path(None) == Path("/x.toml")
    assert config_path("/y.toml") == Path("/y.toml")


def test_every_key_is_in_the_reference() -> None:
    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    for key in KEYS:
        row = f"| `{key.name}` | {key.default_text} | {key.meaning} |"
        section = text.partition(f"## [{key.section.replace('*', 'NAME')}]")[2].partition("\n## ")[0]
        assert row in section, f"docs/configuration.md [{key.section}] needs the row: {row}"
