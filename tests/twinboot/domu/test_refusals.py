"""What is typed wrongly is told with the way out, and changes nothing."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("domu-clone masters/osol-0811@version-10 appl-1/vm-2", "did you mean masters/osol-0811@version-01?"),
        ("domu-clone masters/osol-0811 appl-1/vm-2", "add which one after '@'"),
        ("domu-clone masters/osol-0811@version-01 apl-1/vm-2", "did you mean appl-1?"),
        ("domu-clone masters/osol-0811@version-01 appl-1:vm-2", "write appl-1/vm-2"),
        ("domu-clone masters/osol-0811@version-01 appl-1/VM_2", "did you mean vm-2?"),
        ("domu-clone masters/osol-0811@version-01 appl-1/vm-1", "is there already, cloned from masters/osol-0811"),
        ("domu-init pw fe-be odd 1024 1 appl-1/vm-1", "'pw' is no kind of guest: use one of hvm, pv"),
        ("domu-init pv fe-bee odd 1024 1 appl-1/vm-1", "'bee' is no link"),
        ("domu-init pv fe-fe odd 1024 1 appl-1/vm-1", "a link stands there twice"),
        ("domu-init pv fe-be evn 1024 1 appl-1/vm-1", "did you mean even?"),
        ("domu-init pv fe-be odd 1G 1 appl-1/vm-1", "memory in MiB '1G': write a whole number from 16"),
        ("domu-init pv fe-be odd 1024 0 appl-1/vm-1", "number of processors '0'"),
        ("domu-init pv fe-be odd 2048 1 appl-1/vm-1", "is defined already, with memory_mib 1024, not 2048"),
        ("domu-init pv fe-be odd 1024 1 appl-1/vm-2", "did you mean appl-1:vm-1?"),
        ("domu-init pv fe-be odd 99999 1 appl-1/big", "no such guest"),
        ("domu-assign-ip appl-1:vm1 fe0 a 192.168.76.71", "did you mean appl-1:vm-1?"),
        ("domu-assign-ip appl-1:vm-1 fe1 a 192.168.76.71", "use one of be0, fe0"),
        ("domu-assign-ip appl-1:vm-1 fe0 a_b 192.168.76.71", "is no host name"),
        ("domu-assign-ip appl-1:vm-1 fe0 a 192.168.76", "is no address"),
        ("domu-assign-ip appl-1:vm-1 fe0 a 192.168.78.71", "it is in backend, the network of be0"),
        ("domu-assign-ip appl-1:vm-1 fe0 a 192.168.76.99", "`pntadm -A 192.168.76.99 192.168.76.0`"),
        ("domu-assign-ip appl-1:vm-1 fe0 hv1 192.168.76.71", "hv1 is the name of host hv1: choose another"),
        ("domu-assign-ip appl-1:vm-1 fe0 a 192.168.76.255", "is no host's address in 192.168.76.0/24"),
        ("domu-migrate appl-1:vm-1 hv3", "it is on segment even: choose a host of segment odd"),
        ("domu-migrate appl-1:vm-1 hv", "'hv' is no host"),
        ("domu-start appl-1:vm-2", "did you mean appl-1:vm-1?"),
        ("domu-show appl-1/vm-9", "did you mean appl-1:vm-1?"),
        ("domu-list apl-1", "did you mean appl-1?"),
        ("domu-up masters/osol-0811@version-01 appl-1/x --fe vm-x", "write HOST-NAME=ADDRESS"),
        ("domu-up masters/osol-0811@version-01 appl-1/x --fe a=192.168.76.72 --address fe0=b=192.168.76.73", "twice"),
        ("domu-project a/b", "a project is one word"),
    ],
)
def test_what_is_wrong_is_told_with_the_way_out(settled, line, words):
    assert words in settled.fails(line)


def test_after_all_refusals_there_is_nothing_to_mend(settled):
    assert "no findings: 1 guests" in settled.ok("domu-fsck")


def test_a_guest_that_no_host_can_take_is_told_why_of_each(guests):
    guests.ok("domu-project appl-1")
    guests.ok("domu-clone masters/osol-0811@version-01 appl-1/vm-1")
    said = guests.fails("domu-init pv fe-be odd 99999 1 appl-1/vm-1")
    assert "domu-init: hv1: 14336 MiB are left of 16384, 99999 are wanted" in said
    assert "domu-init: hv2: " in said
