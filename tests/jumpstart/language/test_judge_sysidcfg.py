from __future__ import annotations

from jumpstart.language.faults import NOWHERE, Fault, Faults, Severity
from jumpstart.language.judge_sysidcfg import judge_sysidcfg
from jumpstart.language.sysidcfg import ANSWERS_MAX, parse_sysidcfg

VECTORS = "sysidcfg"


def judged(text: str) -> tuple[Fault, ...]:
    faults = Faults("sysidcfg")
    judge_sysidcfg(parse_sysidcfg(text, faults), faults)
    return faults.all()


def test_good_files_pass(good: str, text: str) -> None:
    _, _, warning = good.partition(": ")
    told = [str(fault) for fault in judged(text) if fault.at != NOWHERE]
    assert len(told) == bool(warning), told
    assert all(": warning: " in line and warning in line for line in told), told


def test_bad_files_do_not(bad: str, text: str) -> None:
    place, _, words = bad.partition(" ")
    errors = [str(fault) for fault in judged(text) if fault.severity is Severity.ERROR]
    assert any(error.startswith(f"sysidcfg:{place}: error: ") and words in error for error in errors), errors


def test_an_unattended_install_leaves_no_question_open() -> None:
    (told,) = judged("")
    assert str(told).startswith("sysidcfg: warning: the installer will stop and ask for keyboard, system_locale, ")


def test_nothing_is_left_to_say_about_a_complete_file() -> None:
    text = """
    keyboard=US-English system_locale=C timezone=Europe/Berlin terminal=vt100 timeserver=localhost
    root_password=$6$salt$aaaaaaaaaaaaaaaaaaaaaaaa security_policy=NONE nfs4_domain=dynamic
    service_profile=limited_net name_service=NONE
    network_interface=PRIMARY {hostname=hv1 ip_address=192.168.78.21 netmask=255.255.255.0 protocol_ipv6=no
      default_route=NONE}
    """
    assert not judged(text)


def test_values_are_read_with_their_places() -> None:
    faults = Faults("sysidcfg")
    (answer,) = parse_sysidcfg('name_service=DNS { # two\n  name_server=10.0.0.1, "10.0.0.2" }', faults)
    detail = answer.detail("name_server")
    assert detail is not None
    assert [word.text for word in detail.values] == ["10.0.0.1", "10.0.0.2"]
    assert [word.at for word in detail.values] == [(2, 15), (2, 25)]
    assert not faults.all()


def test_a_flood_of_keywords_is_cut() -> None:
    (told,) = [fault for fault in judged("a=b\n" * (ANSWERS_MAX + 5)) if "more than" in fault.what]
    assert told.severity is Severity.ERROR


def test_a_secret_is_never_repeated() -> None:
    assert not any("hunter2" in str(fault) for fault in judged("root_password=hunter2"))


def test_line_ends_of_another_system_are_told_once() -> None:
    (told,) = [fault for fault in judged("timezone=UTC\r\nterminal=vt100\r\n") if fault.severity is Severity.ERROR]
    assert (told.at, told.what) == ((1, 13), "lines end with a carriage return")
