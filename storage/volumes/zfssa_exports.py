"""Exports of an appliance: initiators, groups and a target, made before a LUN names them and removed after."""

from collections.abc import Callable

from storage.volumes import zfssa_model
from storage.volumes.masking import masked
from storage.volumes.names import Volume
from storage.volumes.port import Access, Export, Outcome, VolumesError
from storage.volumes.settings import ZfssaSettings
from storage.volumes.zfssa_heads import Heads
from storage.volumes.zfssa_model import Facts
from storage.volumes.zfssa_port import Appliance


class Exports:
    """The exports of one store."""

    def __init__(self, settings: ZfssaSettings, heads: Heads[Appliance], step: Callable[[str], None]) -> None:
        self._set = settings
        self._heads = heads
        self._step = step

    def open(self, volume: Volume, name: str, access: Access, facts: Facts) -> str:
        """Make initiators, groups and target where they are missing, then show the LUN `name`; returns the IQN."""
        group = volume.domain
        hidden = masked(access, self._set.authority)
        wanted = zfssa_model.alias(volume, hidden)
        self._tidy(volume, wanted, access, facts)
        facts = self.facts()
        for one in access.initiators:
            self._make_initiator(one, access, there=one in facts.initiators)
            self._step("initiator made")
        if group not in facts.initiator_groups:
            self.do(lambda head: head.make_group("initiator", group, access.initiators), Outcome.EXISTS)
            self._step("initiator group made")
        target = facts.target(volume)
        iqn = target.iqn if target else self._make_target(volume, wanted, checks=access.chap is not None)
        if group not in facts.target_groups:
            self.do(lambda head: head.make_group("target", group, (iqn,)), Outcome.EXISTS)
            self._step("target group made")
        self.do(lambda head: head.show(volume.parent, name, (group, group)), Outcome.EXISTS)
        self._step("shown")
        return iqn

    def _make_initiator(self, name: str, access: Access, *, there: bool) -> None:
        self.do(lambda head: head.make_initiator(name, access, there=there), Outcome.EXISTS)

    def _make_target(self, volume: Volume, alias: str, *, checks: bool) -> str:
        """Make it; if an earlier attempt made it and its answer was lost, look up what name it got."""
        iqn, links = volume.iqn(self._set.authority), self._set.interfaces

        def work(head: Appliance, again: bool) -> str:
            try:
                return head.make_target(iqn, alias, checks=checks, interfaces=links)
            except VolumesError as error:
                found = head.facts().target(volume) if again and error.outcome is Outcome.EXISTS else None
                if found is None:
                    raise
                return found.iqn

        made = self._heads.ask(work)
        self._step("target made")
        return made

    def _tidy(self, volume: Volume, alias: str, access: Access, facts: Facts) -> None:
        """Remove what an attempt for others left; the LUN does not name it."""
        group, target = volume.domain, facts.target(volume)
        members = facts.initiator_groups.get(group)
        fits = members is None or tuple(sorted(members)) == access.initiators
        if not fits or (target and (target.alias, target.checks) != (alias, access.chap is not None)):
            self._drop(volume, facts)

    def close(self, volume: Volume, name: str) -> None:
        """Hide the LUN `name` and remove target and groups, whichever are there."""
        facts = self.facts()
        hidden = (zfssa_model.ALL_TARGETS, zfssa_model.NOBODY)
        lun = facts.luns.get(volume)
        if name != volume.volume or (lun and volume.domain in (lun.groups[0], *lun.groups[1])):
            self.do(lambda head: head.show(volume.parent, name, hidden), Outcome.NOT_FOUND)
            self._step("hidden")
        self._drop(volume, facts)

    def _drop(self, volume: Volume, facts: Facts) -> None:
        group, target = volume.domain, facts.target(volume)
        if group in facts.target_groups:
            self.do(lambda head: head.drop_group("target", group), Outcome.NOT_FOUND)
            self._step("target group gone")
        if target:
            self.do(lambda head: head.drop_target(target.iqn), Outcome.NOT_FOUND)
            self._step("target gone")
        if group in facts.initiator_groups:
            self.do(lambda head: head.drop_group("initiator", group), Outcome.NOT_FOUND)
            self._step("initiator group gone")

    def do(self, act: Callable[[Appliance], None], already: Outcome) -> None:
        """Change something; `already` is what it says if an attempt whose answer was lost has done it."""

        def work(head: Appliance, again: bool) -> None:
            try:
                act(head)
            except VolumesError as error:
                if not (again and error.outcome is already):
                    raise

        self._heads.ask(work)
        self._step("done")

    def facts(self) -> Facts:
        """Everything, from whoever has the pool."""
        return self._heads.ask(lambda head, _: head.facts())

    def strays(self, facts: Facts) -> list[Volume]:
        """Volumes with a target or groups of ours, and no LUN that names them."""
        prefix = self._set.authority + ":"
        domains = {iqn.removeprefix(prefix) for iqn in facts.targets if iqn.startswith(prefix)}
        pairs = [domain.partition(":") for domain in sorted(domains)]
        volumes = [zfssa_model.volume_of(project, name) for project, _, name in pairs]
        return [volume for volume in volumes if volume and facts.access(volume) is None]

    def export(self, iqn: str, access: Access) -> Export:
        """Where it is to be had."""
        return Export(iqn, self._set.portal, zfssa_model.LUN_NUMBER, access.initiators, access.chap is not None)


def one_secret(volume: Volume, access: Access, facts: Facts) -> None:
    """A user has one secret; an initiator has one user, because the appliance keeps the secret with the initiator."""
    for name in facts.luns:
        other = facts.access(name)
        if not (access.chap and other and other.chap) or name == volume or other.chap == access.chap:
            continue
        if other.chap.user == access.chap.user or set(other.initiators) & set(access.initiators):
            text = f"CHAP user {other.chap.user} has another secret at {name}: give both the same, or use another user"
            raise VolumesError(Outcome.INVALID, text, [str(name)])
