"""Machines that boot an installer, for benchmarks/installs.py: each a process with an address of its own.

They fetch what the real ones fetch, in that order and by real sockets, and take their time over every block as the
real ones do; `PACES` says how much and where it comes from. Bytes are counted and thrown away.
"""

from __future__ import annotations

import http.client
import multiprocessing
import re
import socket
import time
from collections.abc import Callable, Sequence
from multiprocessing.pool import Pool
from typing import NamedTuple

RECEIVE_BYTES = 1 << 20
TFTP_WAIT_S = 5.0
REPEATS_MAX = 8


class Pace(NamedTuple):
    """How a boot loader fetches by TFTP: bytes in a block, and what it needs for itself between two of them."""

    blksize: int
    block_s: float


FIRMWARE = Pace(1468, 0.0002)
GRUB = Pace(1024, 0.0002)  # measured: GRUB on OVMF in QEMU takes 38 MB in 8 to 9 s
PXEGRUB = Pace(1408, 0.0002)  # its block size as documented; the pace is GRUB's


class Machine(NamedTuple):
    """One machine: its own address, its MAC, the server's, and the token that its script bears."""

    address: str
    mac: str
    server: str
    token: str


class Took(NamedTuple):
    """Seconds from power-on until the kernel was there, until the report was taken, and the bytes fetched."""

    loaded_s: float
    done_s: float
    fetched_bytes: int


def tftp(machine: Machine, name: str, pace: Pace) -> bytes:
    """One file, block by block. RuntimeError when the server refuses or falls silent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((machine.address, 0))
        sock.settimeout(TFTP_WAIT_S)
        packet, peer = b"\0\1" + name.encode() + b"\0octet\0blksize\0%d\0" % pace.blksize, (machine.server, 69)
        parts, block, repeats = [], 0, 0
        while True:
            sock.sendto(packet, peer)
            try:
                data, peer = sock.recvfrom(65536)
            except TimeoutError:
                repeats += 1
                if repeats > REPEATS_MAX:
                    raise RuntimeError(f"{name}: the server says nothing") from None
                continue
            if data[1] == 6:
                packet = b"\0\4\0\0"
            elif data[1] != 3:
                raise RuntimeError(f"{name}: {data[4:-1].decode(errors='replace')}")
            elif data[2:4] == (block + 1 & 0xFFFF).to_bytes(2, "big"):
                block += 1
                parts.append(data[4:])
                packet = b"\0\4" + data[2:4]
                if len(data) < pace.blksize + 4:
                    sock.sendto(packet, peer)
                    return b"".join(parts)
                time.sleep(pace.block_s)


def http_bytes(machine: Machine, path: str, body: bytes | None = None, *, keep: bool = False) -> tuple[int, bytes]:
    """Length and, if wanted, content of an answer; RuntimeError unless it is 200."""
    door = http.client.HTTPConnection(machine.server, 80, timeout=60, source_address=(machine.address, 0))
    door.request("POST" if body else "GET", path, body=body)
    answer = door.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {answer.read(200)!r}")
    if keep:
        data = answer.read()
        return len(data), data
    count, room = 0, bytearray(RECEIVE_BYTES)
    while got := answer.readinto(room):
        count += got
    door.close()
    return count, b""


def boot_debian(machine: Machine) -> Took:
    """UEFI firmware, GRUB, the installer, the report."""
    began = time.monotonic()
    count = len(tftp(machine, "grub/x86_64-efi/core.efi", FIRMWARE))
    menu = tftp(machine, f"grub/grub.cfg-01-{machine.mac.replace(':', '-')}", GRUB).decode()
    token = re.findall(r"install/([0-9a-f]{32})/vmlinuz", menu)[0]
    for file in ("vmlinuz", "installer.img"):
        count += len(tftp(machine, f"install/{token}/{file}", GRUB))
    loaded = time.monotonic()
    for file in ("install", "root.tar.zst", "overlay.tar", "early.cpio"):
        count += http_bytes(machine, f"/boot/install/{token}/{file}")[0]
    http_bytes(machine, f"/report/{token}", b"outcome=installed\n")
    return Took(loaded - began, time.monotonic() - began, count)


def boot_nevada(machine: Machine) -> Took:
    """PXE ROM, pxegrub, kernel and miniroot, the JumpStart files, the report."""
    began = time.monotonic()
    own = "01" + machine.mac.replace(":", "").upper()
    count = len(tftp(machine, own, FIRMWARE))
    menu = tftp(machine, f"menu.lst.{own}", PXEGRUB).decode()
    for line in menu.splitlines():
        words = line.replace("$ISADIR", "").split()
        if words and words[0].rstrip("$") in ("kernel", "module"):
            count += len(tftp(machine, words[1], PXEGRUB))
    loaded = time.monotonic()
    # By NFS in a real install, as files of the share; here by the door that needs the token.
    for file in ("rules.ok", "profile", "sysidcfg", "begin", "finish"):
        count += http_bytes(machine, f"/boot/install/{machine.token}/jumpstart/{file}")[0]
    http_bytes(machine, f"/report/{machine.token}", b"outcome=installed\n")
    return Took(loaded - began, time.monotonic() - began, count)


BOOTS: dict[str, Callable[[Machine], Took]] = {"debian": boot_debian, "nevada": boot_nevada}


def boot(kind: str, machines: Sequence[Machine]) -> tuple[list[Took], float]:
    """Switch the machines on at once; what each took, and the seconds until the last was done."""
    pool: Pool
    with multiprocessing.get_context("fork").Pool(len(machines)) as pool:
        pool.map(time.sleep, [0.2] * len(machines), chunksize=1)  # every process is there
        began = time.monotonic()
        took = pool.map(BOOTS[kind], machines, chunksize=1)
        return took, time.monotonic() - began
