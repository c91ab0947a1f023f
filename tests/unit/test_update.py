import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barestream.history.record import Place
from barestream.history.update import Update, topics_json
from barestream.mercure.sse import Event, InvalidEventError


@pytest.mark.parametrize(
    "lone",
    [
        lambda: Update(("t",), Event("\ud800")),
        lambda: Update(("t",), Event(type="\udfff")),
        lambda: Update(("t",), Event(id="a\udfff")),
        lambda: Update(("t", "\ud800"), Event("data")),
    ],
)
def test_text_that_utf_8_cannot_encode_is_refused(lone: Callable[[], Update]) -> None:
    with pytest.raises(InvalidEventError, match="UTF-8"):
        lone()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))).map(tuple))
def test_topics_are_written_as_json_without_spaces(topics: tuple[str, ...]) -> None:
    written = json.dumps(topics, ensure_ascii=False, separators=(",", ":"))
    assert topics_json(topics) == written.encode()


def test_a_record_has_its_publishers_id_or_else_its_place() -> None:
    place = Place(7, 1)
    assert Update(("t",), Event("x")).at(place).body == b"data: x\nid: #7-1\n\n"
    own = Update(("t",), Event("x", "own")).at(place)
    assert (own.body, own.own_id) == (b"data: x\nid: own\n\n", "own")


def test_an_empty_id_counts_as_no_id() -> None:
    empty = Update(("t",), Event("x", "")).at(Place(7, 1))
    assert (empty.body, empty.own_id) == (b"data: x\nid: #7-1\n\n", None)


def test_the_size_of_an_update_counts_its_texts_as_utf_8() -> None:
    update = Update(("é",), Event("日本", "id", "type", 5))
    assert update.size_bytes == len('["é"]'.encode()) + len("日本".encode()) + len("idtype")
