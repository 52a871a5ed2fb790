"""The words of `rules` and of profiles: one table each, one row for each keyword.

A row says how the words after the keyword go together, with which installs it is legal, whether it is with a root
file system on ZFS, how bad words too many are, and whether it may stand once only. Parsers, judges, encoders, the
reference in docs/jumpstart.md and what people are told all come from these rows; what one row cannot say (two
keywords that exclude one another) is in `judge_profile.py`.

Sources: Custom JumpStart and Advanced Installations, tables of rule keywords and of profile keywords; ZFS
Administration Guide, JumpStart keywords for ZFS; the severities are those of Sun's `check`.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from jumpstart.language import shapes as is_
from jumpstart.language.faults import Severity
from jumpstart.language.grammar import Arg, Form, Need, Option
from jumpstart.language.shapes import Shape, either, one_of

MAYBE, MANY = Need.MAYBE, Need.MANY
WARN = Severity.WARNING

INITIAL, UPGRADE = "initial_install", "upgrade"
FLASH, FLASH_UPDATE = "flash_install", "flash_update"
INSTALL_TYPES = (INITIAL, UPGRADE, FLASH, FLASH_UPDATE)
ALL = INSTALL_TYPES
FRESH = (INITIAL, FLASH, FLASH_UPDATE)
FLASHES = (FLASH, FLASH_UPDATE)
DISKLESS = (INITIAL, UPGRADE)  # those that take the software from packages, not from an archive


class Compare(Enum):
    """How a rule keyword's value is held against what is known of a machine."""

    ALWAYS = "always true"
    EXACT = "the same word"
    RANGE = "a number within the range"


class RuleKeyword(NamedTuple):
    """One test of `rules`. With two arguments, the first says which disk or slice is meant."""

    args: tuple[Arg, ...]
    compare: Compare
    note: str


class ProfileKeyword(NamedTuple):
    """One line of a profile. `zfs`: legal together with `pool`. `extra`: how bad words too many are."""

    forms: tuple[Form, ...]
    installs: tuple[str, ...]
    zfs: bool
    note: str
    extra: Severity = Severity.ERROR
    once: bool = False
    old: str = ""


def _value(name: str, shape: Shape) -> tuple[Form, ...]:
    return (Form((Arg(name, shape),)),)


_RULE_DISK = Arg("DISK", either(is_.disk, one_of("rootdisk")))
_RULE_SLICE = Arg("SLICE", either(is_.slice_, one_of("rootdisk", "any")))

RULE: Mapping[str, RuleKeyword] = MappingProxyType(
    {
        "any": RuleKeyword((Arg("-", one_of("-")),), Compare.ALWAYS, "every machine"),
        "arch": RuleKeyword((Arg("ARCH", one_of("i386", "sparc")),), Compare.EXACT, "processor, as `uname -p` has it"),
        "disksize": RuleKeyword((_RULE_DISK, Arg("MB-MB", is_.size_range)), Compare.RANGE, "size of one disk"),
        "domainname": RuleKeyword((Arg("DOMAIN", is_.domain),), Compare.EXACT, "domain of the name service"),
        "hostaddress": RuleKeyword((Arg("ADDRESS", is_.quad),), Compare.EXACT, "IPv4 address"),
        "hostname": RuleKeyword((Arg("NAME", is_.host),), Compare.EXACT, "host name"),
        "installed": RuleKeyword(
            (_RULE_SLICE, Arg("RELEASE", is_.name)), Compare.EXACT, "release on a slice; `any` and `upgrade` are words"
        ),
        "karch": RuleKeyword((Arg("KARCH", is_.name),), Compare.EXACT, "platform group, as `uname -m` has it"),
        "memsize": RuleKeyword((Arg("MB[-MB]", is_.size_or_range),), Compare.RANGE, "memory"),
        "model": RuleKeyword((Arg("MODEL", is_.quotable),), Compare.EXACT, "platform, as `uname -i` has it"),
        "network": RuleKeyword((Arg("NETWORK", is_.quad),), Compare.EXACT, "network number"),
        "osname": RuleKeyword((Arg("RELEASE", is_.name),), Compare.EXACT, "release that is installed"),
        "totaldisk": RuleKeyword((Arg("MB-MB", is_.size_range),), Compare.RANGE, "size of all disks together"),
    }
)

