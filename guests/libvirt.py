"""The port of hypervisors by libvirt: QEMU and KVM, Xen by libxl, local or remote, all through virsh.

What libvirt does not do by itself is done here: a domain that runs is not undefined (libvirt would let it run on), a
missing link or too little memory is told before anything is started, and a domain moves with the other host's initiator
name in its definition. A migration goes from host to host (`--p2p`): the source's libvirtd must reach the target's, at
its address on the network that guests move over.
"""

import re
import time
from collections.abc import Sequence

from guests import domainxml, schema, templatebook, virsh_text
from guests.domain import DomainInfo, DomainSpec, HostInfo, State
from guests.hypervisor import Hypervisor, HypervisorError, Outcome, Place, Progress
from guests.libvirt_move import Texts, move
from guests.libvirt_secrets import Secrets
from guests.libvirt_settings import LibvirtSettings
from guests.render import Frame, render
from guests.virsh import Virsh, quoted

START_DEADLINE_S = 90.0
"""Until a domain runs: the emulator starts, logs in to the disk; on Xen pygrub reads it."""

POLL_S = 0.1
FIXED_TYPES = ("xen", "test")
"""Drivers that have one type of domain, called as they are."""


def open_libvirt(place: Place) -> "LibvirtHypervisor":
    """The host at a place of the site. INVALID if its URI is none of libvirt's."""
    return LibvirtHypervisor(
        LibvirtSettings(place.name, place.uri, place.initiator, place.address, place.templates, place.disk_source)
    )


