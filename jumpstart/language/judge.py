"""Whether a whole JumpStart directory is good: rules, and every file that they name, all faults at once.

Pure but for two functions that are handed in: one reads a file of the directory, one has a shell look at a script.
Profiles that no rule names (a begin script may copy them) are judged too, but cannot keep `rules.ok` from being
written: all their faults are warnings, as are those of a sysidcfg's open questions.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from jumpstart.language.faults import NOWHERE, At, Fault, Faults, Severity, has_errors, shown, suggestion
from jumpstart.language.judge_profile import judge_profile
from jumpstart.language.judge_rules import custom_words, judge_rules
from jumpstart.language.judge_sysidcfg import judge_sysidcfg
from jumpstart.language.okfile import fault_of
from jumpstart.language.profile import parse_profile
from jumpstart.language.rules import DERIVED, NONE, Rule, parse_rules
from jumpstart.language.shapes import file_name
from jumpstart.language.software import Software, judge_software
from jumpstart.language.sysidcfg import parse_sysidcfg
from jumpstart.language.words import Word

RULES, RULES_OK = "rules", "rules.ok"
CUSTOM_PROBES = "custom_probes"
SYSIDCFG = "sysidcfg"


class Unreadable(Exception):  # noqa: N818 - a finding about a file
    """A file that cannot be read: the text is the reason and the way out, `reason; instead`."""


class Directory(NamedTuple):
    """What is judged. `names`: all files below; `profiles`: those of them that begin as a profile does."""

    names: Collection[str]
    profiles: Collection[str]
    read: Callable[[str], str]
    syntax: Callable[[str], tuple[int, str] | None]


class Judged(NamedTuple):
    """What came of it: the faults in the order of files, the rules, and the profiles that they name."""

    faults: tuple[Fault, ...]
    rules: tuple[Rule, ...]
    profiles: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether `rules.ok` may be written."""
        return not has_errors(self.faults)


def judge_tests(directory: Directory, rules: str, faults: Faults) -> tuple[Rule, ...]:
    """The rules alone, without the files that they name."""
    text = _read(directory, rules, faults)
    if text is None:
        return ()
    custom = _read(directory, CUSTOM_PROBES, Faults(CUSTOM_PROBES)) if CUSTOM_PROBES in directory.names else None
    entries = parse_rules(text, faults)
    judge_rules(entries, faults, custom_words(custom or ""))
    return tuple(entry for entry in entries if isinstance(entry, Rule))


def judge(directory: Directory, rules: str = RULES, software: Software | None = None) -> Judged:
    """Judge the directory by its file of rules."""
    faults = Faults(rules)
    found = judge_tests(directory, rules, faults)
    scripts = _named(directory, [word for rule in found for word in (rule.begin, rule.finish)], faults, "script")
    profiles = _named(directory, [rule.profile for rule in found], faults, "profile")
    others = sorted(set(directory.profiles) - set(profiles))
    told = [
        *faults.all(),
        *_custom(directory),
        *(fault for name in profiles for fault in _profile(directory, name, software)),
        *(fault for name in scripts for fault in _script(directory, name)),
        *(_softened(fault) for name in others for fault in _profile(directory, name, software)),
        *(fault for name in sorted(directory.names) if _base(name) == SYSIDCFG for fault in _sysidcfg(directory, name)),
    ]
    return Judged(tuple(told), found, tuple(profiles))


def judge_ok(directory: Directory, rules: bytes) -> tuple[Fault, ...]:
    """What is wrong with the `rules.ok` that is there: warnings only, the installer does not insist."""
    faults = Faults(RULES_OK)
    if RULES_OK not in directory.names:
        faults.warning(NOWHERE, "there is none, and the installer reads nothing else", "run the check without dry run")
        return faults.all()
    text = _read(directory, RULES_OK, faults)
    wrong = fault_of(text.encode("utf-8", "surrogateescape"), rules) if text is not None else ""
    if wrong:
        faults.warning(NOWHERE, wrong, "run the check without dry run")
    return faults.all()


def _named(directory: Directory, words: list[Word], faults: Faults, kind: str) -> Mapping[str, None]:
    """The files behind `words`, each once; those that are missing are told where they are named."""
    found: dict[str, None] = {}
    for word in words:
        if word.text in (NONE, DERIVED) or not file_name.takes(word.text):
            continue
        if word.text in directory.names:
            found[word.text] = None
        else:
            near = suggestion(word.text, sorted(directory.names)) if directory.names else ""
            advice = near if near.startswith("did") else f"make the file, or name a {kind} that is there"
            faults.error(word.at, f"the {kind} {shown(word.text)} is not in this directory", advice)
    return found


def _read(directory: Directory, name: str, faults: Faults) -> str | None:
    if name not in directory.names:
        faults.error(NOWHERE, "there is no such file", f"make {name}, with one rule at least: any - - PROFILE -")
        return None
    try:
        return directory.read(name)
    except Unreadable as error:
        what, _, instead = str(error).partition("; ")
        faults.error(NOWHERE, what, instead)
        return None


def _custom(directory: Directory) -> Iterator[Fault]:
    if CUSTOM_PROBES in directory.names:
        yield from _script(directory, CUSTOM_PROBES)


def _profile(directory: Directory, name: str, software: Software | None) -> tuple[Fault, ...]:
    faults = Faults(name)
    text = _read(directory, name, faults)
    if text is not None:
        entries = parse_profile(text, faults)
        judge_profile(entries, faults)
        if software is not None:
            judge_software(entries, software, faults)
    return faults.all()


def _script(directory: Directory, name: str) -> Iterator[Fault]:
    found = directory.syntax(name)
    if found is not None:
        line, text = found
        faults = Faults(name)
        faults.error(At(line), f"the shell cannot read it: {text}", f"correct it until `sh -n {name}` is silent")
        yield from faults.all()


def _sysidcfg(directory: Directory, name: str) -> tuple[Fault, ...]:
    faults = Faults(name)
    text = _read(directory, name, faults)
    if text is not None:
        judge_sysidcfg(parse_sysidcfg(text, faults), faults)
    return faults.all()


def _softened(fault: Fault) -> Fault:
    """A fault of a file that no rule uses."""
    return fault._replace(severity=Severity.WARNING)


def _base(name: str) -> str:
    return name.rpartition("/")[2]
