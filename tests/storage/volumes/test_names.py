"""Names: what is legal comes back unchanged, everything else is refused in one line that helps."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from storage.volumes.names import (
    AUTHORITY_CHARS_MAX,
    IQN_BYTES_MAX,
    BadNameError,
    Name,
    Project,
    Snapshot,
    Volume,
    initiator,
    iqn_authority,
    parse_domain,
    parse_name,
    parse_project,
    parse_snapshot,
    parse_volume,
    site_authority,
    unknown,
)

SITE = "iqn.2026-11.com.example"
words = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", fullmatch=True)
PARSERS = (parse_project, parse_volume, parse_snapshot, parse_domain, parse_name, iqn_authority, initiator)


def refusal(parse, text):
    try:
        parse(text)
    except BadNameError as error:
        return str(error)
    return ""


@given(words, words, words)
@settings(max_examples=100)
def test_every_legal_name_survives_every_form(project, volume, snapshot):
    disk = Volume(project, volume)
    assert parse_project(project) == Project(project) == disk.parent
    assert parse_volume(str(disk)) == disk
    assert parse_domain(disk.domain) == disk
    assert parse_snapshot(str(disk.snapshot(snapshot))) == Snapshot(project, volume, snapshot)
    assert parse_domain(disk.iqn(SITE).removeprefix(SITE + ":")) == disk
    assert initiator(disk.iqn(SITE)) == disk.iqn(SITE)
    assert {parse_name(str(name)) for name in (disk, disk.parent)} == {disk, disk.parent}


@given(st.text(max_size=300))
@example("0/0\b" + "\U00010000" * 80)
@settings(max_examples=200)
def test_whatever_is_typed_is_a_name_or_one_printable_line(text):
    for parse in PARSERS:
        said = refusal(parse, text)
        assert said.isprintable()
        assert len(said) < 600


def test_the_longest_names_make_an_iqn_that_rfc_3720_allows():
    authority = iqn_authority(f"iqn.2026-11.{'a' * (AUTHORITY_CHARS_MAX - 12)}")
    assert len(Volume("p" * 63, "v" * 63).iqn(authority)) == IQN_BYTES_MAX


@pytest.mark.parametrize(
    ("parse", "text", "says"),
    [
        (parse_project, "Appl_1", "did you mean appl-1?"),
        (parse_project, "appl-1/vm-1", "one word"),
        (parse_project, "", "missing"),
        (parse_project, "-", "use lower-case"),
        (parse_project, "..", "not a name"),
        (parse_project, "a" * 64, "64 characters are too many"),
        (parse_project, "appl-1\n", "did you mean appl-1?"),
        (parse_volume, "appl-1", "PROJECT/VOLUME"),
        (parse_volume, "appl-1:vm-1", "write appl-1/vm-1"),
        (parse_volume, "appl-1/vm-1@x", "leave out the snapshot"),
        (parse_volume, "appl-1/../vm-1", "PROJECT/VOLUME"),
        (parse_volume, "../vm-1", "not a name of a project"),
        (parse_volume, "appl-1/", "the name of the volume is missing"),
        (parse_snapshot, "masters/osol-0811", "after '@'"),
        (parse_snapshot, "masters@version-01", "PROJECT/VOLUME@SNAPSHOT"),
        (parse_snapshot, "masters/osol@a@b", "PROJECT/VOLUME@SNAPSHOT"),
        (parse_domain, "appl-1/vm-1", "write appl-1:vm-1"),
        (parse_domain, "a:b:c", "PROJECT:GUEST"),
        (iqn_authority, "example.com", "reversed"),
        (iqn_authority, "iqn.2026-13.com.example", "year and month"),
        (iqn_authority, "iqn.2026-11." + "a" * 100, "at most"),
        (initiator, "hv1", "initiatorname.iscsi"),
    ],
)
def test_a_wrong_name_is_told_how_to_be_right(parse, text, says):
    with pytest.raises(BadNameError) as caught:
        parse(text)
    assert says in str(caught.value)


def test_a_sites_authority_is_its_domain_reversed():
    assert site_authority("Dc1.Example.com.", "2026-11") == "iqn.2026-11.com.example.dc1"


def test_the_nearest_name_is_offered_and_only_if_it_is_near():
    there: list[Name] = [Snapshot("masters", "osol-0811", "version-01"), Volume("appl-1", "vm-1")]
    assert unknown("masters/osol-0911@version-01", there, "snapshot") == (
        "masters/osol-0911@version-01: no such snapshot: did you mean masters/osol-0811@version-01?"
    )
    assert "did you mean" not in unknown("zebra", there, "snapshot")
