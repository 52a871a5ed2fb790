"""The port of hypervisors by `xl`, for Xen without libvirt: on this machine, or on a host by ssh.

Rules of this room:

* A definition is a file on the host (see `xl_files`), so a domain that is off is known, and its MAC addresses stay. One
  script asks the host for everything, so a thousand definitions cost what one does.
* The disk is logged in to by our hotplug script, put beside Xen's own whenever something is defined. What a failed
  start left logged in is logged out.
* `live` needs a Xen that tracks memory of such a guest (`xl info`, virt_caps): where it does not, that is refused. A
  move that is not live stops the guest, ships its memory through this machine, and lets it go on.
"""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from guests import xl_text
from guests.domain import RUNS, DomainInfo, DomainSpec, HostInfo, State
from guests.hypervisor import Hypervisor, HypervisorError, Outcome, Place, Progress
from guests.xl_files import DEADLINE_S, Files, XlSettings
from guests.xl_shell import Shell
from guests.xl_ship import MOVE_DEADLINE_S, ship
from guests.xl_text import Definition, Facts, Row
from storage.volumes import BadNameError, Chap
from storage.volumes.names import parse_domain

START_DEADLINE_S = 300.0
"""pygrub reads the disk, a log-in may be tried for two minutes."""

BREAK = "--twinboot--"


class Seen(NamedTuple):
    """A host at one time."""

    defined: dict[str, Definition]
    rows: dict[str, Row]
    running: dict[str, DomainInfo]
    facts: Facts
    links: tuple[str, ...]

    def domain(self, name: str) -> DomainInfo | None:
        """As the port tells it; our definition knows best, but for the state."""
        row = self.rows.get(name)
        state = row.state if row else State.OFF
        if name in self.defined:
            return self.defined[name].info(state)
        found = self.running.get(name)
        return found._replace(state=state) if found and row else None


def open_xl(place: Place) -> "XlHypervisor":
    """The host at a place of the site. INVALID if its URI is none of ours."""
    return XlHypervisor(XlSettings(place.name, place.uri, place.initiator, place.address, place.templates))