PROBES = (*(word for word in RULE if word != "any"), "disks", "rootdisk")
"""What a `probe` line may name without a custom_probes file."""

_RETRY = Option("retry", (Arg("N", is_.number),))
_TIMEOUT = Option("timeout", (Arg("MINUTES", is_.number),))
_PROXY = Option("proxy", (Arg("HOST:PORT", is_.proxy),))
_NFS = Form((Arg("nfs", one_of("nfs")), Arg("SERVER:PATH", is_.remote_path)), options=(_RETRY,))
_NFS_URL = Form((Arg("nfs://SERVER/PATH", is_.nfs_url),), options=(_RETRY,))
_HTTP = Form((Arg("http[s]://SERVER/PATH", is_.http_url),), options=(_TIMEOUT, _PROXY))
_DEVICE = Form(
    (
        Arg("local_device", one_of("local_device")),
        Arg("DEVICE", is_.word),
        Arg("PATH", is_.path),
        Arg("FS", is_.name, MAYBE),
    )
)
_FILE = Form((Arg("local_file", one_of("local_file")), Arg("PATH", is_.source_path)))
_SOURCES = (_NFS, _NFS_URL, _HTTP, _DEVICE, _FILE)
_ADD = Arg("add|delete", one_of("add", "delete"), MAYBE)
_AUTH = Option("auth", (Arg("basic", one_of("basic")), Arg("USER", is_.word), Arg("PASSWORD", is_.word)))

