"""A form and a JSON body are read as updates by the same rules."""

import math
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barestream.history.update import Update
from barestream.mercure.sse import Event
from barestream.mercure.topics import HubUrl
from barestream.web.form import body
from barestream.web.json_body import Flaw
from barestream.web.refusals import Refused
from barestream.web.update_reader import PublishRules, UpdateReader

READER = UpdateReader(
    PublishRules(
        data_bytes=1000,
        topics=3,
        ended_seconds=3600,
        hub_url=HubUrl("http://localhost/.well-known/mercure"),
    )
)
FIELDS = ("topic", "data", "private", "id", "type", "retry", "keep", "end")


def of_form(*fields: tuple[str, str]) -> Update:
    return READER.of_form(body(urlencode(fields).encode()))


def refusal_of_form(*fields: tuple[str, str]) -> str:
    with pytest.raises(Refused) as raised:
        of_form(*fields)
    return str(raised.value)


def refusal_of_json(value: object) -> str:
    with pytest.raises(Refused) as raised:
        READER.of_json(value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("form", "value", "update"),
    [
        ([("topic", "t")], {"topic": "t"}, Update(("t",), Event())),
        (
            [("topic", "t"), ("topic", "u"), ("topic", "t")],
            {"topic": ["t", "u", "t"]},
            Update(("t", "u"), Event()),
        ),
        (
            [
                *(("topic", "t"), ("data", "é\n"), ("id", "1"), ("type", "y"), ("retry", "5")),
                *(("private", ""), ("keep", "60"), ("end", "1.5")),
            ],
            {
                "topic": "t",
                "data": "é\n",
                "private": True,
                "id": "1",
                "type": "y",
                "retry": 5,
                "keep": 60,
                "end": 1.5,
            },
            Update(("t",), Event("é\n", "1", "y", 5), True, 60.0, 1.5),
        ),
        (
            [("topic", "t"), ("data", ""), ("id", ""), ("type", ""), ("retry", "0")],
            {"topic": "t", "data": "", "id": "", "type": "", "retry": 0, "private": False},
            Update(("t",), Event()),
        ),
        (
            [("topic", "t"), ("keep", "forever"), ("end", "true")],
            {"topic": "t", "keep": "forever", "end": True},
            Update(("t",), Event(), False, math.inf, 3600.0),
        ),
    ],
)
def test_a_form_and_json_have_the_same_update(
    form: list[tuple[str, str]], value: dict[str, Any], update: Update
) -> None:
    assert of_form(*form) == READER.of_json(value) == update
    # The history must see a retry, whichever of the two it comes in.
    assert of_form(*form).digest == READER.of_json(value).digest


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [("0", 0.0), ("0.5", 0.5), ("31536000", 31536000.0), ("31536000.0", 31536000.0), ("007", 7.0)],
)
def test_keep_is_a_number_of_seconds(sent: str, seconds: float) -> None:
    assert of_form(("topic", "t"), ("keep", sent)).keep_seconds == seconds
    update = READER.of_json({"topic": "t", "keep": float(sent)})
    assert update.keep_seconds == seconds
    assert math.copysign(1, READER.of_json({"topic": "t", "keep": -0.0}).keep_seconds or 0.0) == 1


@pytest.mark.parametrize(
    "sent",
    [
        *("", "x", "true", "Forever", "forever ", "-1", "+1", "1e3", "1.", ".5", " 1", "1 ", "1_0"),
        *("31536000.1", "31536001", "9" * 5000, "\u0661", "nan", "inf", "Infinity", "1\n", "0x1"),
    ],
)
def test_a_form_with_another_keep_is_told_what_it_may_be(sent: str) -> None:
    assert refusal_of_form(("topic", "t"), ("keep", sent)) == (
        "keep: expected a number of seconds from 0 to 31536000, or forever."
    )


@pytest.mark.parametrize(
    "sent",
    [
        *(None, True, False, "", "60", "true", [], {}, -1, -0.1, 31536000.1, 10**400, math.inf),
        Flaw("JSON has no number NaN."),
    ],
)
def test_json_with_another_keep_is_told_what_it_may_be(sent: object) -> None:
    assert refusal_of_json({"topic": "t", "keep": sent}) == (
        "keep: expected a number of seconds from 0 to 31536000, or forever."
    )


@pytest.mark.parametrize(
    "sent",
    ["", "false", "True", "on", "0", "0.9", "3600.1", "3601", "-1", "1e3", "forever", "9" * 5000],
)
def test_a_form_with_another_end_is_told_what_it_may_be(sent: str) -> None:
    assert refusal_of_form(("topic", "t"), ("end", sent)) == (
        "end: expected true, or a number of seconds from 1 to 3600 (BARESTREAM_ENDED_SECONDS)."
    )


