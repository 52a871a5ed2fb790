"""Definitions of domains: golden files of every shipped template, and no value that can break the XML."""

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guests import domainxml, schema, templatebook
from guests.domain import Disk, DomainSpec, Kind, Link, State
from guests.hypervisor import HypervisorError, Outcome
from guests.render import Frame, Template, disk_source, render
from storage.volumes import Chap

GOLDEN = Path(__file__).parent / "golden"
IQN = "iqn.1986-03.com.sun:appl-1:vm-1"
SPEC = DomainSpec(
    "appl-1:vm-1",
    "4dea22b3-1d52-4e8f-9f3c-0f6f3f0d5b01",
    Kind.PV,
    1024,
    1,
    Disk(IQN, "192.168.78.10:3260", 1),
    ("fe0", "be0"),
)
MACS = (Link("be0", "00:16:3e:64:99:4d"), Link("fe0", "00:16:3e:64:99:4c"))
HV1 = "iqn.1986-03.com.sun:01:hv1"
CASES = {
    "qemu-pv": ("qemu", Kind.PV, "kvm"),
    "qemu-hvm": ("qemu", Kind.HVM, "qemu"),
    "xen-pv": ("xen", Kind.PV, "xen"),
    "xen-hvm": ("xen", Kind.HVM, "xen"),
    "xvm-pv": ("xvm", Kind.PV, "xen"),
    "xvm-hvm": ("xvm", Kind.HVM, "xen"),
}


def made(spec: DomainSpec, family: str = "qemu", virt_type: str = "kvm", macs: tuple[Link, ...] = ()) -> str:
    source = "/static/{address}/{lun}/{iqn}" if family == "xvm" else ""
    return render(templatebook.find(family, spec.kind), spec, Frame(virt_type, HV1, source), macs)


