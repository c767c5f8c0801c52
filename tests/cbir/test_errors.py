"""Messages are one line that quotes a few words, whatever they are about."""

import pytest

from cbir.errors import CbirError, UnknownNameError


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("x" * 10**6, f"'{'x' * 59}…'"),
        ("two\nlines\u2028three", r"'two\nlines\u2028three'"),
        ("half \ud800", r"'half \ud800'"),
        (["shirt"] * 10**5, "['shirt', 'shirt', ...]"),
        ([[[[1]]]], "[[[...]]]"),
        ({"a": 1, "b": 2, "c": 3}, "{'a': 1, 'b': 2, ...}"),
        (-(10**30), "a number of 100 bits"),
        (float("nan"), "nan"),
        (b"bytes", "b'bytes'"),
        (None, "None"),
    ],
)
def test_what_is_quoted_is_short_and_on_one_line(value, quoted):
    assert str(CbirError("expected a name, got {value!r}", value=value)) == f"expected a name, got {quoted}"


def test_a_number_that_python_refuses_to_write_is_told_by_its_size():
    assert str(CbirError("got {value!r}", value=10**5000)) == "got a number of 16,610 bits"


def test_a_message_is_one_line_that_can_be_written():
    error = CbirError("cannot read {name} ({reason})", name="a\r\nb\ud800.png", reason="x" * 10**6)
    assert str(error).startswith("cannot read a b .png (xxx")
    assert len(str(error).encode()) < 1100
    assert "\n" not in str(UnknownNameError("id", "a\nb", ["c\nd"]))


def test_few_of_many_known_names_are_listed():
    few, many = [str(n) for n in range(20)], [str(n) for n in range(21)]
    assert str(UnknownNameError("type", "x", few)) == f"unknown type 'x': expected one of {', '.join(few)}"
    assert str(UnknownNameError("id", "x", many)) == "unknown id 'x': expected one of 0, 1, 2, … (21 in all)"
