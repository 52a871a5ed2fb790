"""A domain's definition: a template of the site, or ours, and a DomainSpec, rendered into libvirt's XML. Pure.

Rules of the room:

* One render point. Every `{{ value }}` is escaped for XML on its way out, so no name can break the text; what no XML
  can hold (control characters) is refused, not cleaned. `StrictUndefined`: a value that nobody gave is an error.
* A template belongs to a *family* of hypervisors and a kind: `qemu/pv.xml`, `xen/hvm.xml`.
* What comes out is read back: the template must have put in the name, the uuid and every link, because a plan finds
  the domain, and its MAC addresses, by them.
* Whatever is wrong is HypervisorError INVALID in one line that names the template.
"""

import string
import unicodedata
from typing import NamedTuple

from jinja2 import StrictUndefined, TemplateError, Undefined
from jinja2.exceptions import TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment

from guests import domainxml
from guests.domain import Disk, DomainSpec, Link, State
from guests.hypervisor import HypervisorError, Outcome

FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Cn"})
"""Controls, lone surrogates, non-characters: XML 1.0 section 2.2 has no way to write them."""

VALUE_CHARS_MAX = 1024
BY_PATH = "/dev/disk/by-path/ip-{address}:{port}-iscsi-{iqn}-lun-{lun}"
"""Where udev shows an iSCSI disk that a Linux dom0 is logged in to: the same name on every host."""

SOURCE_FIELDS = ("iqn", "address", "port", "lun")
OLD_DIALECT = "{# no schema #}"
"""A template that says so is for a libvirt older than the schema, and is not judged by it."""


class Template(NamedTuple):
    """A template's text, and the file's name for messages."""

    name: str
    text: str

    @property
    def has_schema(self) -> bool:
        """Whether what it makes is to be judged by libvirt's schema."""
        return OLD_DIALECT not in self.text


class Frame(NamedTuple):
    """What a hypervisor adds to a spec: libvirt's domain type, its own initiator name, its name for iSCSI disks."""

    virt_type: str
    initiator: str
    disk_source: str = ""


class _DiskNames(NamedTuple):
    """What a template may use of a disk; IPv6 addresses are without brackets."""

    iqn: str
    address: str
    port: str
    lun: int
    source: str


class _Login(NamedTuple):
    """CHAP in a template: the user, and the `usage` that names the secret. The secret itself never stands in a text."""

    user: str
    usage: str


def render(template: Template, spec: DomainSpec, frame: Frame, kept: tuple[Link, ...] = ()) -> str:
    """The definition. A link's address is that of the spec, else what is `kept`, else the hypervisor's to invent.

    INVALID.
    """
    known = {link.name: link.mac for link in (*kept, *spec.macs)}
    values = {
        "name": spec.name,
        "uuid": spec.uuid,
        "memory_mib": spec.memory_mib,
        "vcpus": spec.vcpus,
        "virt_type": frame.virt_type,
        "initiator": frame.initiator,
        "disk": _disk_names(spec.disk, frame.disk_source or BY_PATH),
        "chap": _Login(spec.disk.chap.user, spec.disk.iqn) if spec.disk.chap else None,
        "links": [Link(name, known.get(name, "")) for name in spec.links],
    }
    try:
        text = _ENVIRONMENT.from_string(template.text).render(values)
    except TemplateSyntaxError as error:
        raise _invalid(template, f"line {error.lineno}: {error.message}") from error
    except (TemplateError, ValueError, TypeError, ArithmeticError) as error:
        raise _invalid(template, str(error)) from error
    _check(template, text, spec)
    return text


def disk_source(disk: Disk, pattern: str) -> str:
    """The name of an iSCSI disk on a host: `{iqn}`, `{address}`, `{port}` and `{lun}` filled in. INVALID."""
    address, _, port = disk.portal.rpartition(":")
    fields = {"iqn": disk.iqn, "address": address.strip("[]"), "port": port, "lun": str(disk.lun)}
    try:
        pieces = [piece for piece in string.Formatter().parse(pattern) if piece[1] is not None]
    except ValueError as error:
        raise HypervisorError(Outcome.INVALID, f"disk_source {pattern!r}: {error}") from error
    wrong = [name for _, name, form, conversion in pieces if name not in fields or form or conversion]
    if wrong:
        known = ", ".join(f"{{{name}}}" for name in SOURCE_FIELDS)
        raise HypervisorError(Outcome.INVALID, f"disk_source {pattern!r}: {{{wrong[0]}}} is not one of {known}")
    return pattern.format(**fields)


def _disk_names(disk: Disk, pattern: str) -> _DiskNames:
    address, _, port = disk.portal.rpartition(":")
    return _DiskNames(disk.iqn, address.strip("[]"), port, disk.lun, disk_source(disk, pattern))


def _check(template: Template, text: str, spec: DomainSpec) -> None:
    try:
        info = domainxml.parse(text, State.OFF)
    except ValueError as error:
        raise _invalid(template, f"what it makes is no domain: {error}") from error
    for what, there, wanted in (("name", info.name, spec.name), ("uuid", info.uuid, spec.uuid)):
        if there != wanted:
            raise _invalid(template, f"it must set <{what}> to {{{{ {what} }}}}, which is {wanted}")
    if sorted(link.name for link in info.links) != sorted(spec.links):
        raise _invalid(template, f"it must make one bridge interface for each of the links {', '.join(spec.links)}")


def _checked(value: object) -> object:
    if isinstance(value, Undefined):
        return value  # it raises as it is written out
    text = str(value)
    if len(text) > VALUE_CHARS_MAX:
        raise ValueError(f"{text[:40]!r}... is {len(text)} characters long: {VALUE_CHARS_MAX} at most")
    if any(unicodedata.category(char) in FORBIDDEN_CATEGORIES for char in text):
        raise ValueError(f"{text[:80]!r} holds a character that no XML can: take it out")
    return value


def _invalid(template: Template, why: str) -> HypervisorError:
    return HypervisorError(Outcome.INVALID, f"template {template.name}: {' '.join(why.split())}")


_ENVIRONMENT = SandboxedEnvironment(
    autoescape=True,
    finalize=_checked,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