@pytest.mark.parametrize("case", list(CASES))
def test_the_shipped_templates_make_what_they_always_made(case):
    """TWINBOOT_GOLDEN=write rewrites the files; read the difference before committing it."""
    family, kind, virt_type = CASES[case]
    text = made(SPEC._replace(kind=kind), family, virt_type, MACS)
    path = GOLDEN / f"{case}.xml"
    if os.environ.get("TWINBOOT_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("case", [name for name in CASES if not name.startswith("xvm")])
def test_libvirts_own_schema_allows_them(case):
    if not schema.RNG.exists():
        pytest.skip(schema.MISSING)
    family, kind, virt_type = CASES[case]
    chap = SPEC.disk._replace(chap=Chap("hv1", "secretsecret12"))
    for spec in (SPEC._replace(kind=kind), SPEC._replace(kind=kind, disk=chap)):
        assert schema.check(made(spec, family, virt_type), case) == ""


def test_what_the_schema_refuses_is_told():
    if not schema.RNG.exists():
        pytest.skip(schema.MISSING)
    with pytest.raises(HypervisorError, match="schema does not allow") as caught:
        schema.check(made(SPEC).replace("<vcpu>1<", "<vcpu>one<"), "template mine.xml")
    assert caught.value.outcome is Outcome.INVALID


def test_a_machine_without_the_schema_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(schema, "RNG", tmp_path / "none.rng")
    assert "libxml2-utils" in schema.check(made(SPEC), "a template")


def test_links_keep_their_addresses_by_name_and_in_their_order():
    info = domainxml.parse(made(SPEC, macs=MACS), State.OFF)
    assert info.links == (Link("fe0", "00:16:3e:64:99:4c"), Link("be0", "00:16:3e:64:99:4d"))
    assert domainxml.parse(made(SPEC), State.OFF).links == (Link("fe0", ""), Link("be0", ""))


def test_an_address_that_the_guest_had_elsewhere_goes_before_one_kept_here():
    spec = SPEC._replace(macs=(Link("be0", "52:54:00:00:00:01"),))
    assert domainxml.parse(made(spec, macs=MACS), State.OFF).links == (MACS[1], Link("be0", "52:54:00:00:00:01"))


@pytest.mark.parametrize("pattern", ["/dev/{nobody}", "{iqn.__class__}", "{iqn!r}", "{lun:>9}", "{", "{0}", "{}"])
def test_a_pattern_of_disks_has_four_fields_and_no_tricks(pattern):
    with pytest.raises(HypervisorError, match="disk_source") as caught:
        disk_source(SPEC.disk, pattern)
    assert caught.value.outcome is Outcome.INVALID


def test_a_secret_never_stands_in_a_definition():
    text = made(SPEC._replace(disk=SPEC.disk._replace(chap=Chap("hv1", "secretsecret12"))))
    assert "secretsecret12" not in text
    assert domainxml.secret_usages(text) == [IQN]


ANY = st.text(max_size=40)
SPECS = st.builds(
    DomainSpec,
    name=ANY,
    uuid=ANY,
    kind=st.sampled_from(list(Kind)),
    memory_mib=st.integers(1, 2**40),
    vcpus=st.integers(1, 4096),
    disk=st.builds(
        Disk, iqn=ANY, portal=ANY, lun=st.integers(0, 255), chap=st.none() | st.builds(Chap, user=ANY, secret=ANY)
    ),
    links=st.lists(ANY.filter(bool), min_size=1, max_size=4, unique=True).map(tuple),
    macs=st.lists(st.builds(Link, name=ANY, mac=ANY), max_size=3).map(tuple),
)


def tamed(spec: DomainSpec) -> DomainSpec:
    """A harmless domain with as many links, MAC addresses and secrets."""
    known = {link.name: link.mac for link in spec.macs}
    macs = tuple(Link(f"l{n}", "00:16:3e:00:00:01") for n, name in enumerate(spec.links) if known.get(name))
    disk = SPEC.disk._replace(chap=spec.disk.chap and Chap("hv1", "secretsecret12"))
    links = tuple(f"l{n}" for n in range(len(spec.links)))
    return SPEC._replace(kind=spec.kind, disk=disk, links=links, macs=macs)


def shape(element: ET.Element) -> list[object]:
    return [element.tag, sorted(element.attrib), [shape(child) for child in element]]


@pytest.mark.parametrize("family", ["qemu", "xen", "xvm"])
@given(spec=SPECS)
def test_no_value_breaks_the_definition(family, spec):
    """Whatever is in a name: refused in one line, or the same elements as ever, and the name read back as it was."""
    refusal: HypervisorError | None = None
    try:
        text = made(spec, family, "xen")
    except HypervisorError as error:
        refusal = error
    if refusal:
        assert refusal.outcome is Outcome.INVALID
        assert "\n" not in str(refusal)
        return
    assert shape(ET.fromstring(text)) == shape(ET.fromstring(made(tamed(spec), family, "xen")))
    info = domainxml.parse(text, State.OFF)
    assert (info.name, info.uuid, info.memory_mib) == (spec.name, spec.uuid, spec.memory_mib)


BROKEN = {
    "{{ nobody }}": "nobody",
    "{% for %}": "line 1",
    "<domain><name>{{ name }}</name></domain>": "uuid",
    "<domain><name>x</name><uuid>{{ uuid }}</uuid></domain>": "name",
    "<domain><name>{{ name }}</name><uuid>{{ uuid }}</uuid></domain>": "links fe0, be0",
    "<domain><name>{{ name }}</domain>": "no XML",
    "<other/>": "no domain",
    "{{ ''.__class__.__mro__ }}": "unsafe",
    "{{ 1 // 0 }}": "zero",
}


@pytest.mark.parametrize("text", list(BROKEN))
def test_a_template_that_will_not_do_is_refused_with_its_name(text):
    with pytest.raises(HypervisorError, match=BROKEN[text]) as caught:
        render(Template("/srv/templates/qemu/pv.xml", text), SPEC, Frame("kvm", HV1))
    assert caught.value.outcome is Outcome.INVALID
    assert str(caught.value).startswith("template /srv/templates/qemu/pv.xml: ")
    assert "\n" not in str(caught.value)


def test_the_sites_template_comes_before_ours(tmp_path: Path) -> None:
    (tmp_path / "qemu").mkdir()
    (tmp_path / "qemu" / "pv.xml").write_text("mine")
    assert templatebook.find("qemu", Kind.PV, tmp_path).text == "mine"
    assert templatebook.find("qemu", Kind.HVM, tmp_path).text.startswith("{#")
    (tmp_path / "qemu" / "pv.xml").write_bytes(b"\xff")
    with pytest.raises(HypervisorError, match="UTF-8"):
        templatebook.find("qemu", Kind.PV, tmp_path)
    (tmp_path / "qemu" / "pv.xml").unlink()
    (tmp_path / "qemu" / "pv.xml").mkdir()
    with pytest.raises(HypervisorError, match="make it readable"):
        templatebook.find("qemu", Kind.PV, tmp_path)


def test_a_uri_that_is_not_libvirts_is_refused():
    assert templatebook.family("qemu+ssh://hv1/system") == "qemu"
    assert templatebook.family("xen:///system") == "xen"
    with pytest.raises(HypervisorError, match="must begin with"):
        templatebook.family("ssh://root@hv1")
