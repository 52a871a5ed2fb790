"""`jumpstart/nevada.toml` on the share: which install image there is, and where each segment's server keeps it.

`twinboot media add nevada` writes it, one `[servers.SEGMENT]` for each server that it is run on; people may edit it.
Every fault is found in one reading. Values are judged by what they become: words of a `-B` list, of a menu and of
sysidcfg, none of which has an escape, so a blank, comma or quote is refused here, where its file and key are known.
"""

import ipaddress
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jumpstart.hostfile import HostError
from jumpstart.model import HostFault
from jumpstart.targets.nevada import BOOT_FILES, Image, Site, image_of
from jumpstart.values import SEGMENTS

FILE = "nevada.toml"
FILE_BYTES_MAX = 64 * 1024
IMAGE_NAME = re.compile(r"I86PC\.[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,29}")  # it names a boot environment
PATH = re.compile(r"(?:/[A-Za-z0-9_.@%+-]+)+")
HTTP = re.compile(r"[0-9.]{7,15}(?::[0-9]{1,5})?")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./+@-]{0,63}")


class Server(NamedTuple):
    """One segment's server: its address, its HTTP door, and the paths that `nfs` (itself, when empty) exports."""

    address: str
    http: str
    media: str
    config: str
    nfs: str = ""


class Settings(NamedTuple):
    """The whole file. `boot_files` are those of `BOOT_FILES` that the image has."""

    image: str
    release: str
    boot_files: tuple[str, ...]
    servers: Mapping[str, Server]
    timezone: str = "UTC"
    locale: str = "C"
    keyboard: str = "US-English"
    terminal: str = "vt100"

    @property
    def kind(self) -> Image:
        """What the image can boot."""
        return image_of(self.image, self.boot_files)

    def server_of(self, *segments: str) -> Server:
        """The server of the first of these segments that has one, else any: one that answers is better than none."""
        return next((self.servers[one] for one in segments if one in self.servers), next(iter(self.servers.values())))

    def report_urls(self, segment: str, token: str) -> tuple[str, ...]:
        """Where a machine of this segment reports: its own server first, then the other."""
        ordered = sorted(self.servers, key=lambda one: one != segment)
        return tuple(f"http://{self.servers[one].http}/report/{token}" for one in ordered)

    def site(self, server: Server, segment: str, token: str, netmasks: Mapping[str, str], router: str) -> Site:
        """What `server` adds to a host of `segment` whose install has `token`."""
        return Site(
            server=server.address,
            media=server.media,
            config=server.config,
            image=self.kind,
            release=self.release,
            netmasks=netmasks,
            router=router,
            report_urls=self.report_urls(segment, token),
            timezone=self.timezone,
            locale=self.locale,
            keyboard=self.keyboard,
            terminal=self.terminal,
            nfs=server.nfs,
        )


def _shape(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"{text!r} is not {what}")
        return text

    return read


def _address(text: str) -> str:
    """An IPv4 address; a rehearsal on one machine may have a loopback one."""
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv4 address; write four numbers, such as 192.168.78.14") from None


