"""The words of sysidcfg: one row for each question that the installer asks, with the answers it takes.

A row says what the value must be, which keywords may follow it in braces for which value, whether it may be answered
more than once, and whether the installer of Nevada stops and asks when it is not answered.

Sources: sysidcfg(4); Installation Guide: Network-Based Installations, preconfiguring with the sysidcfg file.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from jumpstart.language import shapes as is_
from jumpstart.language.shapes import Shape, any_case, either


class Detail(NamedTuple):
    """A keyword in braces. `most` values with commas; `needed`: without it the block is no answer."""

    shape: Shape
    most: int = 1
    needed: bool = False


class Block(NamedTuple):
    """What may stand in braces: keywords with values, and words that stand alone."""

    details: Mapping[str, Detail]
    flags: tuple[str, ...] = ()


class Question(NamedTuple):
    """One keyword. `blocks`: for which values braces may follow, and what is in them."""

    shape: Shape
    note: str
    blocks: tuple[tuple[Shape, Block], ...] = ()
    many: bool = False
    asked: bool = True
    old: str = ""


_NONE = any_case("NONE")
_YES_NO = any_case("yes", "no")
_NIS = Block({"domain_name": Detail(is_.domain), "name_server": Detail(is_.server)})
_DNS = Block(
    {
        "domain_name": Detail(is_.domain, needed=True),
        "name_server": Detail(is_.ipv4, most=3, needed=True),
        "search": Detail(is_.domain, most=6),
    }
)
_LDAP = Block(
    {
        "domain_name": Detail(is_.domain, needed=True),
        "profile": Detail(is_.name, needed=True),
        "profile_server": Detail(is_.ipv4, needed=True),
        "proxy_dn": Detail(is_.distinguished),
        "proxy_password": Detail(is_.word),
    }
)
_KERBEROS = Block(
    {
        "default_realm": Detail(is_.domain, needed=True),
        "admin_server": Detail(is_.host, needed=True),
        "kdc": Detail(is_.host, most=3, needed=True),
    }
)
_LINK = Block(
    {
        "hostname": Detail(is_.host),
        "ip_address": Detail(is_.ipv4),
        "netmask": Detail(is_.netmask),
        "default_route": Detail(either(is_.ipv4, _NONE)),
        "protocol_ipv6": Detail(_YES_NO),
    },
    flags=("dhcp", "primary"),
)
PRIMARY = any_case("PRIMARY")

SYSID: Mapping[str, Question] = MappingProxyType(
    {
        "keyboard": Question(is_.keyboard, "keyboard layout, such as US-English"),
        "system_locale": Question(is_.locale, "locale, as in /usr/lib/locale"),
        "timezone": Question(is_.zone_path, "time zone, as in /usr/share/lib/zoneinfo"),
        "terminal": Question(is_.terminal, "terminal type of the console"),
        "timeserver": Question(is_.host, "where the time is taken from: localhost, a host, an address"),
        "root_password": Question(is_.crypt_hash, "hash of root's password, as in /etc/shadow"),
        "security_policy": Question(
            any_case("NONE", "kerberos"), "Kerberos or not", blocks=((any_case("kerberos"), _KERBEROS),)
        ),
        "nfs4_domain": Question(is_.domain, "domain of NFS version 4 user names, or dynamic"),
        "service_profile": Question(any_case("limited_net", "open"), "network services that start"),
        "name_service": Question(
            any_case("NONE", "NIS", "NIS+", "DNS", "LDAP", "OTHER"),
            "name service",
            blocks=((any_case("NIS", "NIS+"), _NIS), (any_case("DNS"), _DNS), (any_case("LDAP"), _LDAP)),
        ),
        "network_interface": Question(
            either(any_case("NONE", "PRIMARY"), is_.link),
            "a network interface; PRIMARY is the one it boots from",
            blocks=((_NONE, Block({"hostname": Detail(is_.host)})), (either(PRIMARY, is_.link), _LINK)),
            many=True,
        ),
        "auto_reg": Question(
            is_.name,
            "registration with Sun",
            asked=False,
            old="only Solaris 10 9/10 and later know it, others ignore the whole file",
        ),
    }
)
