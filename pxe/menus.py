"""Menus: the texts that a boot loader reads, rendered when they are fetched, so there is nothing to keep in step.

Rules of this room:

* One render point for each language. Every `{{ value }}` in a GRUB template passes `grub_word` on its way out
  (as the environment's `finalize`, so a template cannot forget it) and leaves as one single-quoted word: GRUB's
  shell expands nothing between single quotes, and a quote itself is written `'\\''` (GRUB manual, "Quoting").
* A value with a line end, another control character or half a surrogate pair is a `MenuError`. It is refused, not
  cleaned: a menu line never holds something that nobody wrote.
* `keyword` is the one way around the quotes, for GRUB's own command names, and it takes them from a table.
* iPXE has no quoting at all, so `ipxe_word` refuses what is not one plain word: it expands only `${...}` and splits
  only at blanks, and neither `$` nor a blank is a letter of `IPXE_WORD`.
* A menu knows all servers of the cluster: what one does not send is fetched from the next, each once, kernel and all,
  because its arguments name the server that takes the report. With one server nothing of this is in the text.
* One GRUB template for BIOS and UEFI. GRUB's modules it needs: normal, test, echo, sleep, serial, terminal,
  multiboot2, linux, gzio, chain, and http or tftp.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import DictLoader, StrictUndefined, Undefined
from jinja2.exceptions import UndefinedError
from jinja2.sandbox import SandboxedEnvironment

from jumpstart.model import Console, Hypervisor
from jumpstart.targets import BootEntry, Payload
from pxe.bootplan import UNKNOWN_MACHINE, Plan
from pxe.firmware import BIOS_CORE, EFI_CORE

TEMPLATES = Path(__file__).parent / "templates"
INSTALL_TIMEOUT_S = 1  # somebody armed it on purpose; a second is enough to see it and press a key
LOCAL_TIMEOUT_S = 3
UNKNOWN_BAUD = 115200  # what most boards' first port is set to
UNKNOWN_WAIT_S = 15  # long enough to read a MAC address off a screen
NOBODY_WAIT_S = 120  # after the last server failed: somebody may have to find the screen and read it
VALUE_CHARS_MAX = 2048  # Xen's and Linux's whole command lines end at 1024 and 2048
FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, lone surrogates, line and paragraph separators
IPXE_WORD = re.compile(r"[A-Za-z0-9_.,:=/@+~^()-]+")

LOADERS: Mapping[str, tuple[str, str]] = {
    "multiboot2": ("multiboot2", "module2 --nounzip"),  # the kernel unpacks its own initramfs, faster than GRUB would
    "linux": ("linux", "initrd"),
}
"""A boot entry's loader -> GRUB's commands for its kernel and for each further file."""
IPXE_LOADER = "multiboot2"  # by its older sibling, multiboot: Xen carries both headers
KEYWORDS = frozenset(command for commands in LOADERS.values() for command in commands)
DEVICES: Mapping[str, str] = {"http": "(http,{server})/boot/", "tftp": "(tftp,{server})/"}
"""Transport setting -> how GRUB names a file of the boot tree on this server."""


class MenuError(Exception):
    """A value that must not stand in a menu; `str()` names it in one line."""


class Source(NamedTuple):
    """A server that sends boot files: its address, and how iPXE's names of them begin (empty: beside the script)."""

    server: str
    base: str = ""


class Attempt(NamedTuple):
    """One try to boot: what to load, with arguments for this server, and from which."""

    source: Source
    entry: BootEntry


class _Step(NamedTuple):
    """One line that loads a file: GRUB's command, the file's short name for people, its GRUB path, its arguments."""

    command: str
    file: str
    path: str
    args: tuple[str, ...]


def _checked(value: object) -> str:
    if isinstance(value, Undefined):
        raise MenuError(f"the menu template uses a value that nobody gave: {value._undefined_name}")  # noqa: SLF001
    text = str(value)
    if len(text) > VALUE_CHARS_MAX:
        raise MenuError(f"{text[:40]!r}... is {len(text)} characters long; a menu takes {VALUE_CHARS_MAX}")
    if any(unicodedata.category(char) in FORBIDDEN_CATEGORIES for char in text):
        raise MenuError(f"{text[:80]!r} holds a line end or control character and cannot stand in a menu; take it out")
    return text


class _Verbatim(str):
    """One of GRUB's own words, from `KEYWORDS`."""

    __slots__ = ()


def grub_word(value: object) -> str:
    """One word of GRUB script that means exactly `value`. MenuError if no line can hold it."""
    if isinstance(value, _Verbatim):
        return value
    return "'" + _checked(value).replace("'", "'\\''") + "'"


