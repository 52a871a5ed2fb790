"""The last gate before a value becomes part of a line that some other program reads: one function for each language.

Rule of the room: what a language can quote is quoted, what it cannot is refused with `ArgumentError`; a value never
becomes a second word, a second property, a second line or a command. Each function knows one language and nothing
about where its line goes. (rules, profiles and sysidcfg have `language/encode.py`, which proves what it wrote.)

Sources: POSIX.1 2.2.2 (single quotes), menu.lst(4) and GRUB legacy's manual (no quoting at all: blanks split, `#`
and line ends count), kernel(8) for `-B` (name=value, commas between; the installer's own reader has no escapes),
dhcptab(4) (`:` between items, double quotes around text), svccfg(8) (astring in double quotes).
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping

MENU_WORD = re.compile(r"[A-Za-z0-9_.,:=/@%+^()$-]+")
MENU_VARIABLES = re.compile(r"\$(?:ISADIR|ZFS-BOOTFS)(?![A-Za-z0-9_-])")
TITLE = re.compile(r"[A-Za-z0-9_.,:=/@%+()-]+(?: [A-Za-z0-9_.,:=/@%+()-]+)*")
PROPERTY_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
PROPERTY_VALUE = re.compile(r"[A-Za-z0-9_.:/@%+^-]+")
MACRO_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
MACRO_VALUE = re.compile(r"[A-Za-z0-9_./@%+-]+(?: [A-Za-z0-9_./@%+-]+)*")
ASTRING = re.compile(r"[A-Za-z0-9_.:/@%+^$()|*?\[\] -]*")


class ArgumentError(ValueError):
    """A value that would change the meaning of the line that it is to stand on."""


def sh_word(text: str) -> str:
    """One word of a POSIX shell, whatever is in it; only NUL, which no word can hold, is refused."""
    if "\0" in text:
        raise ArgumentError(f"{text!r} holds a NUL; a shell cannot have it in a word")
    return "'" + text.replace("'", "'\\''") + "'"


def sh_assignments(values: Mapping[str, str]) -> str:
    """Lines `NAME='value'` for the head of a script."""
    wrong = next((name for name in values if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name)), None)
    if wrong is not None:
        raise ArgumentError(f"{wrong!r} is no name of a shell variable; use capitals, digits and _")
    return "".join(f"{name}={sh_word(value)}\n" for name, value in values.items())


def menu_line(command: str, *words: str) -> str:
    """One line of GRUB legacy's menu. A `$` begins one of the loader's own variables or is refused."""
    for word in (command, *words):
        if not MENU_WORD.fullmatch(word.removesuffix("$") if word is command else word):
            raise ArgumentError(f"{word!r} cannot stand in a boot menu; use letters, digits and _.,:=/@%+^()- only")
        if "$" in MENU_VARIABLES.sub("", word.removesuffix("$") if word is command else word):
            raise ArgumentError(f"{word!r} holds a $ that the boot loader could expand; write it without")
    return " ".join((command, *words))


def menu_title(text: str) -> str:
    """A title line of GRUB legacy's menu: words with single blanks between them."""
    if not TITLE.fullmatch(text):
        raise ArgumentError(f"{text!r} cannot be the title of a boot menu; use plain words")
    return f"title {text}"


def boot_properties(properties: Mapping[str, str]) -> tuple[str, str]:
    """The words `-B` and `name=value,name=value` of a Solaris kernel line."""
    if not properties:
        raise ArgumentError("-B needs a property; leave it out where there is none")
    for name, value in properties.items():
        if not PROPERTY_NAME.fullmatch(name):
            raise ArgumentError(f"{name!r} is no name of a boot property; use letters, digits, _ and -")
        if not PROPERTY_VALUE.fullmatch(value):
            raise ArgumentError(
                f"{name}={value!r} would change the -B list; a value has no blank, comma, quote, = or $: rename it"
            )
    return "-B", ",".join(f"{name}={value}" for name, value in properties.items())


def macro(items: Mapping[str, str]) -> str:
    """A dhcptab macro, `:Symbol=value:Symbol=value:`; text with blanks is put into double quotes."""
    parts = []
    for symbol, value in items.items():
        if not MACRO_SYMBOL.fullmatch(symbol) or not MACRO_VALUE.fullmatch(value):
            raise ArgumentError(f"{symbol}={value!r} cannot stand in a macro; a value has no colon, quote, = or $")
        parts.append(f'{symbol}="{value}"' if " " in value else f"{symbol}={value}")
    return "".join(f":{part}" for part in parts) + ":"


def svccfg_astring(text: str) -> str:
    """The value of an SMF property as svccfg reads it: in double quotes, nothing in it that svccfg would take apart."""
    if not ASTRING.fullmatch(text):
        raise ArgumentError(f"{text!r} cannot be an SMF string; it may hold no quote, backslash, newline or backquote")
    return f'"{text}"'


def xend_pattern(peer: str) -> str:
    """The regular expression that xend matches a peer with: `192.168.78.0/24` -> `^192[.]168[.]78[.][0-9]*$`."""
    if "/" not in peer:
        plain = re.fullmatch(r"[0-9.]+", peer)
        return f"^{peer.replace('.', '[.]')}$" if plain else f"^{peer.replace('.', '[.]')}([.].*)?$"
    network = ipaddress.IPv4Network(peer)
    whole, bits = divmod(network.prefixlen, 8)
    octets = str(network.network_address).split(".")
    parts = [*octets[:whole], *("[0-9]*" for _ in octets[whole:])]
    if bits:
        first = int(octets[whole])
        parts[whole] = f"({'|'.join(str(first + step) for step in range(1 << (8 - bits)))})"
    return f"^{'[.]'.join(parts)}$"


def xend_hosts_allow(peers: Iterable[str]) -> str:
    """xend-relocation-hosts-allow: one pattern for each peer and this host itself, a blank between each two.

    xend splits at blanks and compiles each part; without the blank, the one long pattern matches no host at all.
    """
    return " ".join(("^localhost$", *map(xend_pattern, peers)))
