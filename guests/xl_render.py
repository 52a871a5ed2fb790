"""xl's configuration of a domain (xl.cfg(5)): a template of the site, or ours, and a definition. Pure.

xl's strings have no escape for their quotes, so a value that is not plain is refused, not quoted. What comes out is
checked for what a plan finds the domain by: name, uuid, every MAC address. The first line is ours.
"""

import re
from typing import NamedTuple

from jinja2 import StrictUndefined, TemplateError, Undefined
from jinja2.sandbox import SandboxedEnvironment

from guests.hypervisor import HypervisorError, Outcome
from guests.xl_text import Definition, head

SCRIPT = "block-twinboot"
PLAIN = re.compile(r"[A-Za-z0-9._:/\[\]-]{1,300}", re.ASCII)


class DiskNames(NamedTuple):
    """What a template may use of a disk."""

    script: str
    iqn: str
    portal: str
    lun: int


def render(name: str, template: str, definition: Definition) -> str:
    """The text of the domain's file; HypervisorError INVALID in one line that names the template."""
    disk = DiskNames(SCRIPT, definition.iqn, definition.portal, definition.lun)
    values = {**definition._asdict(), "kind": definition.kind.value, "disk": disk}
    try:
        text = _ENVIRONMENT.from_string(template).render(values)
    except (TemplateError, ValueError, TypeError, ArithmeticError) as error:
        raise _invalid(name, " ".join(str(error).split())) from error
    wanted = (definition.name, definition.uuid, *(link.mac for link in definition.links))
    missing = [value for value in wanted if value not in text]
    if missing:
        raise _invalid(name, f"what it makes lacks {', '.join(missing)}")
    return f"{head(definition)}\n{text}"


def _plain(value: object) -> object:
    if isinstance(value, Undefined):
        return value  # it raises as it is written out
    if not PLAIN.fullmatch(str(value)):
        raise ValueError(f"{str(value)[:80]!r} cannot stand in a string of xl's: use letters, digits and . _ : / -")
    return value


def _invalid(name: str, why: str) -> HypervisorError:
    return HypervisorError(Outcome.INVALID, f"template {name}: {why}")


_ENVIRONMENT = SandboxedEnvironment(
    autoescape=False,  # no HTML; `finalize` refuses what would need quoting
    finalize=_plain,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
