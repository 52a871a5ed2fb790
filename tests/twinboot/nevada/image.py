"""A Solaris install image as its documentation describes it, for tests: the names are Sun's, no byte of it is."""

from __future__ import annotations

from pathlib import Path

FILES = ("grub/pxegrub", "platform/i86pc/kernel/unix", "x86.miniroot")


def make_image(root: Path) -> Path:
    for name in FILES:
        path = root / "boot" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"fake {name}\n".encode() * 200)
    (root / "Solaris_11" / "Product").mkdir(parents=True)
    return root


HOST_LINES = """
root_mirror = ["c0t0d0s0", "c0t1d0s0"]
relocation_address = "10.77.0.21"
relocation_peers = ["10.77.0.0/24"]
root_password_hash = "$5$saltsalt$4G6TQy9bVQn0FzRrCkZ0hZQ1aKx5nYk3u1s2d3f4g56"
"""


def complete(path: Path) -> None:
    """Add to a host file what nevada needs and `twinboot host add` does not ask for."""
    head, links, rest = path.read_text().partition("[links.fe0]\n")
    path.write_text(head + HOST_LINES + links + 'device = "e1000g0"\n' + rest)
