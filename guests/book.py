"""The guests' rows and their bindings in the records: read, claimed, changed by compare-and-swap.

A claim is the first write of every command: the row with the command's work in it, and the addresses it is to have, in
one commit. It succeeds only if the row still is as the plan saw it, so of two people who ask for one name, or for
one address, one wins and the other is told who. A commit is one write where the store can hold several tables in one
(twinlog, PostgreSQL); where a part of it is refused, the parts that were stored are put back.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address

from guests import addresses, process
from guests.addresses import client_id, reserved_id
from guests.faults import Refused
from guests.guest import TABLE, Nic, Work, flaw, nics, read_work, with_known_macs, work_text
from guests.plan import Plan
from guests.site import Net, Site
from storage.records import FREE_ID, Binding, Change, Guest, Outcome, Records, RecordsError, Result, Row

LOST = (Outcome.COLLISION, Outcome.EXISTS, Outcome.NOT_FOUND)


class Book:
    """The table `guests` and the networks' containers of one store, for one command."""

    def __init__(
        self,
        records: Records,
        site: Site,
        now: Callable[[], float] = time.time,
        is_alive: Callable[[Work], bool | None] = process.is_alive,
    ) -> None:
        self._records = records
        self._site = site
        self._now = now
        self._alive = is_alive

    def guests(self) -> dict[str, Guest]:
        """All rows by name that commands may have written. RecordsError."""
        return {row.guest: row for row in self._rows(TABLE) if isinstance(row, Guest) and not flaw(row)}

    def flaws(self) -> list[str]:
        """What is wrong with the other rows: somebody edited them. RecordsError."""
        return [found for row in self._rows(TABLE) if isinstance(row, Guest) and (found := flaw(row))]

    def bindings(self, net: Net) -> dict[int, Binding]:
        """A network's bindings by address; Refused if it has no container, RecordsError."""
        try:
            rows = self._records.read(net.container).rows
        except RecordsError as error:
            if error.outcome is not Outcome.NOT_FOUND:
                raise
            raise Refused(f"{net.subnet} has no container: make it with `pntadm -C {net.container}`") from None
        return {row.address: row for row in rows if isinstance(row, Binding)}

    def at_work(self, row: Guest | None, *, take_over: bool = False) -> None:
        """Refused if a command is at work on the guest. One that died on this machine is not; elsewhere, who knows."""
        work = read_work(row.work) if row else None
        if row is None or work is None:
            return
        alive = self._alive(work)
        since = f"{work.command}, since {max(0, int(self._now()) - row.changed_s)} s"
        if alive:
            raise Refused(f"{row.guest}: {row.by} is at work on it ({since}): repeat this when it is done")
        if alive is None and not take_over:
            way = "if that command is dead, --take-over goes on with its work"
            raise Refused(f"{row.guest}: {row.by} is at work on it ({since}) from another machine; {way}")

    def claim(self, plan: Plan) -> Guest | None:
        """Take the guest, and the plan's addresses, for this command; the row as stored. Refused if late."""
        target = plan.goal or plan.old
        if target is None:
            return None
        row = self._signed(target, plan.old)
        row = row._replace(work=work_text(process.work_here(plan.command, plan.own)))
        wanted = with_known_macs(plan.old, plan.reserve)
        changes = [self._reservation(plan.guest, nic) for nic in wanted]
        self._make_table()
        stored = self.commit([Change(TABLE, plan.old, row), *(one for one in changes if one.old != one.new)])
        assert isinstance(stored[0], Guest)
        return stored[0]

    def settle(self, held: Guest, row: Guest | None) -> None:
        """Put down the work: the row as it is to be from now on. Refused, RecordsError."""
        self.commit([Change(TABLE, held, row._replace(work="", signature=held.signature) if row else None)])

    def bind(self, held: Guest, nic: Nic) -> Guest:
        """Bind the address, and free the one that the link had, together with the row; the row as stored."""
        links = {one.link: one for one in nics(held)}
        had = links[nic.link]
        mine = frozenset({client_id(nic.mac), reserved_id(held.guest)})
        changes = [self._binding_change(nic, mine, client_id(nic.mac))]
        if had.address not in ("", nic.address):
            changes += self._freeing(held.guest, had._replace(mac=nic.mac))
        links[nic.link] = nic
        row = self._signed(held, held)._replace(links=" ".join(",".join(one).rstrip(",") for one in links.values()))
        stored = self.commit([Change(TABLE, held, row), *(change for change in changes if change.old != change.new)])
        assert isinstance(stored[0], Guest)
        return stored[0]

    def free(self, guest: str, nic: Nic) -> None:
        """Give an address back, if it still is the guest's."""
        if changes := self._freeing(guest, nic):
            self.commit(changes)

    def is_bound(self, nic: Nic) -> bool:
        """Whether the address is bound to the link's MAC, under the name."""
        if not (nic.mac and nic.address):
            return False
        address = IPv4Address(nic.address)
        row = self.bindings(self._site.net_of(nic.link, address)).get(int(address))
        return row is not None and (row.client_id, row.comment) == (client_id(nic.mac), nic.host)

    def commit(self, changes: Sequence[Change]) -> list[Row | None]:
        """Store all, or none; Refused with every reason, RecordsError if the store failed."""
        results = self._records.commit(changes)
        pairs = list(zip(changes, results, strict=True))
        wrong = [(change, result) for change, result in pairs if result.outcome is not Outcome.STORED]
        if not wrong:
            return [result.row for result in results]
        back = [
            Change(change.table, result.row, change.old) if result.row else Change(change.table, None, change.old)
            for change, result in pairs
            if result.outcome is Outcome.STORED
        ]
        if back:
            self._records.commit(back)
        if broken := [result for _, result in wrong if result.outcome not in LOST]:
            raise RecordsError(broken[0].outcome, broken[0].detail or broken[0].outcome.value)
        raise Refused(*(self._who_was_first(change, result) for change, result in wrong))

    def judge(self, guest: str, nic: Nic, holders: Mapping[bytes, str]) -> None:
        """Refused unless the guest may have the address and the name."""
        address = IPv4Address(nic.address)
        net = self._site.net_of(nic.link, address)
        mine = frozenset({reserved_id(guest), *([client_id(nic.mac)] if nic.mac else [])})
        addresses.judge(net, nic, self.bindings(net).get(int(address)), mine, self._now(), holders)
        own = {client for client, who in holders.items() if who == guest} | mine
        names: dict[str, str] = {}
        for other in self._site.nets:
            try:
                rows = self.bindings(other)
            except Refused:
                continue
            names |= {
                row.comment.lower(): str(IPv4Address(row.address))
                for row in rows.values()
                if row.comment and row.client_id not in own and row.client_id != FREE_ID
            }
        addresses.refuse_taken_name(self._site, nic.host, names)

    def _binding_change(self, nic: Nic, mine: frozenset[bytes], client: bytes) -> Change:
        address = IPv4Address(nic.address)
        net = self._site.net_of(nic.link, address)
        old = addresses.judge(net, nic, self.bindings(net).get(int(address)), mine, self._now(), {})
        return Change(net.container, old, addresses.bound(self._site, old, client, nic.host))

    def _reservation(self, guest: str, nic: Nic) -> Change:
        mine = frozenset({reserved_id(guest), *([client_id(nic.mac)] if nic.mac else [])})
        change = self._binding_change(nic, mine, reserved_id(guest))
        is_bound = isinstance(change.old, Binding) and nic.mac and change.old.client_id == client_id(nic.mac)
        return change._replace(new=change.old) if is_bound else change

    def _freeing(self, guest: str, nic: Nic) -> list[Change]:
        address = IPv4Address(nic.address)
        net = self._site.net_of(nic.link, address)
        row = self.bindings(net).get(int(address))
        mine = {reserved_id(guest), *([client_id(nic.mac)] if nic.mac else [])}
        return [Change(net.container, row, addresses.freed(row, nic.host))] if row and row.client_id in mine else []

    def _signed(self, row: Guest, old: Guest | None) -> Guest:
        return row._replace(changed_s=int(self._now()), by=self._site.by, signature=old.signature if old else 0)

    def _who_was_first(self, change: Change, result: Result) -> str:
        row = change.new or change.old
        if isinstance(row, Guest):
            now = self.guests().get(row.guest)
            who = f"{now.by} was faster" if now else "somebody has just destroyed it"
            return f"{row.guest}: {who}: see `domu-show {row.guest}`, and repeat this command if you still want to"
        address = str(IPv4Address(row.address)) if isinstance(row, Binding) else change.table
        return f"{address}: somebody else has just changed it ({result.detail}): choose another, or repeat this command"

    def _rows(self, table: str) -> Sequence[Row]:
        try:
            return self._records.read(table).rows
        except RecordsError as error:
            if error.outcome is not Outcome.NOT_FOUND:
                raise
            return ()

    def _make_table(self) -> None:
        if TABLE in self._records.tables():
            return
        try:
            self._records.create(TABLE)
        except RecordsError as error:
            if error.outcome is not Outcome.EXISTS:
                raise