_MOUNT = Arg("MOUNT", either(is_.path, one_of("swap", "overlap", "unnamed", "ignore")), MAYBE)
_MOUNT_OPTIONS = Arg("OPTIONS", is_.mount_options, MAYBE)
_SIZE = Arg("SIZE", either(is_.mib, is_.cylinders, one_of("existing", "auto", "all", "free")))
_LOCAL_SLICE = either(is_.slice_, is_.root_slice, one_of("any"))
_FILESYS = (
    Form((Arg("SLICE", _LOCAL_SLICE), _SIZE, _MOUNT, _MOUNT_OPTIONS)),
    Form(
        (Arg("SERVER:PATH", is_.remote_path), Arg("ADDRESS|-", either(is_.ipv4, one_of("-"))), _MOUNT, _MOUNT_OPTIONS)
    ),
    Form((Arg("mirror[:NAME]", is_.metadevice), Arg("SLICE", _LOCAL_SLICE, MANY), _SIZE, _MOUNT, _MOUNT_OPTIONS)),
)
_POOL_SIZE = either(is_.pool_mib, one_of("auto", "all", "existing"))
_PART_SIZE = either(is_.pool_mib, one_of("auto"))
# A whole disk is let through here, so that the judge can say why it must be a slice.
_MEMBER = either(is_.slice_, is_.disk, one_of("any"))
_POOL = Form(
    (Arg("NAME", is_.pool_name), Arg("SIZE", _POOL_SIZE), Arg("SWAPSIZE", _PART_SIZE), Arg("DUMPSIZE", _PART_SIZE)),
    tails=(Form((Arg("mirror", one_of("mirror")), Arg("SLICE", _MEMBER, MANY))), Form((Arg("SLICE|any", _MEMBER),))),
)
_BOOTENV = (
    Form(
        (Arg("installbe", one_of("installbe")), Arg("bename", one_of("bename")), Arg("NAME", is_.be_name)),
        options=(Option("dataset", (Arg("/var", one_of("/var")),)),),
    ),
    Form((Arg("createbe", one_of("createbe")), Arg("WORD", is_.word, MANY))),
)
_FDISK = Form(
    (
        Arg("DISK", either(is_.disk, one_of("rootdisk", "all"))),
        Arg("TYPE", either(one_of("solaris", "dosprimary", "x86boot"), is_.decimal_type, is_.hex_type)),
        Arg("SIZE", either(is_.mib, one_of("all", "maxfree", "delete"))),
    )
)
_BACKUP = (
    Form((Arg("local_tape", one_of("local_tape")), Arg("DEVICE", is_.path))),
    Form((Arg("local_diskette", one_of("local_diskette")), Arg("DEVICE", is_.path))),
    Form((Arg("local_filesystem", one_of("local_filesystem")), Arg("PATH", is_.path))),
    Form((Arg("remote_filesystem", one_of("remote_filesystem")), Arg("SERVER:PATH", is_.remote_path))),
    Form((Arg("remote_system", one_of("remote_system")), Arg("USER@HOST:PATH", is_.user_path))),
)
_ARCHIVE = (
    _NFS,
    _NFS_URL,
    _HTTP._replace(options=(_AUTH, _TIMEOUT, _PROXY)),
    Form((Arg("ftp://[USER:PASSWORD@]SERVER/PATH", is_.ftp_url),), options=(_TIMEOUT, _PROXY)),
    Form((Arg("local_tape", one_of("local_tape")), Arg("DEVICE", is_.path), Arg("POSITION", is_.number, MAYBE))),
    _DEVICE,
    _FILE,
)
_LAYOUT = Form(
    (
        Arg("SLICE", is_.slice_),
        Arg("changeable|movable|available|collapse", one_of("changeable", "movable", "available", "collapse")),
        Arg("MIN_MB", is_.mib, MAYBE),
    )
)
_METADB = Form(
    (Arg("SLICE", is_.slice_),),
    options=(Option("size", (Arg("BLOCKS", is_.number),)), Option("count", (Arg("N", is_.number),))),
)
_PACKAGE = Form((Arg("NAME", is_.name), _ADD), _SOURCES, (Option("arch="),), tail_maybe=True)
_PATCH = Form(
    (Arg("ID[,ID...]|LIST_FILE", either(is_.patch_ids, is_.file_name)),),
    _SOURCES,
    (Option("optional_parameters", (Arg("WORD", is_.word),)),),
    tail_maybe=True,
)
_BOOT_DEVICE = Form(
    (
        Arg("DEVICE", either(is_.slice_, is_.disk, one_of("existing", "any"))),
        Arg("preserve|update", one_of("preserve", "update"), MAYBE),
    )
)
_REGIONS = (
    *("N_Africa", "C_America", "N_America", "S_America", "Asia", "Ausi"),
    *("C_Europe", "E_Europe", "N_Europe", "S_Europe", "W_Europe", "M_East"),
)
SOFTWARE_GROUPS = ("SUNWCrnet", "SUNWCreq", "SUNWCuser", "SUNWCprog", "SUNWCall", "SUNWCXall")

_CLUSTER = (Form((Arg("GROUP", one_of(*SOFTWARE_GROUPS)),)), Form((Arg("NAME", is_.name), _ADD)))