class XlHypervisor:
    """One host of Xen."""

    def __init__(self, settings: XlSettings) -> None:
        self.name = settings.name
        self.initiator = settings.initiator
        self.settings = settings
        self.shell = Shell(settings.name, settings.uri)
        self.files = Files(self.shell, settings)

    def host(self) -> HostInfo:
        """What `xl info` and the bridges tell."""
        seen = self.see()
        facts = seen.facts
        return HostInfo(facts.memory_mib, facts.free_mib, facts.cpus, seen.links, facts.version)

    def domains(self) -> list[DomainInfo]:
        """Those that are defined and those that run."""
        seen = self.see()
        found = (seen.domain(name) for name in sorted({*seen.defined, *seen.rows}))
        return [one for one in found if one is not None]

    def states(self) -> dict[str, State]:
        """`xl list`, and which definitions there are."""
        script = f"xl list || exit 1\necho {BREAK}\n{self.files.heads}"
        table, heads = self.shell.ask(script, DEADLINE_S).split(f"{BREAK}\n")
        rows = xl_text.parse_list(table)
        off = dict.fromkeys(xl_text.parse_heads(heads), State.OFF)
        return off | {name: row.state for name, row in rows.items()}

    def domain(self, name: str) -> DomainInfo:
        """One of them."""
        return self._found(self.see(), name)

    def define(self, spec: DomainSpec) -> DomainInfo:
        """Write its file, and the hotplug script."""
        seen = self.see()
        there, old = seen.domain(spec.name), seen.defined.get(spec.name)
        if there and there.state in RUNS:
            raise self.shell.error(Outcome.BUSY, f"{spec.name} is running: stop it first")
        if there and there.uuid != spec.uuid:
            text = f"{spec.name} is there with another uuid ({there.uuid}): undefine it first"
            raise self.shell.error(Outcome.INVALID, text)
        self._need_links(seen, spec.links)
        try:
            parse_domain(spec.name)  # it becomes a file's name
        except BadNameError as error:
            raise self.shell.error(Outcome.INVALID, str(error)) from error
        definition = xl_text.define(spec, old)
        self.files.keep(definition, spec.disk.chap)
        return definition.info(State.OFF)

    def undefine(self, name: str) -> None:
        """Remove its file."""
        seen = self.see()
        if self._found(seen, name).state in RUNS:
            raise self.shell.error(Outcome.BUSY, f"{name} is running: stop it first")
        self.files.forget(name, seen.defined.get(name))

    def start(self, name: str) -> None:
        """`xl create`; what it left when it failed is cleaned up."""
        seen = self.see()
        found = self._found(seen, name)
        if found.state in RUNS:
            raise self.shell.error(Outcome.ALREADY, f"{name} is running")
        if name not in seen.defined:
            raise self.shell.error(Outcome.NOT_FOUND, f"{name} is not defined by us: nothing to start it from")
        out = _log_out(found.iqn)
        script = f"{out}\nxl create {self.files.cfg(name)} || {{ code=$?; {out}; exit $code; }}"
        done = self.shell.run(script, START_DEADLINE_S)
        if done.code:
            short = found.memory_mib > seen.facts.free_mib
            raise self.shell.failed(done, Outcome.NO_MEMORY if short else Outcome.FAILED)

    def stop(self, name: str, *, force: bool = False) -> None:
        """`xl shutdown`, by ACPI where the guest has no driver for it; `xl destroy`."""
        if self._found(self.see(), name).state not in RUNS:
            raise self.shell.error(Outcome.ALREADY, f"{name} is off")
        self.shell.ask(f"xl {'destroy' if force else 'shutdown -F'} {shlex.quote(name)}", DEADLINE_S)

    def migrate(self, name: str, to: Hypervisor, *, live: bool, progress: Progress | None = None) -> None:
        """Live from host to host by their own ssh; else by `xl save` and `xl restore`."""
        seen = self.see()
        found = self._found(seen, name)
        if to.name == self.name:
            raise self.shell.error(Outcome.ALREADY, f"{name} is here already")
        if not isinstance(to, XlHypervisor):
            raise self.shell.error(
                Outcome.INCOMPATIBLE, f"{to.name} is not driven by xl: guests move between like hosts"
            )
        if found.state not in RUNS or name not in seen.defined:
            raise self.shell.error(Outcome.BUSY, f"{name} is off, or not ours: only what runs can move")
        definition = seen.defined[name]
        if live and not seen.facts.moves_live(definition.kind):
            text = f"this Xen has no log-dirty mode for {definition.kind.value} guests (virt_caps of `xl info`)"
            raise self.shell.error(Outcome.INCOMPATIBLE, f"{text}: move it without --live, which pauses it meanwhile")
        chap = self.files.chap(definition.iqn)
        to.admit(definition, chap)
        try:
            (self._move_live if live else self._move)(definition, to, progress)
        except BaseException:
            if not to.see().rows.get(name):
                to.files.forget(name, definition)
            raise
        self.files.forget(name, definition)

    def console_argv(self, name: str) -> Sequence[str]:
        """`xl console`, on a terminal there."""
        found = self._found(self.see(), name)
        return self.shell.argv(f"exec xl console {shlex.quote(found.name)}", terminal=True)

    def close(self) -> None:
        """Nothing is open."""

    def see(self) -> Seen:
        """Everything at once."""
        where = self.settings
        script = (
            f"xl info || exit 1\necho {BREAK}\nxl list || exit 1\necho {BREAK}\nxl list -l\necho {BREAK}\n"
            f"{self.files.heads}\necho {BREAK}\n"
            f"for one in {shlex.quote(where.net)}/*/bridge; do\n"
            '[ -d "$one" ] && one=${one%/bridge} && echo "${one##*/}"\ndone\nexit 0'
        )
        text = self.shell.ask(script, DEADLINE_S)
        try:
            info, table, long, heads, links = text.split(f"{BREAK}\n")
            running = xl_text.parse_long(long)
            facts = xl_text.parse_info(info)
        except ValueError as error:
            raise self.shell.error(Outcome.UNAVAILABLE, f"xl says what we do not understand: {error}") from error
        rows = xl_text.parse_list(table)
        return Seen(xl_text.parse_heads(heads), rows, running, facts, tuple(sorted(links.split())))

    def admit(self, definition: Definition, chap: Chap | None) -> None:
        """Judge whether a domain can come here, and keep its definition. As `migrate` refuses."""
        seen = self.see()
        if seen.domain(definition.name):
            raise self.shell.error(Outcome.ALREADY, f"{definition.name} is here already")
        self._need_links(seen, [link.name for link in definition.links])
        if definition.memory_mib > seen.facts.free_mib:
            text = f"{definition.name} needs {definition.memory_mib} MiB, {seen.facts.free_mib} are free"
            raise self.shell.error(Outcome.NO_MEMORY, text)
        found = self.shell.run(
            f"iscsiadm -m discovery -t st -o nonpersistent -p {shlex.quote(definition.portal)}", DEADLINE_S
        )
        if f" {definition.iqn}" not in found.out:
            text = f"{definition.portal} does not let {self.initiator} in to {definition.iqn}: export it to this host"
            raise self.shell.error(Outcome.NO_DISK, text)
        self.files.keep(definition, chap)

    def _move_live(self, definition: Definition, to: "XlHypervisor", progress: Progress | None) -> None:
        del progress  # xl tells its own on a terminal only
        name, where = shlex.quote(definition.name), shlex.quote(to.settings.address)
        if not to.settings.address:
            raise to.shell.error(Outcome.INVALID, "its address is not known: give it in the host file")
        self.shell.ask(f"xl migrate {name} {where}", MOVE_DEADLINE_S)

    def _move(self, definition: Definition, to: "XlHypervisor", progress: Progress | None) -> None:
        name, here, there = definition.name, self.files.saved(definition.name), to.files.saved(definition.name)
        self.shell.ask(f"umask 077; xl save {shlex.quote(name)} {here}", MOVE_DEADLINE_S)
        try:
            size_bytes = int(self.shell.ask(f"stat -c %s {here}", DEADLINE_S))
            ship(self.shell.argv(f"cat {here}"), to.shell.argv(f"umask 077; cat > {there}"), size_bytes, progress)
            done = to.shell.run(f"xl restore {there}; code=$?; rm -f {there}; exit $code", MOVE_DEADLINE_S)
            if done.code:
                raise to.shell.failed(done)
        except (HypervisorError, OSError, ValueError) as error:
            if not to.see().rows.get(name):
                to.shell.run(f"{_log_out(definition.iqn)}; rm -f {there}", DEADLINE_S)
                self.shell.ask(f"xl restore {here} && rm -f {here}", MOVE_DEADLINE_S)
            if isinstance(error, HypervisorError):
                raise
            raise self.shell.error(Outcome.FAILED, f"{name}: its memory could not be shipped: {error}") from error

    def _found(self, seen: Seen, name: str) -> DomainInfo:
        found = seen.domain(name)
        if found is None:
            raise self.shell.error(Outcome.NOT_FOUND, f"there is no domain {name}")
        return found

    def _need_links(self, seen: Seen, links: Sequence[str]) -> None:
        missing = [link for link in links if link not in seen.links]
        if missing:
            there = ", ".join(seen.links) or "none"
            raise self.shell.error(Outcome.NO_LINK, f"there is no bridge {', '.join(missing)}; there are: {there}")


def _log_out(iqn: str) -> str:
    """A script that lets go of a disk that nobody uses: what an earlier crash or a failed start left."""
    target, line = shlex.quote(iqn), shlex.quote(f" {iqn} ")
    out = f"iscsiadm -m node -T {target} --logout; iscsiadm -m node -T {target} -o delete"
    return f"if iscsiadm -m session 2>/dev/null | grep -qF {line}; then {{ {out}; }} >/dev/null 2>&1; fi"
