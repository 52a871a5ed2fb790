"""What pntadm cannot do is said in one line, with Sun's exit codes."""

import pytest

from tests.dhcp.cli.conftest import Shell
from tests.dhcp.cli.pntadm.conftest import NET


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("-C 10.0.0.0", 1, "it is there already"),
        ("-A 10.0.0.5 10.0.0.0", 1, "10.0.0.0 has 10.0.0.5 already: change it with -M"),
        ("-M 10.0.0.5 -n 10.0.0.6 10.0.0.0", 1, "already has 10.0.0.6"),
        ("-M 10.0.0.77 -f 1 10.0.0.0", 2, "10.0.0.0 has no 10.0.0.77: add it with -A"),
        ("-D 10.0.0.77 10.0.0.0", 2, "10.0.0.0 has no 10.0.0.77"),
        ("-R 10.9.0.0", 2, "there is no network 10.9.0.0: create it with -C; -L lists all"),
        ("-P 10.9.0.0", 2, "there is no network 10.9.0.0"),
        ("-A 10.9.0.1 10.9.0.0", 2, "there is no network 10.9.0.0"),
        ("-C 10.0.0.5", 3, "is an address, not the number of a network"),
        ("-C 0.0.0.0", 3, "not the number of a network"),
        ("-C 10.0.0", 3, "'10.0.0' is not a dotted IPv4 address"),
        ("-C installs", 3, '"installs" is no network'),
        ("-C ''", 3, '"" is no network'),
        ("-A 010.0.0.9 10.0.0.0", 3, "is not"),
        ("-A 10.0.0 10.0.0.0", 3, "'10.0.0' is not a dotted IPv4 address"),
        ("-A '' 10.0.0.0", 3, "is no address, and no host of that name is known"),
        ("-A no-such-host 10.0.0.0", 3, '"no-such-host" is no address, and no host of that name is known'),
        ("-A 192.168.1.1 10.0.0.0", 3, "10.0.0.0: the address cannot lie in a network numbered 10.0.0.0"),
        ("-A 10.1.0.5 10.1.0.0", 3, "10.1.0.5 is no host's address in 10.1.0.0: its last one is 10.1.0.2"),
        ("-A 10.1.0.0 10.1.0.0", 3, "is no host's address"),
        ("-A 10.1.0.3 10.1.0.0", 3, "is no host's address"),
        ("-M 10.0.0.5 -n 192.168.1.1 10.0.0.0", 3, "cannot lie in a network"),
        ("-A 10.0.0.9 -f 16 10.0.0.0", 3, "flags 16: a number from 00 to 15"),
        ("-A 10.0.0.9 -f 0x3 10.0.0.0", 3, 'flags "0x3": write DYNAMIC+PERMANENT'),
        ("-A 10.0.0.9 -f '' 10.0.0.0", 3, 'flags ""'),
        ("-A 10.0.0.9 -f MANUAL+ 10.0.0.0", 3, 'flags "MANUAL+"'),
        ("-A 10.0.0.9 -i 0100144f000001 10.0.0.0", 3, "pairs of 0-9 and A-F in capitals"),
        ("-A 10.0.0.9 -i 010 10.0.0.0", 3, "pairs of 0-9 and A-F in capitals"),
        ("-A 10.0.0.9 -i 0x01 10.0.0.0", 3, "pairs of 0-9 and A-F in capitals"),
        (f"-A 10.0.0.9 -i {'00' * 65} 10.0.0.0", 3, "client id has 65 bytes: at most 64 fit"),
        (f"-A 10.0.0.9 -i {'x' * 65} -a 10.0.0.0", 3, "client id has 65 bytes: at most 64 fit"),
        ("-A 10.0.0.9 -i é -a 10.0.0.0", 3, "with -a give ASCII text"),
        ("-A 10.0.0.9 -e 13/01/2030 10.0.0.0", 3, "mm/dd/yyyy"),
        ("-A 10.0.0.9 -e 02/30/2030 10.0.0.0", 3, "mm/dd/yyyy"),
        ("-A 10.0.0.9 -e 01/01/30 10.0.0.0", 3, "mm/dd/yyyy"),
        ("-A 10.0.0.9 -e 2030-01-01 10.0.0.0", 3, "mm/dd/yyyy"),
        ("-A 10.0.0.9 -e -2 10.0.0.0", 3, "mm/dd/yyyy"),
        ("-A 10.0.0.9 -e 01/01/2107 10.0.0.0", 3, "a day from 1970 to 2106 fits"),
        ("-A 10.0.0.9 -e 12/31/1969 10.0.0.0", 3, "a day from 1970 to 2106 fits"),
        (f"-A 10.0.0.9 -c {'x' * 49} 10.0.0.0", 3, "comment has 49 bytes, at most 48 fit"),
        (f"-A 10.0.0.9 -m {'x' * 129} 10.0.0.0", 3, "macro has 129 bytes, at most 128 fit"),
        ("-A 10.0.0.9 -m 'x\\' 10.0.0.0", 3, "ends in a backslash"),
        ("-A 10.0.0.9 -c 'x\ny' 10.0.0.0", 3, "line feed"),
        ("-A 10.0.0.9 -m none -y 10.0.0.0", 3, "there is no macro none in the dhcptab: add it with dhtadm"),
        ("-A 10.0.0.9 -s no-such-host 10.0.0.0", 3, "no host of that name is known: give its address"),
        ("-A 10.0.0.9 -h 'bad name' 10.0.0.0", 3, '"bad name" is no host name'),
        ("-M 10.0.0.5 -m none -y 10.0.0.0", 3, "there is no macro none"),
        ("", 4, "give one of -C -A -M -D -R -P -L -B"),
        ("-C", 4, "-C takes 1 operand, not 0"),
        ("-L 10.0.0.0", 4, "-L takes no operands, not 1"),
        ("-A 10.0.0.9", 4, "-A takes 1 operand, not 0"),
        ("-A 10.0.0.9 10.0.0.0 x", 4, "-A takes 1 operand, not 2"),
        ("-A 10.0.0.9 -a 10.0.0.0", 4, "give it with -i"),
        ("-A 10.0.0.9 -y 10.0.0.0", 4, "name it with -m"),
        ("-A 10.0.0.9 -n 10.0.0.8 10.0.0.0", 4, "-n does not go with -A"),
        ("-M 10.0.0.5 10.0.0.0", 4, "-M needs something to change"),
        ("-M 10.0.0.5 -f 1 -f 2 10.0.0.0", 4, "-f is given twice"),
        ("-P -v -x 10.0.0.0", 4, "give -v or -x, not both"),
        ("-D 10.0.0.5 -m x 10.0.0.0", 4, "-m does not go with -D"),
        ("-Q", 4, "option -Q not recognized"),
        ("-A", 4, "option -A requires argument"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(net: Shell, line: str, code: int, words: str) -> None:
    net.ok("dhtadm -C")
    net.ok("dhtadm -A -m 10.1.0.0 -d ':Subnet=255.255.255.252:'")
    net.ok("pntadm -C 10.1.0.0")
    for address in ("10.0.0.5", "10.0.0.6"):
        net.ok(f"pntadm -A {address} 10.0.0.0")
    before = net.rows(NET)
    found, text = net.refused(f"pntadm {line}")
    assert found == code
    assert words in text
    assert text.startswith("pntadm: ")
    assert ("\n\npntadm [-r resource]" in net.err) == (code == 4)
    assert net.rows(NET) == before