PROFILE: Mapping[str, ProfileKeyword] = MappingProxyType(
    {
        "install_type": ProfileKeyword(
            _value("|".join(INSTALL_TYPES), one_of(*INSTALL_TYPES)),
            ALL,
            True,
            "what is done; always the first line",
            WARN,
            once=True,
        ),
        "archive_location": ProfileKeyword(_ARCHIVE, FLASHES, True, "the flash archive; $HOST is the host's name"),
        "backup_media": ProfileKeyword(_BACKUP, (UPGRADE,), False, "where an upgrade keeps what it moves"),
        "boot_device": ProfileKeyword((_BOOT_DEVICE,), FRESH, True, "where it boots from", once=True),
        "bootenv": ProfileKeyword(_BOOTENV, (INITIAL,), True, "the boot environment, with ZFS", once=True),
        "client_arch": ProfileKeyword(
            (Form((Arg("KARCH", is_.name, MANY),)),), (INITIAL,), False, "platforms a server has clients of", WARN
        ),
        "client_root": ProfileKeyword(_value("MB", is_.mib), (INITIAL,), False, "root space for each client", WARN),
        "client_swap": ProfileKeyword(_value("MB", is_.mib), (INITIAL,), False, "swap space for each client", WARN),
        "cluster": ProfileKeyword(_CLUSTER, DISKLESS, True, "a cluster of packages", WARN),
        "dontuse": ProfileKeyword(_value("DISK", is_.disk), (INITIAL,), True, "a disk to leave alone", WARN),
        "fdisk": ProfileKeyword((_FDISK,), FRESH, True, "a partition of an x86 disk", WARN),
        "filesys": ProfileKeyword(_FILESYS, ALL, False, "a file system: local, remote (legal with ZFS) or mirrored"),
        "forced_deployment": ProfileKeyword(
            (Form(),), (FLASH_UPDATE,), False, "update also a system that differs from the expected one"
        ),
        "geo": ProfileKeyword(_value("REGION", one_of(*_REGIONS)), DISKLESS, True, "all locales of a region"),
        "layout_constraint": ProfileKeyword((_LAYOUT,), (UPGRADE,), False, "what an upgrade may do to a slice"),
        "local_customization": ProfileKeyword(
            _value("DIRECTORY", is_.path), FLASHES, False, "scripts beside the archive"
        ),
        "locale": ProfileKeyword(_value("LOCALE", is_.locale), DISKLESS, True, "one locale"),
        "metadb": ProfileKeyword(
            (_METADB,), (INITIAL, *FLASHES), False, "state databases of mirrors, 3 of 8192 blocks"
        ),
        "no_content_check": ProfileKeyword((Form(),), FLASHES, True, "do not compare the archive's contents"),
        "no_master_check": ProfileKeyword((Form(),), FLASHES, True, "do not ask which system the archive is of"),
        "noreboot": ProfileKeyword(
            (Form(),), DISKLESS, True, "stay in the installer", WARN, old="it is of old releases"
        ),
        "num_clients": ProfileKeyword(_value("N", is_.number), (INITIAL,), False, "clients a server has", WARN),
        "package": ProfileKeyword((_PACKAGE,), ALL, True, "one package; added if nothing else is said", WARN),
        "partitioning": ProfileKeyword(
            _value("default|existing|explicit", one_of("default", "existing", "explicit")),
            FRESH,
            True,
            "who decides on slices",
            WARN,
            once=True,
        ),
        "patch": ProfileKeyword((_PATCH,), ALL, True, "patches to add"),
        "pool": ProfileKeyword((_POOL,), (INITIAL, FLASH), True, "the ZFS pool of the root file system", once=True),
        "root_device": ProfileKeyword(_value("SLICE", is_.slice_), DISKLESS, True, "slice of /", WARN, once=True),
        "system_type": ProfileKeyword(
            _value("standalone|server", one_of("standalone", "server", "dataless")),
            (INITIAL,),
            True,
            "standalone unless said",
            WARN,
            once=True,
        ),
        "usedisk": ProfileKeyword(_value("DISK", is_.disk), (INITIAL,), True, "a disk to use, and no others", WARN),
    }
)


class Narrower(NamedTuple):
    """A form of a keyword, known by its first value, that is legal where its keyword is not, or the other way round."""

    keyword: str
    first: Shape
    installs: tuple[str, ...]
    zfs: bool
    note: str


NARROWER = (
    Narrower("filesys", is_.remote_path, DISKLESS, True, "a remote file system, mounted at boot"),
    Narrower("filesys", is_.metadevice, (INITIAL, *FLASHES), False, "a mirror of Solaris Volume Manager"),
    Narrower("filesys", _LOCAL_SLICE, (INITIAL, *FLASHES), False, "a local file system"),
    Narrower("bootenv", one_of("createbe"), (INITIAL,), False, "Live Upgrade on UFS"),
    Narrower("cluster", one_of(*SOFTWARE_GROUPS), (INITIAL,), True, "a software group"),
)


def legality(keyword: str, first: str) -> tuple[tuple[str, ...], bool]:
    """The install types that a line is legal with, and whether it is with ZFS. `keyword` must be of the table."""
    for row in NARROWER:
        if row.keyword == keyword and row.first.takes(first):
            return row.installs, row.zfs
    return PROFILE[keyword].installs, PROFILE[keyword].zfs
