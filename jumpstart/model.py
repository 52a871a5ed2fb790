"""The hypervisor as the site's owner describes it, in no operating system's terms.

Frozen values only. An object of these classes is correct by the way it was made: `hostfile.from_toml` (or
`from_table`) is the door, it parses every field through `values.py`, and nothing later checks again. Install
targets render a `Hypervisor` into files; boot menus use its `dom0_mem` and `console`.

Sizes are MiB, speeds are baud, MAC addresses are `aa:bb:cc:dd:ee:ff`, IPv4 addresses are dotted quads.
Source for the two grammars: xen-command-line(7), entries `dom0_mem` and `com1,com2`.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

SIZE = re.compile(r"([0-9]{1,7})([MGT])")
UNIT_MIB = {"M": 1, "G": 1 << 10, "T": 1 << 20}
DOM0_MIN_MIB = 128  # below this a Linux dom0 kernel cannot unpack its own initramfs
DOM0_MAX_MIB = 1 << 20  # 1 TiB: beyond this it is a slip of the unit
CONSOLE = re.compile(r"com([12])=([0-9]{3,6})(?:,([78])([noe])([12]))?")
BAUD_RATES = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)


class HostFault(NamedTuple):
    """One thing wrong with one host file; `reason` says what and how to put it right, in one line."""

    file: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.reason}" if self.key else f"{self.file}: {self.reason}"


def _size_text(mib: int) -> str:
    return f"{mib // 1024}G" if mib % 1024 == 0 else f"{mib}M"


@dataclass(frozen=True, slots=True)
class Dom0Mem:
    """Memory that Xen leaves to dom0: at boot, and the most it may balloon to."""

    mib: int
    max_mib: int

    @classmethod
    def parse(cls, text: str) -> "Dom0Mem":
        """Read `2G`, `512M`, `1G,max:2G` or `max:2G`; without `max:` the size is fixed. Else ValueError."""
        sizes: dict[str, int] = {}
        for part in text.split(","):
            key, _, size = part.rpartition(":")
            found = SIZE.fullmatch(size.upper())
            if found is None or key not in ("", "max") or key in sizes:
                raise ValueError(
                    f"{text!r} is not a dom0 memory size; write a number and its unit, such as 512M, 2G or 1G,max:2G"
                )
            sizes[key] = int(found[1]) * UNIT_MIB[found[2]]
        mib = sizes.get("", sizes.get("max", 0))
        max_mib = sizes.get("max", mib)
        if not DOM0_MIN_MIB <= mib <= max_mib <= DOM0_MAX_MIB:
            raise ValueError(
                f"{text!r} is out of range; dom0 needs at least {DOM0_MIN_MIB}M, at most 1T, and max: no less than that"
            )
        return cls(mib, max_mib)

    def __str__(self) -> str:
        text = _size_text(self.mib)
        return text if self.mib == self.max_mib else f"{text},max:{_size_text(self.max_mib)}"

    @property
    def xen_text(self) -> str:
        """The value for Xen's `dom0_mem=`, always with `max:`, so that dom0 sizes its tables for what it can get."""
        return f"{_size_text(self.mib)},max:{_size_text(self.max_mib)}"


@dataclass(frozen=True, slots=True)
class Console:
    """The serial port that Xen and, through it, dom0 talk on."""

    port: int
    speed_baud: int
    data_bits: int = 8
    parity: str = "n"
    stop_bits: int = 1

    @classmethod
    def parse(cls, text: str) -> "Console":
        """Read `com1=115200,8n1`; the frame defaults to 8n1. ValueError says what to write."""
        found = CONSOLE.fullmatch(text.lower())
        if found is None or int(found[2]) not in BAUD_RATES:
            raise ValueError(
                f"{text!r} is not a serial console; write port=speed,frame such as com1=115200,8n1 "
                f"with one of the speeds {', '.join(map(str, BAUD_RATES))}"
            )
        return cls(int(found[1]), int(found[2]), int(found[3] or 8), found[4] or "n", int(found[5] or 1))

    def __str__(self) -> str:
        return f"{self.name}={self.speed_baud},{self.data_bits}{self.parity}{self.stop_bits}"

    @property
    def name(self) -> str:
        """Xen's name of the port, for `console=`."""
        return f"com{self.port}"


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface: the vanity name it gets, and the MAC address it is known by."""

    name: str
    mac: str
    device: str = ""
    network: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Hypervisor:
    """One physical host. `links` keep the order of the host file: the first is the one it is expected to boot from."""

    name: str
    segment: str
    install_target: str
    links: tuple[Link, ...]
    dom0_mem: Dom0Mem = Dom0Mem(2048, 2048)
    console: Console = Console(1, 115200)
    root_mirror: tuple[str, ...] = ()
    relocation_address: str = ""
    relocation_peers: tuple[str, ...] = ()
    services_off: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    root_password_hash: str = ""
    ssh_keys: tuple[str, ...] = ()
    guests_uri: str = ""
    guests_initiator: str = ""
