"""libvirt's XML as hosts of several kinds dump it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guests import domainxml
from guests.domain import Link, State

XVM = """<domain type='xen' id='3'><name>appl-1:vm-1</name><uuid>aa</uuid><memory>1048576</memory><vcpu>2</vcpu>
<devices><disk type='block' device='disk'><driver name='phy' type='iscsi'/>
<source dev='/static/192.168.78.10/0/iqn.1986-03.com.sun:appl-1:vm-1'/></disk>
<interface type='bridge'><mac address='0:16:3E:64:99:4d'/><source bridge='fe0'/></interface>
<interface type='network'><mac address='00:16:3e:00:00:01'/><source network='default'/></interface>
</devices></domain>"""


def test_an_old_dialect_is_understood():
    info = domainxml.parse(XVM, State.RUNNING)
    assert info == ("appl-1:vm-1", "aa", State.RUNNING, 1024, 2, (Link("fe0", "00:16:3e:64:99:4d"),), IQN)


IQN = "iqn.1986-03.com.sun:appl-1:vm-1"


@pytest.mark.parametrize(
    "dev",
    [
        f"/dev/disk/by-path/ip-192.168.78.10:3260-iscsi-{IQN}-lun-1",
        f"/static/192.168.78.10/0/{IQN}",
        f"/discover/{IQN}/0",
    ],
)
def test_the_target_is_found_in_a_disks_name(dev):
    assert domainxml.parse(XVM.replace(f"/static/192.168.78.10/0/{IQN}", dev), State.OFF).iqn == IQN


@pytest.mark.parametrize(
    ("words", "mib"), [("1 unit='GiB'", 1024), ("1048576 unit='KiB'", 1024), ("64 unit='MiB'", 64)]
)
def test_memory_is_read_in_its_unit(words, mib):
    number, unit = words.split(" ")
    text = f"<domain><name>a</name><uuid>u</uuid><memory {unit}>{number}</memory></domain>"
    assert domainxml.parse(text, State.OFF).memory_mib == mib


@pytest.mark.parametrize("text", ["", "<domain/>", "<network><name>a</name></network>", "<a>" * 9, "x" * (1 << 21)])
def test_what_is_no_domain_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        domainxml.parse(text, State.OFF)


@given(st.text())
def test_any_text_is_a_domain_or_a_value_error(text):
    for wrapped in (text, f"<domain><name>a</name><memory unit='{text}'>{text}</memory></domain>"):
        try:
            domainxml.parse(wrapped, State.OFF)
        except ValueError:
            continue


def test_the_other_hosts_initiator_takes_the_place_of_ours():
    source = "<source protocol='iscsi'><initiator><iqn name='a'/></initiator></source>"
    text = f"<domain><devices><disk>{source}</disk></devices></domain>"
    assert '<iqn name="b"' in domainxml.with_initiator(text, "b")


def test_states_in_virshs_words():
    assert domainxml.state("shut off\n\n") is State.OFF
    assert domainxml.state("no state") is State.RUNNING
    assert domainxml.state("pmsuspended") is State.OTHER
