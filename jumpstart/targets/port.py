"""What every install target offers to the boot menus.

A target is pure: host and context in, a `BootEntry` out; no clock, no file, no socket. It speaks of *payloads*
(files with arguments), never of one boot loader's syntax; the menu templates turn them into text. `words` is the
last gate before such a template: an argument that a boot loader or kernel would split, quote or expand is an error
here and never reaches a line.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from jumpstart.model import Hypervisor
from jumpstart.quoting import ArgumentError

__all__ = ["ArgumentError", "BootContext", "BootEntry", "Net", "Payload", "Target", "words"]

# Letters that GRUB's shell, iPXE, Xen and Linux all pass on untouched: no space, quote, backslash, $, ;, {}, &, |,
# <>, #, nor the wildcards * ? [ ] which GRUB expands once its regexp module is loaded.
SAFE_WORD = re.compile(r"[A-Za-z0-9_.,:=/@%+~^()-]+")


class Payload(NamedTuple):
    """One file the boot loader fetches. `file` begins with the context's base; `args` are single words."""

    file: str
    args: tuple[str, ...]


class BootEntry(NamedTuple):
    """One thing to boot: `loader` is "multiboot2" (kernel + modules) or "linux" (kernel + initrd modules)."""

    title: str
    loader: str
    kernel: Payload
    modules: tuple[Payload, ...]


class Net(NamedTuple):
    """A network of the site: `subnet` as `10.77.0.0/24`, router (empty: none) and name servers as dotted quads."""

    subnet: str
    router: str = ""
    dns: tuple[str, ...] = ()
    domain: str = ""


class BootContext(NamedTuple):
    """What the answering server knows at the moment a menu or text is rendered.

    `server` is its own IPv4 address, `token` the armed install's secret, `base` the path in front of the target's
    file names without a final slash (`install/<token>`), `report_urls` where the machine reports, `mac` the
    address the machine boots from, when known, `boot_urls` what stands before `base` in a URL, without a final slash,
    and `networks` those that the server knows. URLs are in the order in which a machine tries them, the answering
    server first: it may be gone before the install is over, and all servers know all tokens.
    """

    server: str
    token: str
    base: str
    report_urls: tuple[str, ...]
    mac: str = ""
    boot_urls: tuple[str, ...] = ()
    networks: tuple[Net, ...] = ()


class Target(Protocol):
    """An operating system, or a trial run of one, that a hypervisor can be booted into."""

    @property
    def files(self) -> Mapping[str, str]:
        """Names below `base` -> paths below the boot directory."""

    def texts(self, host: Hypervisor, ctx: BootContext) -> Mapping[str, bytes]:
        """What is rendered for this host alone, by names below `base`; ArgumentError as for `entry`."""

    def entry(self, host: Hypervisor, ctx: BootContext) -> BootEntry:
        """The entry that boots `host`; ArgumentError when a value cannot stand on a boot line."""


def words(*args: str) -> tuple[str, ...]:
    """Return the arguments when each is one safe word; ArgumentError names the first that is not."""
    for arg in args:
        if not SAFE_WORD.fullmatch(arg):
            raise ArgumentError(f"{arg!r} cannot stand on a boot line; use letters, digits and _.,:=/@%+~^()- only")
    return args
