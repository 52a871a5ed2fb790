"""Bodies of tests that run in processes of their own."""

import os
import traceback
from collections.abc import Callable


def in_child(body: Callable[[], object]) -> int:
    """Run `body` in a forked process; its pid. The child exits with 1, and prints why, if it raises."""
    pid = os.fork()
    if pid:
        return pid
    try:
        body()
    except BaseException:  # noqa: BLE001 - pytest must not run on in the child
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
