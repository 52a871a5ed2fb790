"""Whether a sysidcfg is good: each answer by its row of the table, and what answers say about one another.

Unknown keywords are errors, since the installer then ignores the whole file. What the installer of Nevada would stop
and ask for is one warning: an unattended install must leave no question open.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from jumpstart.language.faults import NOWHERE, Faults, shown, suggestion
from jumpstart.language.questions import PRIMARY, SYSID, Block, Question
from jumpstart.language.shapes import Shape, ipv4, netmask
from jumpstart.language.sysidcfg import Answer
from jumpstart.language.words import Word

STATIC = ("ip_address", "netmask", "default_route")
SECRET = ("root_password", "proxy_password")
"""Values that are never repeated in a message: they may be a password in clear."""


def judge_sysidcfg(answers: Sequence[Answer], faults: Faults) -> None:
    """Tell everything that is wrong with a sysidcfg."""
    seen: dict[str, Answer] = {}
    for answer in answers:
        row = SYSID.get(answer.name)
        if row is None:
            what = f"{shown(answer.keyword.text)} is no keyword of sysidcfg, which is ignored as a whole"
            faults.error(answer.keyword.at, what, suggestion(answer.keyword.text, SYSID))
            continue
        first = seen.setdefault(answer.name, answer)
        if first is not answer and not row.many:
            what = f"{answer.name} is answered on line {first.keyword.at.line} already, and the first counts"
            faults.warning(answer.keyword.at, what, "keep one of the two")
        _judge_answer(answer, row, faults)
    _judge_links([answer for answer in answers if answer.name == "network_interface"], faults)
    missing = [name for name, row in SYSID.items() if row.asked and name not in seen]
    if missing:
        what = f"the installer will stop and ask for {', '.join(missing)}"
        faults.warning(NOWHERE, what, f"add {'=..., '.join(missing)}=...")


def _judge_answer(answer: Answer, row: Question, faults: Faults) -> None:
    if row.old:
        faults.warning(answer.keyword.at, f"{answer.name}: {row.old}", "remove the line for Nevada")
    _judge_value(answer.name, answer.values[0], row.shape, faults)
    block = next((block for shape, block in row.blocks if shape.takes(answer.value)), None)
    if answer.block is not None and block is None:
        what = f"nothing in braces belongs to {answer.name}={answer.value}"
        faults.error(answer.keyword.at, what, f"write {answer.name}={answer.value} alone")
    elif block is not None:
        _judge_block(answer, block, faults)


def _judge_block(answer: Answer, block: Block, faults: Faults) -> None:
    seen: set[str] = set()
    for detail in answer.block or ():
        word = detail.keyword
        row = block.details.get(detail.name)
        if row is None and detail.name not in block.flags:
            what = f"{shown(word.text)} does not belong to {answer.name}={answer.value}"
            faults.error(word.at, what, suggestion(word.text, (*block.details, *block.flags)))
        elif row is None and detail.values:
            faults.error(word.at, f"{detail.name} takes no value", f"write {detail.name} alone")
        elif row is not None and not detail.values:
            faults.error(word.at, f"{detail.name} has no value", f"write {detail.name}={row.shape.example}")
        elif row is not None:
            for value in detail.values:
                _judge_value(detail.name, value, row.shape, faults)
            if len(detail.values) > row.most:
                what = f"{detail.name} takes {row.most} values at most"
                faults.error(detail.values[row.most].at, what, "remove the rest")
        if detail.name in seen:
            faults.warning(word.at, f"{detail.name} stands in these braces twice", "keep one of the two")
        seen.add(detail.name)
    for name, row in block.details.items():
        if row.needed and name not in seen:
            what = f"{answer.name}={answer.value} lacks {name}"
            faults.error(answer.keyword.at, what, f"add {name}={row.shape.example} in its braces")


def _judge_value(name: str, value: Word, shape: Shape, faults: Faults) -> None:
    if not shape.takes(value.text):
        said = "the value" if name in SECRET else shown(value.text)
        near = suggestion(value.text, shape.choices) if shape.choices else f"write it such as {shape.example}"
        faults.error(value.at, f"{name}: {said} is not {shape.what}", near)


def _judge_links(links: Sequence[Answer], faults: Faults) -> None:
    none = next((link for link in links if link.value.upper() == "NONE"), None)
    if none is not None and len(links) > 1:
        faults.error(none.keyword.at, "network_interface=NONE beside others", "remove it, or the others")
    named = [link for link in links if not PRIMARY.takes(link.value) and link is not none]
    first = [link for link in named if link.detail("primary")]
    if len(named) > 1 and len(first) != 1 and len(named) == len(links):
        what = f"{len(first) or 'none'} of {len(named)} interfaces is primary"
        faults.error(named[0].keyword.at, what, "write primary in the braces of exactly one")
    for link in links:
        if link is not none and link.block:
            _judge_link(link, faults)


def _judge_link(link: Answer, faults: Faults) -> None:
    given = [name for name in STATIC if link.detail(name)]
    if link.detail("dhcp"):
        if given:
            faults.error(link.keyword.at, f"dhcp beside {', '.join(given)}", "keep dhcp, or the fixed address")
        return
    if not link.detail("ip_address") and not PRIMARY.takes(link.value):
        what = f"{link.value} has neither dhcp nor ip_address"
        faults.error(link.keyword.at, what, "add dhcp, or ip_address and netmask")
    else:
        missing = [name for name in ("hostname", *STATIC, "protocol_ipv6") if not link.detail(name)]
        if missing:
            what = f"the installer will stop and ask for {', '.join(missing)} of {link.value}"
            faults.warning(link.keyword.at, what, f"add {'=..., '.join(missing)}=... in its braces")
    _judge_route(link, faults)


def _judge_route(link: Answer, faults: Faults) -> None:
    """Warn of a router that the machine cannot reach."""
    address, mask, route = (found.value if (found := link.detail(name)) else "" for name in STATIC)
    if not (ipv4.takes(address) and netmask.takes(mask) and ipv4.takes(route)):
        return
    network = IPv4Network((address, mask), strict=False)
    if IPv4Address(route) not in network:
        told = link.detail("default_route")
        assert told is not None
        faults.warning(told.keyword.at, f"the router {route} is not in {network}", "name a router of that network")
