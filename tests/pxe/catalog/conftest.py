"""What the tests of the catalog ask it, and what it answers."""

import pytest

from pxe.content import FileContent, Refused, TextContent
from pxe.installs import arm
from pxe.report import parse
from storage.records import Install, Records, ipv4_int
from tests.pxe.conftest import T0_S, Rig

CLIENT = "10.0.0.50"
OK = parse(b"outcome=installed\nhost=hv1\n")


def text(rig: Rig, name: str, client: str = CLIENT) -> str:
    content = rig.catalog.resolve(name, client)
    assert isinstance(content, TextContent)
    return content.data.decode()


def fetch(rig: Rig, name: str) -> bytes:
    content = rig.catalog.resolve(name, CLIENT)
    assert isinstance(content, FileContent)
    with open(content.fd, "rb") as file:
        return file.read()


def refusal(rig: Rig, name: str) -> Refused:
    with pytest.raises(Refused) as caught:
        rig.catalog.resolve(name, CLIENT)
    assert "\n" not in str(caught.value)
    return caught.value


def arm_hv1(records: Records) -> str:
    return arm(records, "hv1", "live-xen", T0_S, ipv4_int("10.0.0.1")).token


def state(records: Records) -> str:
    (row,) = records.read("installs").rows
    assert isinstance(row, Install)
    return row.state
