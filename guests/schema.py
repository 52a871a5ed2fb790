"""Is it what libvirt calls a domain? Its own schema says so, where it is installed (libvirt0, libxml2-utils).

Asked before a hypervisor is, so that `--dry-run` and a plan's first step already know. Every libvirt since 2015 checks
again when it defines.
"""

import shutil
import subprocess
from pathlib import Path

from guests.hypervisor import HypervisorError, Outcome

RNG = Path("/usr/share/libvirt/schemas/domain.rng")
CHECK_TIMEOUT_S = 20
MISSING = "not checked against libvirt's schema: install the packages libvirt0 and libxml2-utils"
WORDS_CHARS_MAX = 300


def check(text: str, what: str) -> str:
    """Return an empty string, or why it was not checked; INVALID with the schema's own words."""
    if not RNG.exists() or not shutil.which("xmllint"):
        return MISSING
    try:
        done = subprocess.run(
            ["xmllint", "--noout", "--nonet", "--relaxng", str(RNG), "-"],
            input=text.encode(),
            capture_output=True,
            timeout=CHECK_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"not checked against libvirt's schema: {error}"
    if done.returncode:
        words = " ".join(done.stderr.decode(errors="replace").split())[:WORDS_CHARS_MAX]
        raise HypervisorError(Outcome.INVALID, f"{what}: libvirt's schema does not allow it: {words}")
    return ""
