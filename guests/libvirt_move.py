"""A migration by virsh, from host to host (`--p2p`): what is typed on the source, and how far it is."""

import contextlib
import tempfile
from pathlib import Path
from typing import NamedTuple

from guests import domainxml, templatebook, virsh_text
from guests.hypervisor import HypervisorError, Progress
from guests.libvirt_settings import LibvirtSettings
from guests.virsh import Virsh, quoted


class Texts(NamedTuple):
    """A domain's definitions on the source: as it runs, in the form that may migrate, and as it is kept."""

    running: str
    kept: str


def move(
    source: Virsh, name: str, texts: Texts, to: LibvirtSettings, *, live: bool, deadline_s: float, tell: Progress | None
) -> None:
    """Move it, with the target's initiator in both definitions. HypervisorError as virsh tells it."""
    with tempfile.TemporaryDirectory(prefix="twinboot-move-") as place:
        running, kept = Path(place) / "running.xml", Path(place) / "kept.xml"
        for path, text in zip((running, kept), texts, strict=True):
            path.write_text(domainxml.with_initiator(text, to.initiator), encoding="utf-8")
        words = ["migrate", *(["--live"] if live else []), "--p2p", "--persistent", "--undefinesource"]
        words += ["--xml", str(running), "--persistent-xml", str(kept)]
        words += ["--domain", name, "--desturi", to.peer_uri()]
        if templatebook.family(to.uri) == "qemu" and to.address:
            words += ["--migrateuri", f"tcp://{to.address}"]  # or it would go by the host's own name
        source.watch(*words, tick=lambda: _tell(source, name, tell), deadline_s=deadline_s)


def _tell(source: Virsh, name: str, tell: Progress | None) -> None:
    if tell:
        with contextlib.suppress(HypervisorError):  # how far it is is not worth a move that goes on
            done, in_all = virsh_text.job_bytes(source.ask_all(["domjobinfo --rawstats " + quoted(name)])[0])
            if in_all:
                tell(done, in_all)
