"""What stands ready while installs of nevada are armed: the JumpStart directory, and what DHCP tells those hosts.

The share's `jumpstart/` holds `hosts/NAME/` and a rule for each install that is armed or under way, and nothing for
any other host: arming lays a host's files, the end of its install takes them away. Both servers do this at any time,
without a lock, so:

- The rows of `installs` decide. `follow` makes the directory what they say, and looks again after it wrote: whoever
  writes last has seen the last change.
- Each file appears whole, by a rename. `rules.ok` lists a host only once its files are there.
- Files are listed before the rows are read, and go only if nobody wrote them since: what another server lays for an
  install that is being armed stays.

`rules` that a person wrote are never touched: arming is refused until they have moved.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from jumpstart.model import Hypervisor
from jumpstart.targets import nevada, nevada_site
from jumpstart.targets.nevada_site import Settings
from pxe.firmware import FIRMWARES, GRUB_MENU_SYMBOL, host_macros
from pxe.installs import LIVE, TABLE
from storage.records import MACRO, SYMBOL, Change, Install, Outcome, Records, TabEntry, durable
from twinboot import stores
from twinboot.config import Config
from twinboot.faults import Stop

__all__ = ["check", "follow", "forget", "lay", "take_back", "tell"]

ROUNDS_MAX = 5  # of looking again: more changes than these within a second are not people arming installs
OWN_RULES = "# Written by twinboot: one rule for each host whose install of nevada is armed or under way.\n"
EXPORTS = "nevada.exports"
NO_TOKEN = "0" * 32  # stands for the token while a host's files are tried out
CLASS_ENTRY = TabEntry(nevada.CLASS_MACRO, MACRO, 0, FIRMWARES[0].macro_text or "")
FILE_MODE, FOLDER_MODE, OPEN_MODE = 0o600, 0o700, 0o644  # a host's files hold its password hash and its token


class _Laid(NamedTuple):
    """A host's folder as it was found: its name, what changes when somebody lays it anew, and whether all is there."""

    host: str
    stamp: tuple[int, int]
    ready: bool


def _directory(config: Config) -> Path:
    return config.share / "jumpstart"


def check(config: Config, host: Hypervisor) -> Settings:
    """Whether nevada can be installed on `host`: the image, its files, all texts. Stop or HostError says why not."""
    settings = nevada_site.load(_directory(config))
    missing = [config.boot_dir / settings.image / name for name in settings.boot_files]
    missing = [path for path in (*missing, config.boot_dir / f"pxegrub.{settings.image}") if not path.is_file()]
    if missing:
        raise Stop(*(f"{path} is missing: `twinboot media add nevada DIR` again" for path in missing))
    rules = _directory(config) / "rules"
    if rules.exists() and not rules.read_text(errors="replace").startswith(OWN_RULES):
        raise Stop(f"{rules} is not ours: move it, and rules.ok, to another directory; armed hosts are listed there")
    try:
        _texts(config, settings, host, NO_TOKEN)
    except ValueError as error:
        raise Stop(f"{config.hosts_dir / host.name}.toml: {error}") from None
    return settings


def _texts(config: Config, settings: Settings, host: Hypervisor, token: str) -> Mapping[str, str]:
    """The host's files by their names below the share, `report` first: by that the folder is known as ours."""
    nets = {net.name: net for net in config.networks}
    netmasks = {name: str(net.subnet.netmask) for name, net in nets.items()}
    first = nets.get(host.links[0].network)
    router = str(first.router) if first and first.router else ""
    server = settings.server_of(host.segment, config.segment)
    made = nevada.render(host, settings.site(server, host.segment, token, netmasks, router))
    ordered = sorted(made, key=lambda name: not name.endswith("/report"))
    return {name: made[name] for name in ordered if name.startswith("jumpstart/")}


def lay(config: Config, host: Hypervisor, row: Install) -> None:
    """Put the files of an armed install on the share, and its rule. Stop if somebody took it back meanwhile."""
    settings = check(config, host)
    for _ in range(ROUNDS_MAX):
        for name, text in _texts(config, settings, host, row.token).items():
            path = config.share / name
            path.parent.mkdir(mode=FOLDER_MODE, exist_ok=True, parents=True)
            _write(path, text, FILE_MODE)
        if host.name in follow(config):
            return
    raise Stop(f"{host.name}: its install was taken back by somebody else meanwhile: look at `twinboot host list`")


def follow(config: Config) -> tuple[str, ...]:
    """Make the JumpStart directory what the installs say; the hosts that have a rule. RecordsError, OSError."""
    directory = _directory(config)
    for _ in range(ROUNDS_MAX):
        laid = _laid(directory)
        live = _live(config)
        _prune(directory, [one for one in laid if one.host not in live])
        ready = tuple(sorted(one.host for one in laid if one.host in live and one.ready))
        _write_rules(directory, ready)
        _write_exports(config, ready)
        if _live(config) == live and tuple(one.host for one in _laid(directory) if one.ready) == ready:
            return ready
    raise Stop(f"{directory}: installs change faster than they can be followed; repeat the command")


