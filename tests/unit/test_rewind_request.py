import pytest

from barestream.history.topic_state import Rewind
from barestream.web.refusals import Refused
from barestream.web.rewind_request import RewindRequest


@pytest.mark.parametrize(
    ("text", "rewind"),
    [
        ("1", Rewind(events=1)),
        ("10", Rewind(events=10)),
        ("999999", Rewind(events=999_999)),
        ("1s", Rewind(seconds=1)),
        ("30s", Rewind(seconds=30)),
        ("kept", Rewind(kept=True)),
    ],
)
def test_a_rewind_is_a_number_a_time_or_the_kept_value(text: str, rewind: Rewind) -> None:
    assert RewindRequest.read({"rewind": [text]}, ["a"]) == (rewind, frozenset(), frozenset())


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "0s", "-1", "+1", "1.5", "1.5s", "1 s", " 1", "1\n", "1S", "1m", "s", "Kept"),
        *("kept ", "1000000", "1000000s", "01", "\uff13", "1e3", "0x1", "all", "null", "1s1"),
        "9" * 300,
    ],
)
def test_any_other_rewind_is_refused_with_its_forms(text: str) -> None:
    assert "a time in whole seconds such as 30s" in refusal({"rewind": [text]})


def test_a_rewind_is_given_once() -> None:
    assert "once" in refusal({"rewind": ["1", "1"]})
    assert "once" in refusal({"rewind": ["kept", "kept"]})


def test_without_a_rewind_nothing_is_asked_for() -> None:
    assert RewindRequest.read({}, ["a"]) == (None, frozenset(), frozenset())


def test_new_names_topics_of_the_request_as_they_are_written() -> None:
    form = {"rewind": ["1"], "new": ["b", "a/{id}", "b"]}
    assert RewindRequest.read(form, ["a", "b", "a/{id}"]).new == {"b", "a/{id}"}
    for stranger in ("c", "", "A", "a ", "*"):
        assert "which is not a topic of the request" in refusal({**form, "new": ["a", stranger]})
    long = refusal({**form, "new": ["x" * 5_000]})
    assert len(long) < 300


def test_new_needs_a_rewind() -> None:
    assert "rewind is missing" in refusal({"new": ["a"]})


@pytest.mark.parametrize(
    ("values", "includes"),
    [
        (["topic"], {"topic"}),
        (["ready"], {"ready"}),
        (["topic,ready"], {"topic", "ready"}),
        (["ready", "topic"], {"topic", "ready"}),
        (["topic,topic", "topic"], {"topic"}),
    ],
)
def test_what_is_included_is_listed_or_repeated(values: list[str], includes: set[str]) -> None:
    assert RewindRequest.read({"include": values}, ["a"]).includes == includes


@pytest.mark.parametrize("value", ["", ",", "topic,", "Topic", "topic, ready", "place", "topics"])
def test_anything_else_to_include_is_refused(value: str) -> None:
    assert "include: expected match, ready or topic" in refusal({"include": ["topic", value]})


def refusal(form: dict[str, list[str]]) -> str:
    with pytest.raises(Refused) as caught:
        RewindRequest.read(form, ["a", "b", "a/{id}"])
    assert caught.value.status == 400
    return str(caught.value)
