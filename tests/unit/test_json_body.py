"""A JSON body is read as the standard library reads it, in a bounded time."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from barestream.web.json_body import (
    MOST_DEPTH,
    MOST_DIGITS,
    MOST_VALUES,
    Flaw,
    UnwritableError,
    compact,
    parse,
    quoted,
)
from barestream.web.refusals import Refused

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10)
    | st.text(st.sampled_from('"\\[]{},:9'), max_size=10),
    lambda values: (
        st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=5), values, max_size=4)
    ),
    max_leaves=20,
)

# What a text that is nearly JSON is made of.
PIECES = st.sampled_from(
    ['"', '\\"', "\\\\", "\\", "\\u00e9", "\\ud800", "[", "]", "{", "}", ",", ":", '{"a":', '"a"',
     "1", "-", "1e400", "0.5", "true", "null", "NaN", "-Infinity", " ", "\n", "é", "\ufeff", "\0"]
)  # fmt: skip


def refused(encoded: bytes) -> tuple[int, str]:
    """Return the status and the detail of the refusal of a body."""
    with pytest.raises(Refused) as raised:
        parse(encoded)
    return raised.value.status.value, str(raised.value)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_any_value_is_read_and_written_again_in_its_compact_form(
    value: Any, ascii_alone: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_alone, indent=indent)
    found = parse(text.encode())
    assert found == value
    assert compact(found) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def standard(text: str) -> Any:
    """Return what the standard library reads, or why it reads nothing."""
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        return error


@given(st.lists(PIECES, max_size=20).map("".join))
@example('"\\\\"[')
@example("]" * 30)
def test_a_text_that_is_nearly_json_is_read_or_refused(text: str) -> None:
    expected = standard(text)
    if isinstance(expected, json.JSONDecodeError):
        why = str(expected).replace(" (decode using utf-8-sig)", "")
        assert refused(text.encode()) == (400, f"The JSON cannot be read: {why}.")
    else:
        # Names may be repeated, and constants are no numbers of JSON.
        assert type(parse(text.encode())) in {type(expected), Flaw}


@given(st.binary(max_size=20))
def test_any_bytes_are_read_or_refused(encoded: bytes) -> None:
    with suppress(Refused):
        parse(encoded)


@pytest.mark.parametrize("encoded", [b'"\xff"', b'"\xed\xa0\x80"', '"a"'.encode("utf-16")])
def test_a_body_that_is_not_utf_8_is_refused(encoded: bytes) -> None:
    assert refused(encoded) == (400, "The JSON cannot be read: it is not UTF-8.")


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_body_is_refused_beyond_a_depth(opening: str, closing: str) -> None:
    def nested(depth: int) -> bytes:
        return f'{opening * depth}"[[["{closing * depth}'.encode()

    assert compact(parse(nested(MOST_DEPTH)))
    for depth in (MOST_DEPTH + 1, MOST_VALUES - 1):
        status, detail = refused(nested(depth))
        assert (status, f"more than {MOST_DEPTH} deep" in detail) == (400, True)
    assert refused(opening.encode() * (MOST_VALUES - 1))[0] == 400


def test_many_brackets_that_close_nothing_are_refused_by_the_parser() -> None:
    assert refused(b"]" * 1_600_000)[1].startswith("The JSON cannot be read: Expecting value")


@pytest.mark.parametrize(
    ("value", "count"),
    [("1", 1), ('"[{,"', 1), ('"\\\\"', 1), ("[]", 2), ("{}", 2), ('{"a,":"b,"}', 2), ("[1,2]", 3)],
)
def test_a_body_is_refused_beyond_a_number_of_values(value: str, count: int) -> None:
    fitting = MOST_VALUES // count
    assert parse(f"[{','.join([value] * fitting)}]".encode())
    status, detail = refused(f"[{','.join([value] * (fitting + 1))}]".encode())
    assert (status, f"more than {MOST_VALUES} values" in detail) == (413, True)


def test_many_strings_are_refused_before_they_are_divided() -> None:
    assert refused(b'""' * (4 * MOST_VALUES))[0] == 413


def test_a_text_counts_as_one_value_whatever_it_contains() -> None:
    text = '[{"a":1},"\\,' * 100_000
    assert parse(json.dumps(text).encode()) == text


def test_a_number_is_refused_beyond_a_number_of_digits() -> None:
    most = 10**MOST_DIGITS - 1
    assert parse(str(most).encode()) == most
    assert parse(b'"%d"' % (most * 10)) == str(most * 10)
    for number in (b"%d" % (most * 10), b"-1.%d" % (most * 10), b"1e%d" % (most * 10)):
        assert refused(b"[%s]" % number)[1].startswith("The JSON has a number with more than 400")


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ('{"a":1,"b":2,"a":3}', 'An object has the name "a" more than once.'),
        ('{"\\u0061":1,"a":3}', 'An object has the name "a" more than once.'),
        ('{"":1,"":3}', 'An object has the name "" more than once.'),
        ("NaN", "JSON has no number NaN."),
        ("-Infinity", "JSON has no number -Infinity."),
    ],
)
def test_a_flaw_stands_where_it_was_and_is_not_written(sent: str, why: str) -> None:
    found = parse(f'[1,[{sent}],{{"x":{sent}}}]'.encode())
    assert isinstance(found, list)
    assert [found[1][0].why, found[2]["x"].why] == [why, why]
    for each in (found[1], found[2], found):
        with pytest.raises(UnwritableError) as raised:
            compact(each)
        assert str(raised.value) == why


def test_a_number_beyond_those_of_javascript_is_not_written() -> None:
    with pytest.raises(UnwritableError, match="larger than"):
        compact(parse(b"[1e400]"))


def test_a_quoted_name_is_short_ascii() -> None:
    assert quoted("é\n\ud800") == '"\\u00e9\\n\\ud800"'
    assert quoted("a" * 51) == f'"{"a" * 50}\\u2026"'
