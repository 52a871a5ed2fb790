from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guests import xl_text
from guests.domain import Disk, DomainSpec, Kind, Link, State
from storage.volumes.names import BadNameError

UUID = "5f0a5a0e-54fc-4b1c-a8a4-2f2f6f0a7c11"
IQN = "iqn.2026-11.test:appl-1:vm-1"
SPEC = DomainSpec("appl-1:vm-1", UUID, Kind.PV, 160, 1, Disk(IQN, "192.168.78.10:3260", 1), ("fe0", "be0"))

LIST = """Name                                        ID   Mem VCPUs	State	Time(s)
Domain-0                                     0   500     1     r-----      59.2
appl-1:vm-1                                  2   160     1     --p---       0.0
a name with blanks                           3    64     2     -b----     100.9
(null)                                       4     0     1     --ps-d       1.1
crashed                                      5    64     1     ---c--       1.1
"""
INFO = """host                   : xen-31
release                : 6.1.0-56-amd64
nr_cpus                : 1
hw_caps                : 078bf3fd:80002001:20100800:00000005:00000000:00000000:00000000:00000000
virt_caps              : pv hvm gnttab-v1 gnttab-v2
total_memory           : 1151
free_memory            : 635
xen_changeset          :
xen_version            : 4.17.7
"""


def test_a_link_keeps_its_address_and_a_new_one_gets_one_of_xens() -> None:
    first = xl_text.define(SPEC, None)
    macs = [link.mac for link in first.links]
    assert len(set(macs)) == 2
    assert all(mac.startswith("00:16:3e:") and int(mac.split(":")[3], 16) < 0x80 for mac in macs)
    told = (Link("fe0", "52:54:00:00:00:01"),)
    assert xl_text.define(SPEC._replace(macs=told), None).links[0] == told[0]
    other = first._replace(links=told)
    assert xl_text.define(SPEC, other).links == (told[0], first.links[1])


def test_a_definition_is_read_back_from_its_first_line() -> None:
    definition = xl_text.define(SPEC, None)
    found = xl_text.parse_heads(f"# other\n{xl_text.head(definition)}\nname = 1\n")
    assert found == {"appl-1:vm-1": definition}
    assert "\n" not in xl_text.head(definition)


def test_what_xl_list_says() -> None:
    rows = xl_text.parse_list(LIST)
    assert rows == {
        "appl-1:vm-1": xl_text.Row(2, 160, 1, State.PAUSED),
        "a name with blanks": xl_text.Row(3, 64, 2, State.RUNNING),
        "crashed": xl_text.Row(5, 64, 1, State.CRASHED),
    }


def test_what_xl_info_says() -> None:
    facts = xl_text.parse_info(INFO)
    assert facts[:4] == (1151, 635, 1, "Xen 4.17.7")
    assert not facts.moves_live(Kind.PV)
    assert facts._replace(caps=frozenset({"hap"})).moves_live(Kind.HVM)
    assert not facts._replace(caps=frozenset({"hap"})).moves_live(Kind.PV)
    with pytest.raises(ValueError, match="lacks 'total_memory'"):
        xl_text.parse_info("xl: command not found")


def test_what_xl_list_long_says() -> None:
    disk = {"pdev_path": f"iqn={IQN},portal=192.168.78.10:3260,lun=1"}
    nics = [{"mac": "00:16:3E:00:00:01", "bridge": "fe0"}, {"mac": "x", "bridge": "be0"}, 7]
    config = {"c_info": {"name": "other", "uuid": UUID}, "b_info": {"max_memkb": 65536}, "disks": [disk], "nics": nics}
    text = json.dumps([{"domid": 0, "config": {"c_info": {"name": "Domain-0"}}}, {"domid": 2, "config": config}])
    found = xl_text.parse_long(text)["other"]
    assert (found.uuid, found.memory_mib, found.vcpus, found.iqn) == (UUID, 64, 1, IQN)
    assert found.links == (Link("fe0", "00:16:3e:00:00:01"),)
    assert xl_text.parse_long("") == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["domid", "config", "c_info", "b_info", "name", "disks", "nics", "mac", "links"])
            | st.text(),
            inner,
        )
    ),
)


@given(JSON)
def test_no_json_breaks_the_readers(document: object) -> None:
    text = json.dumps(document)
    xl_text.parse_heads(xl_text.MARK + text)
    for row in (text, f"[{text}]"):
        try:
            xl_text.parse_long(row)
        except ValueError:
            continue


@given(st.text())
def test_no_text_breaks_the_readers(text: str) -> None:
    xl_text.parse_heads(text)
    xl_text.parse_list(text)
    for read in (xl_text.parse_long, xl_text.parse_info):
        try:
            read(text)
        except ValueError:
            continue


@given(
    st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True), st.integers(1, 2**20), st.sampled_from(Kind)
)
def test_every_definition_is_read_back(word: str, memory_mib: int, kind: Kind) -> None:
    spec = SPEC._replace(name=f"{word}:{word}", memory_mib=memory_mib, kind=kind)
    definition = xl_text.define(spec, None)
    assert xl_text.parse_heads(xl_text.head(definition)) == {spec.name: definition}


def test_a_name_that_leads_elsewhere_is_no_definition() -> None:
    strange = xl_text.define(SPEC, None)._replace(name="../../etc/passwd")
    assert xl_text.parse_heads(xl_text.head(strange)) == {}
    assert issubclass(BadNameError, ValueError)
