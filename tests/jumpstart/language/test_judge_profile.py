from __future__ import annotations

from jumpstart.language.faults import Fault, Faults, Severity
from jumpstart.language.judge_profile import judge_profile
from jumpstart.language.profile import parse_profile

VECTORS = "profiles"


def judged(text: str) -> tuple[Fault, ...]:
    faults = Faults("profile")
    judge_profile(parse_profile(text, faults), faults)
    return faults.all()


def test_good_profiles_pass(good: str, text: str) -> None:
    _, _, warning = good.partition(": ")
    told = [str(fault) for fault in judged(text)]
    assert len(told) == bool(warning), told
    assert all(": warning: " in line and warning in line for line in told), told


def test_bad_profiles_do_not(bad: str, text: str) -> None:
    place, _, words = bad.partition(" ")
    errors = [str(fault) for fault in judged(text) if fault.severity is Severity.ERROR]
    assert any(error.startswith(f"profile:{place}: error: ") and words in error for error in errors), errors


def test_all_faults_are_told_at_once() -> None:
    text = "cluter SUNWCall\nfdisk c1txd0 sol 4x\nroot_device c0t0d0\npool r auto auto auto mirror any\n"
    told = judged(text)
    assert [fault.at.line for fault in told] == [1, 1, 2, 2, 2, 3, 3, 4, 4]
    assert all(fault.instead for fault in told)


def test_an_empty_profile_says_how_to_begin() -> None:
    (told,) = judged("# only a comment\n")
    assert str(told) == "profile: error: the profile is empty; begin it with install_type initial_install"


def test_what_was_meant_is_suggested() -> None:
    assert "did you mean install_type?" in str(judged("instal_type initial_install\n")[1])
    (told,) = judged("install_type initial_instal\n")
    assert told.instead == "did you mean initial_install?"


def test_characters_of_other_systems_are_told_once_and_read_as_meant() -> None:
    told = [str(fault) for fault in judged("install_type initial_install\r\nlocale\u00a0en\n")]
    assert told == [
        "profile:1: error: the line ends with a carriage return; save the file with Unix line ends",
        "profile:2:7: error: NO-BREAK SPACE (U+00A0) was pasted here; write a plain ' '",
    ]


def test_a_profile_is_never_continued() -> None:
    (told,) = judged("install_type initial_install\npackage SUNWftp \\\n")[:1]
    assert "no continued lines" in told.what