@pytest.mark.parametrize("sent", [None, False, "", "true", "60", [], 0, 0.9, 3600.1, 10**400])
def test_json_with_another_end_is_told_what_it_may_be(sent: object) -> None:
    assert refusal_of_json({"topic": "t", "end": sent}) == (
        "end: expected true, or a number of seconds from 1 to 3600 (BARESTREAM_ENDED_SECONDS)."
    )


@pytest.mark.parametrize("name", ["data", "id", "type", "retry", "keep", "end"])
def test_a_form_may_have_a_field_once(name: str) -> None:
    fields = [("topic", "t"), (name, "1"), (name, "1")]
    assert refusal_of_form(*fields) == (f"The form has 2 fields {name}; at most one is allowed.")


def test_a_form_with_unknown_fields_is_read_without_them() -> None:
    assert of_form(("topic", "t"), ("Keep", "x"), ("x", "y")) == Update(("t",), Event())


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (None, "Expected an object with the fields of an update."),
        ("t", "Expected an object with the fields of an update."),
        ([], "Expected an object with the fields of an update."),
        (Flaw('An object has the name "a" more than once.'), 'An object has the name "a" more'),
        ({}, "at least one topic"),
        ({"topic": []}, "at least one topic"),
        ({"topic": ""}, "no empty one"),
        ({"topic": ["t", ""]}, "no empty one"),
        ({"topic": None}, "topic: expected a string, or an array of strings."),
        ({"topic": {"t": 1}}, "topic: expected a string, or an array of strings."),
        ({"topic": ["t", 1]}, "topic: expected a string, or an array of strings."),
        ({"topic": ["t", ["u"]]}, "topic: expected a string, or an array of strings."),
        ({"topic": "t\ud800"}, "A topic has a lone surrogate"),
        ({"topic": "/.well-known/mercure\ud800"}, "A topic has a lone surrogate"),
        ({"topic": "t\n"}, "A topic has the control or format character U+000A"),
        ({"topic": "*"}, "stands for every topic"),
        ({"topic": "/.well-known/mercure/x"}, "reserved for the hub"),
        ({"topic": "t", "data": "\ud800"}, "data has a lone surrogate"),
        ({"topic": "t", "data": ["\ud800"]}, "data has a lone surrogate"),
        ({"topic": "t", "data": "\0"}, "data contains NUL"),
        ({"topic": "t", "data": [Flaw("It is odd.")]}, "data: It is odd."),
        ({"topic": "t", "data": [math.inf]}, "data: It has a number that is larger than"),
        ({"topic": "t", "data": "x" * 1001}, "larger than 1000 bytes"),
        ({"topic": "t", "data": ["é" * 500]}, "larger than 1000 bytes"),
        ({"topic": "t", "private": "on"}, "private: expected true or false."),
        ({"topic": "t", "private": None}, "private: expected true or false."),
        ({"topic": "t", "private": 1}, "private: expected true or false."),
        ({"topic": "t", "id": 1}, "id: expected a string."),
        ({"topic": "t", "id": None}, "id: expected a string."),
        ({"topic": "t", "id": "\ud800"}, "id: expected printable ASCII"),
        ({"topic": "t", "type": True}, "type: expected a string."),
        ({"topic": "t", "type": "\ud800"}, "type has a lone surrogate"),
        ({"topic": "t", "retry": "1"}, "retry: expected a whole number"),
        ({"topic": "t", "retry": True}, "retry: expected a whole number"),
        ({"topic": "t", "retry": 1.5}, "retry: expected a whole number"),
        ({"topic": "t", "retry": None}, "retry: expected a whole number"),
        ({"topic": "t", "retry": -1}, "retry: expected a whole number"),
        ({"topic": "t", "retry": 86_400_001}, "retry: expected a whole number"),
        ({"topics": "t"}, 'Unknown fields: "topics". The fields of an update are topic, data,'),
        ({"topic": "t", **dict.fromkeys("abcdef")}, '"a", "b", "c", "d", "e", …. The fields'),
        ({"topic": "t", "x\ud800" * 100: 1}, 'Unknown fields: "x\\ud800'),
    ],
)  # fmt: skip
def test_wrong_json_is_answered_with_the_reason(value: object, detail: str) -> None:
    assert detail in refusal_of_json(value)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"a": [1, 2.5, "é"], "b": None}, '{"a":[1,2.5,"é"],"b":null}'),
        ([], "[]"),
        (1, "1"),
        (10**30, "1" + "0" * 30),
        (True, "true"),
        (None, "null"),
        ("true", "true"),
        (["\n"], '["\\n"]'),
    ],
)
def test_data_that_is_no_string_is_written_as_json(value: object, data: str) -> None:
    assert READER.of_json({"topic": "t", "data": value}).event.data == data


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["t", "*", "forever", "earliest", "\ud800"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON)
def test_any_value_is_an_update_or_refused(value: object) -> None:
    if isinstance(value, dict):
        value.setdefault("topic", "t")
    with suppress(Refused):
        assert READER.of_json(value).digest
