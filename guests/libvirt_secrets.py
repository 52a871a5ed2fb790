"""CHAP secrets as libvirt keeps them on a host: one for each iSCSI target, which definitions name by its IQN."""

import uuid
from collections.abc import Sequence
from xml.sax.saxutils import escape

from guests.virsh import Virsh

SECRETS = uuid.UUID("5d4b9d5e-6a6f-4f0e-9c53-0b7f1f7d9a10")
"""Name space of the uuids of CHAP secrets: one for each target, the same on every host."""


class Secrets:
    """The secrets of one host. HypervisorError as virsh's."""

    def __init__(self, virsh: Virsh) -> None:
        self._virsh = virsh

    def keep(self, usage: str, secret: str, *, coded: bool = False) -> None:
        """Give the host a CHAP secret; it is read from standard input, so that no list of processes shows it."""
        text = (
            f"<secret ephemeral='no' private='no'><uuid>{_id(usage)}</uuid>"
            f"<usage type='iscsi'><target>{escape(usage)}</target></usage></secret>"
        )
        self._virsh.ask("secret-define", "--file", "/dev/stdin", text=text)
        plain = () if coded else ("--plain",)
        self._virsh.ask("secret-set-value", _id(usage), "--file", "/dev/stdin", *plain, text=secret)

    def read(self, usage: str) -> str:
        """The secret, coded as libvirt keeps it."""
        return self._virsh.ask("secret-get-value", _id(usage)).strip()

    def forget(self, usages: Sequence[str]) -> None:
        """Take secrets away; nothing to do for those that are not there."""
        if usages:
            self._virsh.ask_all([f"secret-undefine {_id(usage)}" for usage in usages])


def _id(usage: str) -> str:
    return str(uuid.uuid5(SECRETS, usage))
