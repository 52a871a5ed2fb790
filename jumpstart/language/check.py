"""The edge of the language: a directory is read and judged, and `rules.ok` is written when nothing is wrong.

Rules of the room: only regular files of a bounded size are opened, and nothing outside the directory; `sh -n` reads
scripts and runs nothing; what is written comes from the very bytes that were judged, as a new file that is renamed
over the old one, so that an installer never reads half of it.
"""

import contextlib
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jumpstart.language.faults import Fault, Faults
from jumpstart.language.judge import (
    CUSTOM_PROBES,
    RULES,
    RULES_OK,
    Directory,
    Judged,
    Unreadable,
    judge,
    judge_ok,
    judge_tests,
)
from jumpstart.language.okfile import rules_ok
from jumpstart.language.rules import Rule
from jumpstart.language.software import Software, read_software

FILE_MAX_BYTES = 1024 * 1024
FILES_MAX = 20_000
DEPTH_MAX = 8
SNIFFED_BYTES = 4096
SHELL_MAX_S = 10
OK_MODE = 0o644

PROFILE_BEGINS = re.compile(rb"(?:[ \t\r]*(?:#[^\n]*)?\n)*[ \t]*install_type[ \t]", re.IGNORECASE)
SHELL_SAID = re.compile(r": (?:line )?([0-9]{1,9}): (.*)")


class Checked(NamedTuple):
    """What came of a check; `written` names the files that it wrote."""

    judged: Judged
    faults: tuple[Fault, ...]
    written: tuple[str, ...]


def check(directory: Path, rules: str = RULES, image: Path | None = None, *, dry_run: bool = False) -> Checked:
    """Judge a directory; write `rules.ok` if it is good, `rules` is its own, and it is no dry run. OSError."""
    reader = _Reader(directory)
    judged = judge(reader.directory, rules, _software(image) if image else None)
    faults = judged.faults
    written: tuple[str, ...] = ()
    if rules == RULES and RULES in reader.taken:
        if dry_run:
            faults += judge_ok(reader.directory, reader.taken[RULES])
        elif judged.good:
            written = _write(directory, reader)
    return Checked(judged, faults, written)


def load_rules(directory: Path, rules: str = RULES) -> tuple[tuple[Rule, ...], tuple[Fault, ...]]:
    """The rules of a directory and what is wrong with them; the files that they name are not looked at. OSError."""
    faults = Faults(rules)
    found = judge_tests(_Reader(directory).directory, rules, faults)
    return found, faults.all()


def _write(directory: Path, reader: "_Reader") -> tuple[str, ...]:
    files = {RULES_OK: rules_ok(reader.taken[RULES])}
    if CUSTOM_PROBES in reader.taken:
        files[f"{CUSTOM_PROBES}.ok"] = reader.taken[CUSTOM_PROBES]
    for name, data in files.items():
        _replace(directory / name, data)
    return tuple(files)


def _replace(path: Path, data: bytes) -> None:
    temp = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temp, "wb") as file:
            os.fchmod(file.fileno(), OK_MODE)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temp, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise


class _Reader:
    """Files below one directory. `taken` keeps the bytes that were read of those that may be written out again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names = list(_files(root))
        self.taken: dict[str, bytes] = {}
        profiles = [name for name in self.names if self.is_profile(name)]
        self.directory = Directory(frozenset(self.names), profiles, self.text, self.syntax)

    def text(self, name: str) -> str:
        data = _read(self.root / name)
        if name in (RULES, CUSTOM_PROBES):
            self.taken[name] = data
        return data.decode("utf-8", "surrogateescape")

    def is_profile(self, name: str) -> bool:
        try:
            return PROFILE_BEGINS.match(_read(self.root / name, SNIFFED_BYTES)) is not None
        except Unreadable:
            return False

    def syntax(self, name: str) -> tuple[int, str] | None:
        """Line and text of what `sh -n` says, None when it says nothing."""
        try:
            _read(self.root / name)
            argv = ["sh", "-n", str((self.root / name).absolute())]
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=SHELL_MAX_S, check=False, errors="replace"
            )
        except Unreadable as error:
            return 0, str(error)
        except subprocess.TimeoutExpired:
            return 0, f"it took more than {SHELL_MAX_S} s"
        if not done.returncode:
            return None
        said = (done.stderr.strip().splitlines() or ["it gives no reason"])[0]
        found = SHELL_SAID.search(said)
        return (int(found[1]), found[2]) if found else (0, said)


def _files(root: Path) -> Iterator[str]:
    """Names of all files below, hidden ones left out. Linked files count, linked directories do not."""
    count = 0
    for folder, folders, files in os.walk(root, onerror=_raise):
        below = Path(folder).relative_to(root)
        deep = len(below.parts) >= DEPTH_MAX
        folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                count += 1
                if count > FILES_MAX:
                    raise OSError(0, f"more than {FILES_MAX} files: this is no JumpStart directory", str(root))
                yield str(below / name)


def _raise(error: OSError) -> None:
    raise error


def _read(path: Path, at_most: int = 0) -> bytes:
    """The whole file, or its first bytes. Unreadable for what is no honest file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO must not hang the check
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Unreadable("it is not a regular file; move it out of the directory")
            data = file.read(at_most or FILE_MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror}; check its permissions") from None
    if len(data) > FILE_MAX_BYTES:
        raise Unreadable(f"it is larger than {FILE_MAX_BYTES} bytes; it cannot be what the rules need")
    return data


def _software(image: Path) -> Software:
    """What an install image holds: of its one Solaris_N/Product directory. OSError when there is none."""
    found = sorted(image.glob("Solaris_*/Product/.clustertoc"))
    if not found:
        raise OSError(0, "no Solaris_N/Product/.clustertoc in it: name the root of an install image", str(image))
    directories = [entry.name for entry in os.scandir(found[-1].parent) if entry.is_dir()]
    try:
        return read_software(_read(found[-1]).decode("utf-8", "replace"), directories)
    except Unreadable as error:
        raise OSError(0, str(error), str(found[-1])) from None