class LibvirtHypervisor:
    """One host that libvirt drives."""

    def __init__(self, settings: LibvirtSettings) -> None:
        self.name = settings.name
        self.initiator = settings.initiator
        self.settings = settings
        self.family = templatebook.family(settings.uri)
        self._virsh = Virsh(settings.name, settings.uri, settings.deadline_s)
        self.secrets = Secrets(self._virsh)

    def host(self) -> HostInfo:
        """What libvirt tells of the host. Memory that running domains may still touch is not free."""
        questions = ["nodeinfo", "nodememstats", "freecell", "version", "iface-list", "nodedev-list --cap net"]
        node, statistics, free_cell, version, table, devices = self._virsh.ask_all(questions)
        has = virsh_text.memory(node, statistics)
        if self.family == "xen":
            free_mib = virsh_text.cell_mib(free_cell)
        else:
            promised = sum(one.memory_mib for one in self.domains() if one.state in (State.RUNNING, State.PAUSED))
            free_mib = min(has.free_mib, max(0, has.all_mib - promised))
        cpus = virsh_text.number(virsh_text.fields(node).get("cpu(s)", ""))
        return HostInfo(has.all_mib, free_mib, cpus, self._links(table, devices), virsh_text.version(version))

    def domains(self) -> list[DomainInfo]:
        """Two questions, however many there are; one that goes in between is left out."""
        listed = self._virsh.ask("list", "--all", "--uuid").split()
        questions = [f"{verb} {one}" for one in listed for verb in ("domstate", "dumpxml")]
        answers = iter(self._virsh.ask_all(questions))
        found = [_read(state, text) for state, text in zip(answers, answers, strict=True)]
        return sorted(one for one in found if one is not None)

    def states(self) -> dict[str, State]:
        """One question, and no definitions."""
        return virsh_text.states(self._virsh.ask("list", "--all"))

    def domain(self, name: str) -> DomainInfo:
        """Its state and its definition."""
        text = self._definition(name)
        info = _read(self._virsh.ask("domstate", "--domain", name), text)
        if info is None:
            raise HypervisorError(Outcome.FAILED, f"{self.name}: what libvirt says of {name} cannot be read")
        return info

    def define(self, spec: DomainSpec) -> DomainInfo:
        """Render, look at it, let libvirt check and keep it; MAC addresses that it has stay."""
        there = self.there(spec.name)
        if there and there.uuid != spec.uuid:
            raise HypervisorError(
                Outcome.INVALID, f"{self.name}: {spec.name} is there with another uuid, {there.uuid}: undefine it first"
            )
        if there and there.state is not State.OFF:
            raise HypervisorError(Outcome.BUSY, f"{self.name}: {spec.name} is {there.state.value}: stop it first")
        self.has_links(spec.links)
        template = templatebook.find(self.family, spec.kind, self.settings.templates)
        frame = Frame(self._virt_type(), self.initiator, self.settings.disk_source)
        text = render(template, spec, frame, there.links if there else ())
        if template.has_schema:
            schema.check(text, f"template {template.name}")
        if spec.disk.chap:
            self.secrets.keep(spec.disk.iqn, spec.disk.chap.secret)
        validate = ("--validate",) if template.has_schema else ()
        self._virsh.ask("define", *validate, "--file", "/dev/stdin", text=text)
        return self.domain(spec.name)

    def undefine(self, name: str) -> None:
        """Forget it, unless it runs, and its CHAP secret."""
        info = self.domain(name)
        if info.state is not State.OFF:
            raise HypervisorError(Outcome.BUSY, f"{self.name}: {name} is {info.state.value}: stop it first")
        usages = domainxml.secret_usages(self._definition(name))
        self._virsh.ask("undefine", "--domain", name)
        self.secrets.forget(usages)

    def start(self, name: str) -> None:
        """Start it, if the host has its links and its memory."""
        info = self.domain(name)
        if info.state is not State.OFF:
            raise HypervisorError(Outcome.ALREADY, f"{self.name}: {name} is {info.state.value}")
        host = self.host()
        self.has_links([link.name for link in info.links], host)
        self.has_memory(info, host)
        self._virsh.ask("start", "--domain", name, deadline_s=max(START_DEADLINE_S, self.settings.deadline_s))

    def stop(self, name: str, *, force: bool = False) -> None:
        """Shutdown by ACPI (on Xen by its own word), or the power cut."""
        if self.domain(name).state is State.OFF:
            raise HypervisorError(Outcome.ALREADY, f"{self.name}: {name} is off")
        self._virsh.ask("destroy" if force else "shutdown", "--domain", name)

    def migrate(self, name: str, to: Hypervisor, *, live: bool, progress: Progress | None = None) -> None:
        """Look at the target first; then libvirt moves it, and undoes what it began when it cannot."""
        info = self.domain(name)
        if info.state is not State.RUNNING:
            raise HypervisorError(
                Outcome.BUSY, f"{self.name}: {name} is {info.state.value}: only a running domain is moved: start it"
            )
        target = self._peer(to)
        self._drop_half(name, target)
        if target.there(name):
            raise HypervisorError(Outcome.ALREADY, f"{target.name}: {name} is there already")
        host = target.host()
        target.has_links([link.name for link in info.links], host)
        target.has_memory(info, host)
        texts = Texts(*(self._definition(name, option) for option in ("--migratable", "--inactive")))
        usages = domainxml.secret_usages(texts.running)
        for usage in usages:
            target.secrets.keep(usage, self.secrets.read(usage), coded=True)
        try:
            deadline_s = self.settings.migrate_deadline_s
            move(self._virsh, name, texts, target.settings, live=live, deadline_s=deadline_s, tell=progress)
        except HypervisorError as error:
            self._after_failure(name, target, usages, error)
            raise HypervisorError(error.outcome, _of_a_move(error, target)) from error
        self.secrets.forget(usages)

    def console_argv(self, name: str) -> Sequence[str]:
        """`virsh console`; Ctrl-] leaves it."""
        self.domain(name)
        return ["virsh", "--connect", self.settings.uri, "console", "--domain", name]

    def close(self) -> None:
        """Nothing is kept open."""

    def there(self, name: str) -> DomainInfo | None:
        """The domain, or None if the host does not know it."""
        try:
            return self.domain(name)
        except HypervisorError as error:
            if error.outcome is Outcome.NOT_FOUND:
                return None
            raise

    def _definition(self, name: str, *options: str) -> str:
        return self._virsh.ask("dumpxml", "--domain", name, *options)

    def _virt_type(self) -> str:
        driver = self.settings.uri.partition(":")[0].partition("+")[0]
        if driver in FIXED_TYPES:
            return driver
        return self.settings.virt_type or virsh_text.virt_type(self._virsh.ask("capabilities"))

    def _links(self, table: str, devices: str) -> tuple[str, ...]:
        """The host's bridges; all its network devices where libvirt has no driver for interfaces (xVM)."""
        safe = [name for name in virsh_text.names(table) if re.fullmatch(r"[\w.:-]+", name, re.ASCII)]
        if not safe:
            return tuple(sorted(virsh_text.net_devices(devices)))
        texts = self._virsh.ask_all([f"iface-dumpxml {name}" for name in safe])
        return tuple(sorted({virsh_text.bridge(text) for text in texts} - {""}))

    def has_links(self, links: Sequence[str], host: HostInfo | None = None) -> None:
        """NO_LINK if a bridge is missing."""
        there = (host or self.host()).links
        missing = [name for name in links if name not in there]
        if missing:
            raise HypervisorError(
                Outcome.NO_LINK,
                f"{self.name} has no bridge {', '.join(missing)} (it has {', '.join(there) or 'none'}): "
                "make it there, or choose another host",
            )

    def has_memory(self, info: DomainInfo, host: HostInfo) -> None:
        """NO_MEMORY if the domain does not fit in."""
        if host.free_mib < info.memory_mib:
            raise HypervisorError(
                Outcome.NO_MEMORY,
                f"{self.name} has {host.free_mib} MiB free of {host.memory_mib}, and {info.name} needs "
                f"{info.memory_mib}: stop or move another guest, or choose another host",
            )

    def _peer(self, to: Hypervisor) -> "LibvirtHypervisor":
        if not isinstance(to, LibvirtHypervisor) or to.family != self.family:
            raise HypervisorError(
                Outcome.INCOMPATIBLE, f"{to.name} is not a host of the same kind as {self.name}: choose another"
            )
        if to.name == self.name:
            raise HypervisorError(Outcome.ALREADY, f"it is on {self.name} already")
        return to

    def _drop_half(self, name: str, to: "LibvirtHypervisor") -> None:
        """Take away what a move that broke off left at the target: paused, and never to run.

        That is so once it runs here and nothing moves it any more; BUSY if a move does not end.
        """
        left = to.there(name)
        if left is None or left.state is not State.PAUSED:
            return
        deadline = time.monotonic() + self.settings.deadline_s
        questions = [f"{verb} {quoted(name)}" for verb in ("domjobabort", "domjobinfo")]
        while not virsh_text.is_idle(self._virsh.ask_all(questions)[1]):
            if time.monotonic() > deadline:
                raise HypervisorError(Outcome.BUSY, f"{self.name}: {name} is being moved: wait until that is done")
            time.sleep(POLL_S)
        left = to.there(name)
        if self.domain(name).state is State.RUNNING and left and left.state is State.PAUSED:
            to.stop(name, force=True)
            if to.there(name):
                to.undefine(name)

    def _after_failure(self, name: str, to: "LibvirtHypervisor", usages: Sequence[str], error: HypervisorError) -> None:
        """End a move that is still going on, and let the target forget what it may keep of it."""
        try:
            if error.outcome is Outcome.UNAVAILABLE:  # virsh gave up, which ends no move
                self._virsh.ask_all(["domjobabort " + quoted(name)])
            self._drop_half(name, to)
            left = to.there(name)
            if left and left.state is State.OFF:
                to.undefine(name)
            to.secrets.forget(usages)
        except HypervisorError:
            return  # what cannot be reached cannot be cleaned; domu-fsck finds it


def _of_a_move(error: HypervisorError, to: "LibvirtHypervisor") -> str:
    """What the source told of a move, with the target where it is the target's affair."""
    match error.outcome:
        case Outcome.NO_DISK:  # it is the target that was not let in
            return f"{to.name}, as {to.initiator}: {error}"
        case Outcome.UNAVAILABLE:  # it may be either
            return f"{error}; and whether it reaches {to.name} at {to.settings.peer_uri()}"
    return str(error)


def _read(state: str, text: str) -> DomainInfo | None:
    if not text.strip():
        return None
    try:
        return domainxml.parse(text, domainxml.state(state))
    except ValueError:
        return None