def ipxe_word(value: object) -> str:
    """One word of an iPXE script; MenuError unless it is a plain one."""
    text = _checked(value)
    if not IPXE_WORD.fullmatch(text):
        raise MenuError(
            f"{text[:80]!r} cannot stand in an iPXE script, which has no quotes; use letters, digits and _.,:=/@+~^()-"
        )
    return text


def _keyword(value: str) -> _Verbatim:
    if value not in KEYWORDS:
        raise MenuError(f"{value!r} is not a command that menus use")
    return _Verbatim(value)


def _environment(word: Callable[[object], str], names: str) -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        loader=DictLoader({path.name: path.read_text(encoding="utf-8") for path in TEMPLATES.glob(names)}),
        undefined=StrictUndefined,
        finalize=word,
        autoescape=False,  # HTML's rules would be wrong here; `finalize` applies the language's own
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["keyword"] = _keyword
    # Read and compiled now: the account that renders later need not be able to read where the program and Python are.
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


_GRUB = _environment(grub_word, "*.cfg.j2")
_IPXE = _environment(ipxe_word, "*.ipxe.j2")


def _render(environment: SandboxedEnvironment, template: str, values: Mapping[str, object]) -> bytes:
    """The one place where a menu becomes bytes."""
    try:
        return environment.get_template(template).render(values).encode("utf-8")
    except UndefinedError as error:
        raise MenuError(f"{template}: {error}") from None


def _steps(entry: BootEntry, server: str, transport: str) -> list[_Step]:
    if entry.loader not in LOADERS:
        raise MenuError(f"no boot menu can start the loader {entry.loader!r}; use one of {', '.join(LOADERS)}")
    first, others = LOADERS[entry.loader]
    device = DEVICES[transport].format(server=server)

    def step(command: str, payload: Payload) -> _Step:
        return _Step(command, payload.file.rpartition("/")[2], device + payload.file, payload.args)

    return [step(first, entry.kernel), *(step(others, module) for module in entry.modules)]


def install_menu(host: Hypervisor, plan: Plan, attempts: Sequence[Attempt], transport: str) -> bytes:
    """The menu that installs `host`: the attempts in their order first, the local disk as a second choice.

    `transport` is "http" (port 80) or "tftp".
    """
    tries = [{"server": source.server, "steps": _steps(entry, source.server, transport)} for source, entry in attempts]
    values = {"title": attempts[0].entry.title, "attempts": tries, "wait_s": NOBODY_WAIT_S}
    return _grub_menu(host, plan, INSTALL_TIMEOUT_S, values)


def local_menu(host: Hypervisor, plan: Plan) -> bytes:
    """The menu that boots the local disk of `host`, saying why."""
    return _grub_menu(host, plan, LOCAL_TIMEOUT_S, {})


def _grub_menu(host: Hypervisor, plan: Plan, timeout_s: int, values: Mapping[str, object]) -> bytes:
    common = {
        "host": host.name,
        "plan": plan.kind.value,
        "reason": plan.reason,
        "timeout_s": timeout_s,
        **_serial(host.console),
    }
    return _render(_GRUB, "grub.cfg.j2", {**common, **values})


def unknown_menu(segment: str, target: str) -> bytes:
    """The menu of a machine that no host file knows: its MAC, the command that adds it, then the local disk."""
    values = {"reason": UNKNOWN_MACHINE.reason, "segment": segment, "target": target, "wait_s": UNKNOWN_WAIT_S}
    return _render(_GRUB, "unknown.cfg.j2", {**values, **_serial(Console(port=1, speed_baud=UNKNOWN_BAUD))})


def _serial(console: Console) -> dict[str, int]:
    return {"serial_unit": console.port - 1, "serial_speed": console.speed_baud}


def ipxe_script(others: Sequence[Source] = ()) -> bytes:
    """The first script for machines whose ROM is iPXE: on to the host's own, else to GRUB; `others` if we are gone."""
    return _render(_IPXE, "boot.ipxe.j2", {"others": others, **_CORES})


def ipxe_host_script(host: Hypervisor, plan: Plan, attempts: Sequence[Attempt], others: Sequence[Source] = ()) -> bytes:
    """The script of one host. With `attempts` (kernels of a kind that iPXE starts) it boots the first that loads.

    Any other plan goes on to GRUB and its menu: GRUB knows how to start a disk, on BIOS and on UEFI.
    """
    tries = [
        {**source._asdict(), "payloads": (entry.kernel, *entry.modules)}
        for source, entry in attempts
        if entry.loader == IPXE_LOADER
    ]
    values = {"host": host.name, "plan": plan.kind.value, "attempts": tries, "others": others}
    return _render(_IPXE, "host.ipxe.j2", {**values, **_CORES})


_CORES: Mapping[str, str] = {"bios_core": BIOS_CORE, "efi_core": EFI_CORE}
