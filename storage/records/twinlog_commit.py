"""Being first at a number: the commit protocol of the twinlog.

Rules, each with its reason (the other half is `twinlog_log`):

1. Whoever links its batch to number N+1 first has committed it. The file system decides; a loser reads the winner's
   batch, judges its own again and tries the next number. No lock, no clock and no idea of who is alive takes part.
2. The batch is on the disk before it is linked, and its name before anybody is told.
3. A link that "exists already" may be our own, done although the reply was lost: whose file it is tells its id.
4. Who slept for hours may get a number that compaction made free again. Hence the look after the link: if a snapshot
   stands at or above the number, the batch counts only as far as that snapshot holds its rows.
5. Whatever else fails after a link was tried: the outcome is "unavailable", the draft is undone, and the next look at
   the log finds out what became of it, as with anybody's batch. It syncs the folder first, lest our own name, seen
   again, be believed and then go with the power.

A crash between any two calls leaves a temporary file at most, which is swept when it has aged.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass, field

from storage.records.files import again
from storage.records.port import Outcome, RecordsError, Result, nothing
from storage.records.twinlog_draft import Draft
from storage.records.twinlog_log import Log
from storage.records.twinlog_turns import GIVE_WAY_STEP_S

ATTEMPTS_MAX = 1000
"""Numbers lost in a row before a commit gives up; each one is a commit of somebody else's."""


@dataclass
class Commit:
    """One batch on its way. `wish` drafts it against the tables as they are, as often as others are first.

    `settle` is asked if the log was compacted past our number while we tried: the draft is undone, the tables are those
    of a snapshot. It tells the results by what those hold; None if they prove that nothing of the draft was stored, so
    that it can be tried again.
    """

    log: Log
    wish: Callable[[], Draft]
    settle: Callable[[Draft], list[Result] | None]
    waits: Callable[[], None] = nothing
    """Called when the batch is made and has to be written."""
    draft: Draft = field(init=False)
    done: bool = False
    """Whether a batch of ours got a number for good."""
    _tried: bool = False  # a link was, so that a batch of ours may be there
    _in_place: bool = False  # the draft's changes are in the tables
    _tmp: str = ""
    _body: bytes = b""
    _ids: set[str] = field(default_factory=set)

    def run(self) -> RecordsError | None:
        """Commit; what kept the draft from being stored, if anything did: then the tables are as before.

        Errors of `wish` are returned as well.
        """
        log = self.log
        try:
            self._draft()
            if self.draft.refused:  # is it still so? What we know may be old
                self._undo()
                log.follow()
                self._draft()
            self._race()
        except RecordsError as error:
            self._undo()
            return error
        except OSError as error:
            self._undo()
            log.is_doubtful = True
            return log.folder.error(error)
        finally:
            self._drop_tmp()
        return None

    def _draft(self) -> None:
        self.draft = self.wish()
        self._in_place = True

    def _undo(self) -> None:
        if self._in_place:
            self.draft.undo()
            self._in_place = False

    def _drop_tmp(self) -> None:
        if self._tmp:
            self.log.folder.discard(self._tmp)
            self._tmp = ""

    def _race(self) -> None:
        for _ in range(ATTEMPTS_MAX):
            body = self.draft.body()
            if not body or self._try(body):
                return
        raise RecordsError(
            Outcome.BUSY,
            f"{self.log.folder.place()}: other servers were first {ATTEMPTS_MAX} times in a row: try again",
        )

    def _try(self, body: bytes) -> bool:
        """Try to get the next number; True if the outcome is known."""
        if body != self._body:
            self._drop_tmp()
        if not self._tmp:
            self.waits()
            self._tmp, writer = self.log.folder.write(body)
            self._body = body
            self._ids.add(writer)
        if self.log.turns.gives_way and self._gave_way():
            return self._lost()
        number = self.log.state.number + 1
        self._tried = True
        try:
            self.log.folder.link(self._tmp, number)
        except FileExistsError:
            return self._lost()
        except FileNotFoundError:  # swept, for we slept; or the folder is gone, which writing will tell
            self._tmp = ""
            return False
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            return False  # again: if it was done, the file bears our id
        return self._linked(number)

    def _gave_way(self) -> bool:
        """Let those go first who waited when we committed last; True if there is a new batch."""
        log = self.log
        while True:
            names = log.folder.names()
            log.turns.look(log.folder.clock.now(), names)
            if not log.turns.gives_way:
                return bool(names.logs_from(log.state.number + 1))
            log.folder.clock.sleep(GIVE_WAY_STEP_S)

    def _lost(self) -> bool:
        log = self.log
        news = log.news()
        if news is None:
            return self._slept()
        if any(batch is not None and batch.head.writer in self._ids for _, batch in news):
            self._undo()  # it is ours, the reply was lost: it is made with the others, in their order
            log.apply(news)
            again(log.folder.sync)
            self.done = True
            return True
        if any(batch is not None and self.draft.meets(batch) for _, batch in news):
            self._undo()
            log.apply(news)
            self._draft()
        else:
            log.apply(news)
        return False

    def _linked(self, number: int) -> bool:
        log = self.log
        began = log.folder.clock.now()
        names = log.folder.names()
        if names.has_snapshot(number):
            return self._slept()
        self._drop_tmp()
        again(log.folder.sync)
        log.committed(number, len(self._body), began, names)
        log.turns.committed(log.folder.clock.now(), names.waiting(log.folder.writer))
        self.draft.keep()
        self.done = True
        return True

    def _slept(self) -> bool:
        """The log was compacted past our number while we tried: ours counts as far as the snapshot holds it."""
        if not self._tried:  # we only let others go first
            self._undo()
            self.log.reload()
            self._draft()
            return False
        told: list[list[Result] | None] = []
        self._undo()
        self._drop_tmp()  # a further try is another batch: nobody may take the one for the other
        self.log.reload(lambda: told.append(self.settle(self.draft)))
        results = told[-1]
        if results is None:
            self._draft()
            return False
        self.draft.results = results
        return True
