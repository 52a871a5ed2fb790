"""Debian packages as raw material: fetched by apt, unpacked beside the system, never installed.

`apt-get download` checks the archive's signatures and hashes as always; no root is needed. Which version is current
comes from apt's own lists, so asking costs no network.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

TOOL_TIMEOUT_S = 60
DOWNLOAD_TIMEOUT_S = 1800
POLL_S = 0.2
DETAIL_MAX = 300  # of a tool's own words in our one line
URI_LINE = re.compile(r"'[^']+' (?P<file>\S+\.deb) (?P<size>\d+)(?: (?P<digest>\S+))?")
# The image can be built by root, whose files apt's own sandbox user may not be able to write.
APT_OPTIONS = ("-q", "-o", "APT::Sandbox::User=root") if os.geteuid() == 0 else ("-q",)

Progress = Callable[[str, int, int], None]


class MediaError(Exception):
    """Boot files cannot be built; the text says why and what to do."""


class Package(NamedTuple):
    """A package version as apt would fetch it now. `file` holds name and version, `digest` its hash."""

    name: str
    file: str
    size_bytes: int
    digest: str


def run(*command: str, cwd: Path | None = None, timeout_s: float = TOOL_TIMEOUT_S) -> str:
    """Run a tool to its end and return what it printed; MediaError in one line when it is missing or fails."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False)
    except FileNotFoundError:
        raise MediaError(f"{command[0]} is not installed; build the boot files on a Debian machine") from None
    except subprocess.TimeoutExpired:
        raise MediaError(
            f"`{' '.join(command)}` did not end within {timeout_s:.0f} s; run it by hand to see why"
        ) from None
    if done.returncode:
        raise MediaError(f"`{' '.join(command)}` failed: {last_words(done.stderr)}")
    return done.stdout


def last_words(text: str) -> str:
    """The last line that a tool printed, which is where tools say why they failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else "no reason given")[:DETAIL_MAX]


def dependency(metapackage: str, pattern: str) -> str:
    """The package matching `pattern` that a metapackage stands for at present, such as today's kernel."""
    try:
        listing = run("apt-cache", "depends", metapackage)
    except MediaError as error:
        raise _unknown(metapackage) from error
    for line in listing.splitlines():
        name = line.rpartition("Depends:")[2].strip()
        if re.fullmatch(pattern, name):
            return name
    raise _unknown(metapackage)


def _unknown(package: str) -> MediaError:
    return MediaError(f"apt does not know {package}; run `apt-get update` (as root) and try again")


def current(names: Sequence[str]) -> tuple[Package, ...]:
    """The versions apt would fetch now, in the order asked for. MediaError when a package is unknown."""
    try:
        listing = run("apt-get", *APT_OPTIONS, "download", "--print-uris", *names)
    except MediaError as error:
        if "Unable to locate" in str(error) or "no installation candidate" in str(error):
            raise _unknown(" or ".join(names)) from error
        raise
    found: Mapping[str, Package] = {
        match["file"].partition("_")[0]: Package(
            match["file"].partition("_")[0], match["file"], int(match["size"]), match["digest"] or ""
        )
        for match in URI_LINE.finditer(listing)
    }
    missing = [name for name in names if name not in found]
    if missing:
        raise _unknown(" or ".join(missing))
    return tuple(found[name] for name in names)


def download(packages: Sequence[Package], into: Path, progress: Progress) -> None:
    """Fetch what is not there yet, telling the bytes so far. MediaError when apt fails or takes too long."""
    into.mkdir(parents=True, exist_ok=True)
    total = sum(package.size_bytes for package in packages)
    names = [package.name for package in packages if _present_bytes(into, package) != package.size_bytes]
    if names:
        log = into / "apt.log"
        with log.open("w", encoding="utf-8") as output:
            apt = subprocess.Popen(
                ["apt-get", *APT_OPTIONS, "download", *names], cwd=into, stdout=output, stderr=output
            )
            try:
                _watch(apt, lambda: progress("fetching Debian packages", _sum_bytes(into, packages), total))
            finally:
                if apt.poll() is None:
                    apt.kill()
                    apt.wait()
        if apt.returncode:
            words = last_words(log.read_text(errors="replace"))
            raise MediaError(f"apt-get download failed: {words}; check the network and run `apt-get update`")
    progress("fetching Debian packages", total, total)


def _watch(process: subprocess.Popen[bytes], tell: Callable[[], None]) -> None:
    deadline = time.monotonic() + DOWNLOAD_TIMEOUT_S
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise MediaError(
                f"the packages did not arrive within {DOWNLOAD_TIMEOUT_S} s; check the network and try again"
            )
        tell()
        time.sleep(POLL_S)


def _present_bytes(directory: Path, package: Package) -> int:
    path = directory / package.file
    return path.stat().st_size if path.is_file() else 0


def _sum_bytes(directory: Path, packages: Sequence[Package]) -> int:
    return sum(min(_present_bytes(directory, package), package.size_bytes) for package in packages)


def unpack(deb: Path, into: Path) -> None:
    """Unpack a package's files below a directory, which is replaced."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    run("dpkg-deb", "-x", str(deb), str(into))
