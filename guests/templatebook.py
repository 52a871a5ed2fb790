"""Where templates are: the site's, below its share, before ours.

`<share>/templates/qemu/pv.xml` replaces `guests/templates/qemu/pv.xml`; a site that changes one keeps our others. A
file that cannot be read is an error and never silently ours: the site meant its own.
"""

from pathlib import Path

from guests.domain import Kind
from guests.hypervisor import HypervisorError, Outcome
from guests.render import Template

OURS = Path(__file__).parent / "templates"
TEMPLATE_BYTES_MAX = 1 << 16
FAMILIES = {"qemu": "qemu", "xen": "xen", "test": "qemu"}
"""Scheme of libvirt's URI -> family of templates. (`xvm` is for a site to copy: its URIs say `xen`.)"""


def family(uri: str) -> str:
    """The family that a URI's scheme stands for; INVALID."""
    scheme = uri.partition(":")[0].partition("+")[0]
    if scheme not in FAMILIES:
        raise HypervisorError(Outcome.INVALID, f"{uri}: libvirt's URI must begin with {', '.join(sorted(FAMILIES))}")
    return FAMILIES[scheme]


def find(family_name: str, kind: Kind, site: Path | None = None) -> Template:
    """The template to use; INVALID when there is none, or the site's cannot be read."""
    relative = Path(family_name) / f"{kind.value}.xml"
    for place in (site, OURS):
        if place is None:
            continue
        path = place / relative
        try:
            raw = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise HypervisorError(Outcome.INVALID, f"template {path}: {error.strerror}: make it readable") from error
        if len(raw) > TEMPLATE_BYTES_MAX:
            raise HypervisorError(Outcome.INVALID, f"template {path}: {len(raw)} bytes: {TEMPLATE_BYTES_MAX} at most")
        try:
            return Template(str(path), raw.decode())
        except UnicodeDecodeError as error:
            raise HypervisorError(Outcome.INVALID, f"template {path}: {error}: write it in UTF-8") from error
    raise HypervisorError(Outcome.INVALID, f"there is no template {relative}: write one below {site or OURS}")