def _live(config: Config) -> set[str]:
    rows = stores.rows(stores.state_records(config), TABLE, Install)
    return {row.host for row in rows if row.target == nevada.NAME and row.state in LIVE}


def _laid(directory: Path) -> list[_Laid]:
    try:
        names = sorted(os.listdir(directory / "hosts"))
    except FileNotFoundError:
        return []
    found = [(name, _stamp(directory, name)) for name in names]
    return [_Laid(name, stamp, _ready(directory / "hosts" / name)) for name, stamp in found if stamp]


def _ready(folder: Path) -> bool:
    return all((folder / name).is_file() for name in nevada.HOST_FILES if name not in nevada.OPTIONAL_FILES)


def _stamp(directory: Path, host: str) -> tuple[int, int] | None:
    """Of `report`, which holds the token and so differs with every arming. None: the folder is not ours."""
    try:
        found = os.stat(directory / "hosts" / host / "report")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_ino, found.st_mtime_ns


def _prune(directory: Path, over: list[_Laid]) -> None:
    """Take away our own files of these hosts; a folder in which a person keeps something else stays with that."""
    for host, stamp, _ in over:
        if _stamp(directory, host) != stamp:
            continue
        folder = directory / "hosts" / host
        for name in nevada.HOST_FILES:
            with suppress(FileNotFoundError, NotADirectoryError):
                (folder / name).unlink()
        with suppress(OSError):
            folder.rmdir()


def _write_rules(directory: Path, hosts: tuple[str, ...]) -> None:
    rules = directory / "rules"
    if not hosts:
        if rules.exists() and rules.read_text(errors="replace").startswith(OWN_RULES):
            for name in ("rules.ok", "rules"):
                (directory / name).unlink(missing_ok=True)
        return
    made = nevada.rules_files(hosts)
    _write(rules, OWN_RULES + made["rules"], OPEN_MODE)
    _write(directory / "rules.ok", made["rules.ok"], OPEN_MODE)


def _write_exports(config: Config, hosts: tuple[str, ...]) -> None:
    """For an NFS server: the JumpStart directory to the addresses of these hosts only (exports(5))."""
    known = stores.hosts(config).by_name
    addresses = [link.address for host in hosts if host in known for link in known[host].links if link.address]
    options = "(ro,no_root_squash,no_subtree_check)"
    line = " ".join((f'"{_directory(config)}"', *(address + options for address in addresses)))
    text = "# Written by twinboot: JumpStart files, for the hosts that are being installed.\n"
    _write(config.share / "state" / EXPORTS, text + (f"{line}\n" if addresses else ""), OPEN_MODE)


def _write(path: Path, text: str, mode: int) -> None:
    """Put a file in place whole, if it is not there with this text: an installer may be reading it."""
    with suppress(FileNotFoundError):
        if path.read_text(errors="replace") == text:
            return
    durable.replace(path, text.encode(), mode)


def forget(config: Config, host: Hypervisor | None, records: Records) -> None:
    """After an install was disarmed or its host removed: no files, no rule, no macros of it."""
    follow(config)
    if host is not None:
        take_back(records, host)
    if not _live(config):
        _store(records, lambda: _without_class(records))


def _without_class(records: Records) -> list[Change]:
    stored = stores.rows(records, stores.DHCPTAB, TabEntry)
    ours = [row for row in stored if row.key == CLASS_ENTRY.key and row.value == CLASS_ENTRY.value]
    return [Change(stores.DHCPTAB, row, None) for row in ours]


def _store(records: Records, changes: Callable[[], list[Change]]) -> None:
    """Store what `changes` says now; the other server writes the same entries, so look again when it was first."""
    for _ in range(ROUNDS_MAX - 1):
        if all(result.outcome is Outcome.STORED for result in records.commit(changes())):
            return
    stores.commit(records, changes())


def tell(records: Records, host: Hypervisor, server: IPv4Address | None) -> None:
    """Have DHCP name pxegrub and its menu to `host`, and `server` (None: whichever answers) to load them from.

    The class macro is added where there is none, with what the firmware table gives such machines anyway: all other
    machines of the class go on booting what they did.
    """
    macros = nevada.macros(host, str(server or ""))
    wanted = [TabEntry(GRUB_MENU_SYMBOL[0], SYMBOL, 0, GRUB_MENU_SYMBOL[1])]
    wanted += [TabEntry(name, MACRO, 0, text) for name, text in macros.items()]
    _store(records, lambda: stores.missing_entries(records, [CLASS_ENTRY]) + stores.entry_changes(records, wanted))


def take_back(records: Records, host: Hypervisor) -> None:
    """Have DHCP name GRUB's menu to `host` again, where it names pxegrub's."""
    own = nevada.client_id(host.links[0])
    stored = {row.name: row.value for row in stores.rows(records, stores.DHCPTAB, TabEntry) if row.kind == MACRO}
    if f"GrubMenu=menu.lst.{own}:" in stored.get(own, ""):
        wanted = [TabEntry(name, MACRO, 0, text) for name, text in host_macros(host) if name == own]
        stores.commit(records, stores.entry_changes(records, wanted))
