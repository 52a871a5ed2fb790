"""The table of the keys of dhcpsvc.conf."""

from pathlib import Path

from dhcp.svcconf_keys import KEYS, Show, reference


def test_each_default_is_legal_and_each_key_says_what_it_does() -> None:
    for key in KEYS:
        assert key.effect, key.name
        assert isinstance(key.show, Show)
        if key.default not in (None, "", ()):
            text = str(key.default).upper() if isinstance(key.default, bool) else str(key.default)
            assert key.parse(text) == key.default


def test_the_reference_lists_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "dhcpsvc.md").read_text()
    assert reference() in page
