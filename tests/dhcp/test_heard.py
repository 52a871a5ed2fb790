"""Who was last acknowledged under which client id: as a plain table says, for the last so many of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhcp import heard as heard_module
from dhcp.heard import Heard

NAMES = st.sampled_from([b"\1a", b"\1b", b"\1c", b"\1d"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES), max_size=20))
def test_it_knows_what_a_table_would(said: list[tuple[bytes, bytes]]) -> None:
    heard = Heard()
    holders: dict[bytes, tuple[bytes, int]] = {}
    ids: dict[bytes, bytes] = {}
    for at_s, (client_id, mac) in enumerate(said):
        heard.note(client_id, (mac, at_s))
        holders[client_id] = (mac, at_s)
        ids[mac] = client_id
    for name in (b"\1a", b"\1b", b"\1c", b"\1d"):
        assert heard.of(name) == holders.get(name, (b"", 0))
        assert (heard.id_of(name) or name) == ids.get(name, name)


def test_the_last_ones_are_remembered_and_never_more_than_twice_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard_module, "HEARD_MAX", 4)
    heard = Heard()
    for number in range(50):
        client_id, mac = bytes((0, number)), bytes((1, number))
        heard.note(client_id, (mac, number))
        assert len(heard) <= 8
        for last in range(max(number - 3, 0), number + 1):
            assert heard.of(bytes((0, last))) == (bytes((1, last)), last)
            assert heard.id_of(bytes((1, last))) == bytes((0, last))
    assert heard.of(bytes((0, 20))) == (b"", 0)
    assert heard.id_of(bytes((1, 20))) is None
