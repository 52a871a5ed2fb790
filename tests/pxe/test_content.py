import pytest

from pxe.content import FileContent, Refused, TextContent, Why


def test_a_refusal_is_one_line_and_a_reason():
    with pytest.raises(Refused) as caught:
        raise Refused(Why.ACCESS, "boot file 'x' is a directory")
    assert caught.value.why is Why.ACCESS
    assert str(caught.value) == "boot file 'x' is a directory"


def test_content_values_have_the_agreed_fields():
    assert FileContent._fields == ("fd", "size", "name", "mtime_ns")
    assert TextContent._fields == ("data", "name")


def test_the_reasons_are_a_closed_set():
    assert {why.value for why in Why} == {"not-found", "access", "unavailable"}
