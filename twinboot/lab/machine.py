"""One bare-metal machine, played by QEMU: firmware, cards, disk, serial console to a file.

`argv` is pure. The processor model matters: Xen's dom0 needs more than `qemu64` offers in places and breaks on `max`
under software emulation; `Nehalem-v1` is of the age of the reference site's X4150 and boots everywhere.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from twinboot.lab.isolate import LabError

OVMF = (Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd"))
"""UEFI firmware and the pristine copy of its variables (Debian package ovmf)."""

EMULATION = "tcg,thread=multi"
"""QEMU's software emulation: slow, and the same on every machine."""

STOP_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Card:
    """A network card: its MAC and the tap device that is its cable."""

    mac: str
    tap: str


@dataclass(frozen=True, slots=True)
class Spec:
    """What a machine is made of. `firmware` is `bios` (iPXE ROM on an e1000) or `uefi` (OVMF's own PXE client).

    `mirror` are disks to install on, which the machine sees by their files' stems as serial numbers; without
    `keep_writes` they forget at power-off what was written.
    """

    name: str
    firmware: str
    cards: tuple[Card, ...]
    memory_mib: int = 1536
    disk: Path | None = None
    cpus: int = 1
    accel: str = EMULATION
    mirror: tuple[Path, ...] = ()
    network_boot: bool = True
    keep_writes: bool = True


def argv(spec: Spec, serial: Path, nvram: Path) -> list[str]:
    """Return QEMU's command line for `spec`; its serial port is appended to `serial`, UEFI variables are in `nvram`."""
    base = ["qemu-system-x86_64", "-name", spec.name, "-accel", spec.accel, "-cpu", _cpu(spec)]
    base += ["-smp", str(spec.cpus), "-m", str(spec.memory_mib), "-display", "none", "-monitor", "none"]
    base += ["-nodefaults", "-no-reboot", "-serial", f"file:{serial}", "-device", "virtio-rng-pci"]
    base += _FIRMWARE[spec.firmware](nvram)
    for number, card in enumerate(spec.cards):
        base += ["-netdev", f"tap,id=n{number},ifname={card.tap},script=no,downscript=no"]
        base += ["-device", _card(spec, number, card)]
    if spec.disk:
        base += ["-drive", f"if=none,id=d0,format=raw,file={spec.disk}"]
        base += ["-device", "virtio-blk-pci,drive=d0,bootindex=9"]
    for number, path in enumerate(spec.mirror):
        forget = "" if spec.keep_writes else ",snapshot=on"
        # A test machine's disks need not survive the power cut of its host: QEMU may leave out every flush.
        base += ["-drive", f"if=none,id=m{number},format=raw,file={path},cache=unsafe,discard=unmap{forget}"]
        base += ["-device", f"virtio-blk-pci,drive=m{number},serial={path.stem},bootindex={2 + number}"]
    return base


def _cpu(spec: Spec) -> str:
    return "host" if spec.accel.startswith("kvm") else "Nehalem-v1"


def _bios(_nvram: Path) -> list[str]:
    return ["-machine", "pc"]


def _uefi(nvram: Path) -> list[str]:
    flash = "if=pflash,format=raw"
    return [
        "-machine",
        "q35",
        "-drive",
        f"{flash},readonly=on,file={OVMF[0]}",
        "-drive",
        f"{flash},file={nvram}",
    ]


_FIRMWARE = {"bios": _bios, "uefi": _uefi}


def _card(spec: Spec, number: int, card: Card) -> str:
    # The ROM of the first BIOS card is iPXE; under UEFI an empty romfile leaves the firmware its own PXE client.
    model = "e1000" if spec.firmware == "bios" else "virtio-net-pci"
    rom = "" if spec.firmware == "bios" and number == 0 else ",romfile="
    boot = ",bootindex=1" if number == 0 and spec.network_boot else ""
    return f"{model},netdev=n{number},mac={card.mac}{rom}{boot}"


class Machine:
    """A machine that can be switched on and off. Its disk and UEFI variables stay between power cycles."""

    def __init__(self, spec: Spec, directory: Path) -> None:
        self.spec = spec  # may be replaced while the machine is off
        self.serial = directory / f"{spec.name}.serial"
        self._nvram = directory / f"{spec.name}.nvram"
        self._process: subprocess.Popen[bytes] | None = None

    def power_on(self) -> None:
        """Switch on. The serial file begins anew. Raises LabError when QEMU or the firmware is missing."""
        if not shutil.which("qemu-system-x86_64"):
            raise LabError("qemu-system-x86_64 is missing: apt-get install qemu-system-x86 ipxe-qemu ovmf")
        if self.spec.firmware == "uefi" and not self._nvram.exists():
            if not OVMF[1].exists():
                raise LabError(f"{OVMF[1]} is missing: apt-get install ovmf")
            shutil.copyfile(OVMF[1], self._nvram)
        self.serial.write_bytes(b"")
        with self.serial.with_suffix(".qemu").open("wb") as complaints:
            self._process = subprocess.Popen(
                argv(self.spec, self.serial, self._nvram),
                stdin=subprocess.DEVNULL,
                stdout=complaints,
                stderr=complaints,
            )

    def running(self) -> bool:
        """Say whether the machine is switched on."""
        return self._process is not None and self._process.poll() is None

    def cpu_s(self) -> float:
        """Processor time that QEMU has used since power-on, user and system (proc_pid_stat(5)); 0 when it has ended."""
        if self._process is None or not self.running():
            return 0.0
        try:
            text = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return 0.0
        fields = text.rpartition(")")[2].split()  # the name before may hold blanks
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def power_off(self) -> None:
        """Pull the plug: what a rack's power switch does. Harmless when already off."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
