"""How a host that libvirt drives is reached: by us, and by the other hypervisors that guests move between. Pure."""

import re
from pathlib import Path
from typing import NamedTuple

from guests.hypervisor import HypervisorError, Outcome

DEADLINE_S = 20.0
"""For a question, or a change that libvirt makes at once."""

MIGRATE_DEADLINE_S = 900.0
URI = re.compile(r"(?P<driver>[a-z]+)(?:\+(?P<way>[a-z]+))?://(?P<user>[^/@]*@)?(?P<host>[^/]*?)(?P<rest>(?::\d+)?/.*)")


class LibvirtSettings(NamedTuple):
    """How a host is reached: `uri` is libvirt's; `address` where other hypervisors reach it (empty: as `uri` says).

    `virt_type`: `kvm` or `qemu`; empty: kvm where the host offers it. `templates`: of the site. `disk_source`: see
    `Place`; empty: udev's name by path.
    """

    name: str
    uri: str
    initiator: str
    address: str = ""
    templates: Path | None = None
    disk_source: str = ""
    virt_type: str = ""
    deadline_s: float = DEADLINE_S
    migrate_deadline_s: float = MIGRATE_DEADLINE_S

    def peer_uri(self) -> str:
        """libvirt's URI of this host as another hypervisor reaches it; INVALID if there is none."""
        parts = URI.fullmatch(self.uri)
        host = self.address or (parts["host"] if parts else "")
        if not parts or not host:
            raise HypervisorError(
                Outcome.INVALID,
                f"{self.name}: other hosts cannot reach {self.uri}: give its address on the backend network",
            )
        shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"{parts['driver']}+{parts['way'] or 'ssh'}://{parts['user'] or ''}{shown}{parts['rest']}"
