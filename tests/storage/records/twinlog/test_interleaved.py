"""Three servers on one share, their operations interleaved by a seed: sleeps, lost replies, deaths, compaction.

The judge knows only what callers were told: of the changes made to one version of a row at most one was stored, and
what was stored is there in the end, or somebody changed it after that.
"""

import errno
import os
import random

import pytest
from greenlet import getcurrent, greenlet

from storage.records import Change, Outcome, RecordsError, TabEntry
from tests.storage.records.conftest import Bind
from tests.storage.records.twinlog.conftest import NET, FakeFiles, compact_after

SEEDS = range(160)
COMMITS = 12


class World:
    """Servers as greenlets; before and after each operation, whose turn it is, is drawn anew."""

    def __init__(self, seed, share, server, binding):
        self.rnd = random.Random(seed)
        self.share = share
        self.server = server
        self.binding = binding
        self.told = []  # (table, old row, new row, outcome)
        self.asleep = {}
        self.scheduler = getcurrent()

    def view(self):
        view = self.share.view()
        view.before = lambda *call: self.pass_on()
        view.after = self.after
        return view

    def pass_on(self):
        if self.rnd.random() < 0.02:
            self.asleep[getcurrent()] = self.rnd.randrange(5, 400)
        self.scheduler.switch()

    def after(self, verb, *_):
        self.scheduler.switch()
        if verb == "link" and self.rnd.random() < 0.1:
            number = self.rnd.choice([errno.EEXIST, errno.ESTALE, errno.EIO])
            raise OSError(number, os.strerror(number))
        if verb in ("read", "names", "write", "sync") and self.rnd.random() < 0.01:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    def live(self, name):
        """One server's life: looks, changes some rows it saw, and is started anew now and then."""
        store = None
        for _ in range(COMMITS):
            try:
                if store is None or self.rnd.random() < 0.1:
                    store = self.server(self.view(), name, generation=lambda: self.rnd.getrandbits(16))
                changes = [self.change(store) for _ in range(self.rnd.randrange(1, 5))]
            except RecordsError:
                continue
            results = store.commit(changes)
            for change, result in zip(changes, results, strict=True):
                self.told.append((change, result))

    def change(self, store):
        table = self.rnd.choice([NET, "dhcptab"])
        seen = store.read(table).rows
        if seen and self.rnd.random() < 0.7:
            old = self.rnd.choice(seen)
            mark = f"{self.rnd.getrandbits(32)}"
            new = old._replace(comment=mark) if table == NET else old._replace(value=mark)
            return Change(table, old, None if self.rnd.random() < 0.2 else new)
        if table == NET:
            return Change(table, None, self.binding(self.rnd.randrange(1, 20), comment=f"{self.rnd.getrandbits(32)}"))
        return Change(table, None, TabEntry(f"m{self.rnd.randrange(20)}", "m", 0, f"{self.rnd.getrandbits(32)}"))

    def run(self):
        waiting = [greenlet(self.live) for _ in "abc"]
        names = dict(zip(waiting, ("odd", "even", "third"), strict=True))
        while waiting:
            awake = [one for one in waiting if not self.asleep.get(one)] or waiting
            for one in self.asleep:
                self.asleep[one] = max(self.asleep[one] - 1, 0)
            one = self.rnd.choice(awake)
            one.switch(*([] if one in self.started else [names[one]]))
            self.started.add(one)
            waiting = [each for each in waiting if not each.dead]

    started: set


@pytest.mark.parametrize("block", range(4))
def test_whatever_the_order_nothing_is_doubled_or_lost(
    monkeypatch: pytest.MonkeyPatch, share: FakeFiles, server, binding: Bind, block
) -> None:
    compact_after(monkeypatch, 2, 3)
    stored = 0
    for seed in SEEDS[block::4]:
        fresh = type(share)()
        first = server(fresh)
        first.create(NET)
        first.create("dhcptab")
        world = World(seed, fresh, server, binding)
        world.started = set()
        world.run()
        stored += judge(seed, world, server(fresh))
    assert stored > 300  # the servers did get on


def judge(seed, world, final):
    outcomes = {}
    replaced = set()
    kept = []
    for change, result in world.told:
        if change.old is not None:
            version = (change.table, change.old)
            if result.outcome is Outcome.STORED:
                assert version not in outcomes, f"seed {seed}: two changes of {version} were stored"
                outcomes[version] = result
            if result.outcome in (Outcome.STORED, Outcome.UNAVAILABLE):
                replaced.add(version)
        if result.outcome is Outcome.STORED and result.row is not None:
            kept.append((change.table, result.row))
    rows = {(table, row) for table in (NET, "dhcptab") for row in final.read(table).rows}
    for version in kept:
        assert version in rows or version in replaced, f"seed {seed}: {version} was stored and is not there"
    for version in outcomes:
        assert version not in rows, f"seed {seed}: {version} was replaced and is there again"
    assert len({(table, row.key) for table, row in rows}) == len(rows)
    return len(kept)