_word = _shape(WORD, "one plain word")
_path = _shape(PATH, "an absolute path of plain words without blank, comma or quote; rename the directory")
KEYS: Mapping[str, tuple[Callable[[str], str], bool]] = {
    "image": (_shape(IMAGE_NAME, "the name of an image in boot/, such as I86PC.nv105"), True),
    "release": (_shape(RELEASE, "the name of a boot environment, such as snv_105"), True),
    "timezone": (_word, False),
    "locale": (_word, False),
    "keyboard": (_word, False),
    "terminal": (_word, False),
}
SERVER_KEYS: Mapping[str, tuple[Callable[[str], str], bool]] = {
    "address": (_address, True),
    "http": (_shape(HTTP, "ADDRESS or ADDRESS:PORT"), True),
    "media": (_path, True),
    "config": (_path, True),
    "nfs": (_address, False),
}
"""Key -> how it is read, and whether it must be there."""
OTHERS = ("boot_files", "servers")


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[HostFault] = []

    def fault(self, key: str, reason: str) -> None:
        self.faults.append(HostFault(self.file, key, reason))

    def words(
        self,
        table: Mapping[str, Any],
        keys: Mapping[str, tuple[Callable[[str], str], bool]],
        at: str,
        others: Sequence[str],
    ) -> dict[str, str]:
        for name in table:
            if name not in keys and name not in others:
                self.fault(f"{at}{name!r}", f"unknown key; use {', '.join((*keys, *others))}")
        found = {}
        for name, (read, required) in keys.items():
            if name not in table:
                if required:
                    self.fault(at + name, "missing; add it, or run `twinboot media add nevada DIR`")
                continue
            try:
                if not isinstance(table[name], str):
                    raise ValueError("must be text in quotes")
                found[name] = read(table[name])
            except ValueError as error:
                self.fault(at + name, str(error))
        return found

    def boot_files(self, given: object, image: str) -> tuple[str, ...]:
        if not isinstance(given, list) or any(name not in BOOT_FILES for name in given):
            self.fault("boot_files", f"must be a list of some of {', '.join(BOOT_FILES)}")
            return ()
        try:
            image_of(image, given)
        except ValueError as error:
            self.fault("boot_files", str(error))
        return tuple(given)

    def servers(self, given: object) -> dict[str, Server]:
        found: dict[str, Server] = {}
        if not isinstance(given, dict) or not given:
            self.fault("servers", "no server keeps the image; run `twinboot media add nevada DIR` on one")
            return found
        for segment, table in given.items():
            at = f"servers.{segment}."
            if segment not in SEGMENTS or not isinstance(table, dict):
                self.fault(at[:-1], "must be a section [servers.odd] or [servers.even]")
                continue
            before = len(self.faults)
            words = self.words(table, SERVER_KEYS, at, ())
            if len(self.faults) == before:
                found[segment] = Server(**words)
        return found


def parse(text: str, file: str) -> Settings:
    """Read the file's text. HostError with every fault."""
    reader = _Reader(file)
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise HostError([HostFault(file, "", f"not TOML: {error}")]) from None
    words = reader.words(document, KEYS, "", OTHERS)
    files = reader.boot_files(document.get("boot_files"), words.get("image", "the image"))
    servers = reader.servers(document.get("servers"))
    if reader.faults:
        raise HostError(reader.faults)
    return Settings(boot_files=files, servers=servers, **words)


def to_text(settings: Settings) -> str:
    """The file of these settings; reading it gives them back. No value needs an escape: their shapes have no quotes."""
    lines = [
        "# The image that hosts of the target nevada are installed from; written by `twinboot media add nevada`.",
        *(f'{name} = "{getattr(settings, name)}"' for name in KEYS),
        "boot_files = [" + ", ".join(f'"{name}"' for name in settings.boot_files) + "]",
    ]
    for segment, server in sorted(settings.servers.items(), reverse=True):
        lines += ["", f"[servers.{segment}]"]
        lines += [f'{name} = "{value}"' for name, value in server._asdict().items() if value]
    return "\n".join((*lines, ""))


def load(directory: Path) -> Settings:
    """The settings in the share's `jumpstart/`. HostError; OSError when the share is away."""
    path = directory / FILE
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise HostError(
            [HostFault(str(path), "", "missing: `twinboot media add nevada DIR` takes an install image")]
        ) from None
    if len(data) > FILE_BYTES_MAX:
        raise HostError([HostFault(str(path), "", f"larger than {FILE_BYTES_MAX} bytes; it is a page of text")])
    try:
        return parse(data.decode(), str(path))
    except UnicodeDecodeError as error:
        raise HostError([HostFault(str(path), "", f"byte {error.start} is not UTF-8")]) from None
