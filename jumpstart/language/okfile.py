"""`rules.ok`: what the installer reads in place of `rules`, with the checksum that says it was checked.

The text is that of `rules` without comments, blank lines and leading blanks. One line is added,
`# version=2 checksum=N`; N is System V's `sum` of the text before it: all bytes added up, the carries folded into 16
bits twice (not BSD's rotating sum, `sum -r`).
"""

import re

CHECKSUM_LINE = re.compile(rb"^# *version=[0-9]+ +checksum=([0-9]{1,10}) *$", re.MULTILINE)


def sysv_sum(data: bytes) -> int:
    """The checksum that System V's `sum` (`sum -s`, `cksum -o 2`) prints first."""
    total = sum(data) & 0xFFFFFFFF
    folded = (total & 0xFFFF) + (total >> 16)
    return (folded & 0xFFFF) + (folded >> 16)


def stripped(rules: bytes) -> bytes:
    """`rules` as the installer wants it: each line cut at its first #, without leading blanks, and no empty lines."""
    cut = (line.partition(b"#")[0].lstrip(b" \t") for line in rules.split(b"\n"))
    return b"".join(line + b"\n" for line in cut if line.strip())


def rules_ok(rules: bytes) -> bytes:
    """The whole of `rules.ok` for these `rules`."""
    text = stripped(rules)
    return text + b"# version=2 checksum=%d\n" % sysv_sum(text)


def fault_of(found: bytes, rules: bytes) -> str:
    """What is wrong with a `rules.ok` that was found beside `rules`; empty when nothing is."""
    lines = CHECKSUM_LINE.findall(found)
    text = CHECKSUM_LINE.split(found)[0]
    if not lines:
        return "it has no checksum line"
    if int(lines[-1]) != sysv_sum(text):
        return "its checksum is not that of its text: it was edited by hand"
    return "" if text == stripped(rules) else "it is older than rules"
