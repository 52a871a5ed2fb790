"""What time it is by the share: the one clock that all servers of a log have in common.

The file system stamps what is written there by its own clock (NFS: the server's, RFC 8881 section 5.8.2.43). So a file
of our own whose age we know tells what that clock shows now. Nothing in the log rests on it; the service compares its
own clock with it (`dhcp.clocks`). Rules:

1. A stamp counts only if the write took less than `WRITE_MAX_S`: nobody knows when in that time it was made.
2. A look at a stamp costs a request on NFS, so there one in `EVERY_S` must do; elsewhere each commit is looked at.
3. Where nothing is committed for `OLD_S`, a file is written and removed to see: the share may have failed over to
   another clock, and ours may run at another pace.
4. What goes wrong changes nothing: what was seen last goes on to count.
5. Until it was seen for the first time, which takes a share that can be written, the newest file is a lower bound: it
   cannot be earlier by the share than when that was written. Without this a server that starts on a read-only share
   would have its own clock alone to believe, and one that is hours ahead would give everybody's addresses away. How
   much later it may be is told as well (`Epoch.behind_s`): no end to it for that file, as long as the write took for
   one of ours that was slow.
"""

import math
from dataclasses import dataclass

from storage.records.files import Files, again
from storage.records.port import Epoch
from storage.records.twinlog_clock import Clock

WRITE_MAX_S = 1.0
EVERY_S = 1.0
OLD_S = 30.0


@dataclass
class ShareClock:
    """The share's clock, as our monotonic clock tells it. Callers lock."""

    files: Files
    clock: Clock
    epoch: Epoch | None = None
    """Of the share's clock; None until anything is known of it."""
    _seen_s: float = float("-inf")
    _tried_s: float = float("-inf")

    def is_old(self) -> bool:
        """Tell whether it is time to write a file for no other purpose; not again for a while if that fails."""
        now = self.clock.now()
        if now - max(self._seen_s, self._tried_s) < (OLD_S if self._is_seen else EVERY_S):
            return False
        self._tried_s = now
        return True

    def observe(self, name: str, began: float) -> None:
        """Read the clock off a file of ours that was written since `began` (monotonic), if it is time to."""
        now = self.clock.now()
        is_exact = now - began <= WRITE_MAX_S
        if now - self._seen_s < EVERY_S and not self.files.stat_is_current:
            return
        behind_s = 0.0 if is_exact else now - began
        if self.epoch is not None and self.epoch.behind_s < behind_s:
            return
        try:
            self._begin(name, now, behind_s)
        except OSError:
            return
        if is_exact:
            self._seen_s = now

    def begin(self, name: str) -> None:
        """Take the time when a file was written, nobody knows how long ago, for that of now. OSError."""
        self._begin(name, self.clock.now(), math.inf)

    def _begin(self, name: str, now: float, behind_s: float) -> None:
        """Take the time when a file was written, `behind_s` before `now` at the most, for that of `now`. OSError."""
        self.epoch = Epoch(again(lambda: self.files.stat(name)).mtime_ns / 1e9 - now, behind_s)

    @property
    def _is_seen(self) -> bool:
        return self._seen_s > float("-inf")
