"""Kernel modules: which files a driver needs, and the index files that `modprobe` reads.

Debian's kernel package carries no `modules.dep`; depmod writes it at installation. What depmod knows is in the
modules themselves: the `.modinfo` section of each ELF file lists `depends=`, `softdep=` and `alias=` as
NUL-terminated strings (Linux, include/linux/module.h). So a closure is a matter of reading a few dozen files.
Only 64-bit little-endian ELF is read: the one kind an amd64 kernel has.
"""

import lzma
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

DECOMPRESS: Mapping[str, Callable[[bytes], bytes]] = {".ko": bytes, ".ko.xz": lzma.decompress}
SECTION = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr


class Module(NamedTuple):
    """One kernel module: its name with underscores, what must be loaded before it, and what devices ask for it by."""

    name: str
    path: str
    depends: tuple[str, ...]
    aliases: tuple[str, ...]


def module_name(path: str) -> str:
    """The module's name, as the kernel spells it, from its file's path."""
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def decompress(path: str, data: bytes) -> bytes:
    """The plain ELF bytes of a module file, by the ending of its name. ValueError for an ending we do not know."""
    ending = path[path.rindex(".ko") :]
    if ending not in DECOMPRESS:
        raise ValueError(f"{path} is compressed in a way this program does not read; use a Debian 12 or 13 kernel")
    return DECOMPRESS[ending](data)


def read_module(path: str, elf: bytes) -> Module:
    """Parse a module's `.modinfo`. ValueError when the bytes are not such a module."""
    try:
        strings = _section(elf, b".modinfo").split(b"\0")
    except (struct.error, IndexError):
        raise ValueError(f"{path} is not a kernel module; remove the unpacked package and build again") from None
    pairs = [text.decode("ascii", "replace").partition("=") for text in strings if text]
    depends = [name for key, _, value in pairs if key == "depends" for name in value.split(",") if name]
    soft = [name for key, _, value in pairs if key == "softdep" for name in _before(value)]
    aliases = tuple(value for key, _, value in pairs if key == "alias")
    names = dict.fromkeys(name.replace("-", "_") for name in (*depends, *soft))
    return Module(module_name(path), path, tuple(names), aliases)


def _before(softdep: str) -> list[str]:
    """The modules after `pre:` in a softdep line."""
    words = softdep.split()
    if "pre:" not in words:
        return []
    rest = words[words.index("pre:") + 1 :]
    return rest[: rest.index("post:")] if "post:" in rest else rest


def _section(elf: bytes, wanted: bytes) -> bytes:
    if elf[:6] != b"\x7fELF\x02\x01":
        raise IndexError("not 64-bit little-endian ELF")
    (table,) = struct.unpack_from("<Q", elf, 40)
    size, count, names_at = struct.unpack_from("<HHH", elf, 58)
    headers = [SECTION.unpack_from(elf, table + n * size) for n in range(count)]
    names = headers[names_at]
    for header in headers:
        start = names[4] + header[0]
        if elf[start : elf.index(b"\0", start)] == wanted:
            return elf[header[4] : header[4] + header[5]]
    raise IndexError("no such section")


def closure(wanted: Iterable[str], read: Callable[[str], Module | None]) -> dict[str, Module]:
    """Every module that the wanted ones need, each after what it depends on. `read` answers None for what is built in
    or absent."""
    found: dict[str, Module] = {}
    on_the_way: set[str] = set()

    def visit(name: str) -> None:
        if name in found or name in on_the_way:
            return
        on_the_way.add(name)
        module = read(name)
        if module is not None:
            for other in module.depends:
                visit(other)
            found[name] = module

    for name in wanted:
        visit(name)
    return found


def index_files(modules: Mapping[str, Module]) -> dict[str, bytes]:
    """`modules.dep`, `modules.alias` for these modules (all dependencies of each, nearest first, as depmod writes)."""
    dep, alias = [], []
    for module in modules.values():
        needs = [other.path for other in reversed(closure(module.depends, modules.get).values())]
        dep.append(f"{module.path}:{''.join(' ' + path for path in needs)}")
        alias += [f"alias {pattern} {module.name}" for pattern in module.aliases]
    return {"modules.dep": _text(dep), "modules.alias": _text(alias), "modules.symbols": b""}


def _text(lines: list[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()
