import lzma
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpstart.kmodules import Module, closure, decompress, index_files, read_module

Elf = Callable[..., bytes]


def test_modinfo_is_read(elf: Elf) -> None:
    data = elf(
        "license=GPL", "depends=mdio,lib-phy", "softdep=pre: realtek post: other", "alias=pci:v1*", "alias=pci:v2*"
    )
    module = read_module("kernel/net/r8169-x.ko", data)
    assert module == Module("r8169_x", "kernel/net/r8169-x.ko", ("mdio", "lib_phy", "realtek"), ("pci:v1*", "pci:v2*"))


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda data: b"\x7fELF\x02\x01" + data))
@settings(max_examples=200, deadline=None)
def test_any_other_bytes_are_one_clear_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a kernel module"):
        read_module("x.ko", data)


def test_files_are_decompressed_by_their_ending() -> None:
    assert decompress("a.ko", b"x") == b"x"
    assert decompress("a.ko.xz", lzma.compress(b"x")) == b"x"
    with pytest.raises(ValueError, match="Debian 12 or 13"):
        decompress("a.ko.zst", b"x")


KNOWN = {
    "a": Module("a", "k/a.ko", ("b", "c"), ("pci:a*",)),
    "b": Module("b", "k/b.ko", ("c", "builtin"), ()),
    "c": Module("c", "k/c.ko", ("a",), ()),  # a loop, which a hand-made tree may have, ends
    "d": Module("d", "k/d.ko", (), ("pci:d*",)),
}


def test_a_closure_holds_each_module_once_after_what_it_needs() -> None:
    assert list(closure(["d", "a", "d", "nothing"], KNOWN.get)) == ["d", "c", "b", "a"]


def test_the_index_names_dependencies_nearest_first() -> None:
    files = index_files(
        {name: KNOWN[name]._replace(depends=deps) for name, deps in (("c", ()), ("b", ("c",)), ("a", ("b",)))}
    )
    assert files["modules.dep"] == b"k/c.ko:\nk/b.ko: k/c.ko\nk/a.ko: k/b.ko k/c.ko\n"
    assert files["modules.alias"] == b"alias pci:a* a\n"
