"""The dom0 of live-xen, as one initramfs: busybox, our `/init`, NIC drivers of the kernel that goes with it.

The drivers are those of servers people rack, not all that Linux has: the image crosses the wire at every trial.
A driver that this kernel lacks is left out quietly, because names come and go between kernel versions. Cards whose
driver needs a firmware file (bnx2, bnx2x, some tg3) work as far as their own flash carries them.
"""

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path

from jumpstart import newc
from jumpstart.kmodules import Module, closure, decompress, index_files, module_name, read_module

DRIVERS = (
    *("e1000", "e1000e", "igb", "igbvf", "igc", "ixgbe", "ixgbevf", "i40e", "iavf", "ice"),  # Intel
    *("tg3", "bnx2", "bnx2x", "bnxt_en", "mlx4_en", "mlx5_core"),  # Broadcom, NVIDIA
    *("r8169", "8139cp", "8139too", "forcedeth", "sky2", "atlantic", "be2net"),  # desktops, older Sun and HP servers
    *("virtio_net", "virtio_pci", "vmxnet3", "xen_netfront"),  # a hypervisor tried inside another one
    *("xenfs", "xen_privcmd", "xen_evtchn"),  # what a dom0 asks its hypervisor through
)
LIVE = Path(__file__).parent / "live"
LIVE_FILES: Mapping[str, Path] = {"init": LIVE / "init", "bin/lease": LIVE / "lease"}
GZIP_LEVEL = 9


def build(busybox: bytes, module_tree: Path) -> bytes:
    """The gzipped archive. `module_tree` is the package's `lib/modules/<release>`; ValueError for a strange module."""
    entries = {"bin/busybox": newc.executable(busybox), "bin/sh": newc.link_to("busybox")}
    entries |= {name: newc.executable(path.read_bytes()) for name, path in LIVE_FILES.items()}
    entries |= dict.fromkeys(("dev", "etc", "proc", "run", "sys", "tmp"), newc.DIRECTORY)
    entries |= modules(module_tree, DRIVERS)
    return gzip.compress(newc.archive(entries), GZIP_LEVEL, mtime=0)


def modules(tree: Path, wanted: Iterable[str]) -> dict[str, newc.Entry]:
    """The wanted drivers of a package's `lib/modules/<release>` and all that they need, with modprobe's index."""
    paths = {module_name(str(path)): path for path in sorted(tree.rglob("*.ko*"))}
    contents: dict[str, bytes] = {}

    def read(name: str) -> Module | None:
        if name not in paths:
            return None
        path = paths[name]
        contents[name] = decompress(path.name, path.read_bytes())
        plain = str(path.relative_to(tree)).partition(".ko")[0] + ".ko"
        return read_module(plain, contents[name])

    found = closure(wanted, read)
    home = f"lib/modules/{tree.name}"
    entries = {f"{home}/{module.path}": newc.regular(contents[module.name]) for module in found.values()}
    return entries | {f"{home}/{name}": newc.regular(data) for name, data in index_files(found).items()}
