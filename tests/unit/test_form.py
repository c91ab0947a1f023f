"""A form is read as urllib.parse reads it, in a bounded time."""

from urllib.parse import parse_qs

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from barestream.web.form import MOST_BARE_PERCENTS, MOST_FIELDS, MalformedFormError, body

# The characters that have a meaning in percent-encoding, forms and quoted-printable.
PIECES = st.sampled_from(
    ["%", "%4", "%41", "%0A", "%0d", "%3D", "%25", "%26", "%C3%A9", "%zz", "=", "==", "=\n",
     "=\r\n", "=41", "&", "+", "%2B", "\n", "\r", "é", "a", "_", " ", ";"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=20).map("".join))
@example("%" * 7 + "=41&a==\n")
@example("%aa")
def test_a_form_has_the_names_and_values_that_urllib_finds(text: str) -> None:
    try:
        expected = parse_qs(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        with pytest.raises(MalformedFormError):
            body(text.encode())
    else:
        assert body(text.encode()) == expected


@pytest.mark.parametrize("encoded", [b"a=\xc3", b"a=%C3", b"%ff=", b"a=%C3\xa9"])
def test_a_form_that_is_not_utf_8_is_refused(encoded: bytes) -> None:
    with pytest.raises(MalformedFormError, match="not UTF-8"):
        body(encoded)


def test_a_form_with_too_many_fields_is_refused() -> None:
    assert len(body(b"&".join([b"a=1"] * MOST_FIELDS))["a"]) == MOST_FIELDS
    with pytest.raises(MalformedFormError, match=f"more than {MOST_FIELDS} fields"):
        body(b"&".join([b"a=1"] * (MOST_FIELDS + 1)))


def test_percent_signs_that_encode_nothing_are_bounded() -> None:
    assert body(b"a=" + b"%" * MOST_BARE_PERCENTS) == {"a": ["%" * MOST_BARE_PERCENTS]}
    with pytest.raises(MalformedFormError, match="without two hexadecimal digits"):
        body(b"a=" + b"%" * (MOST_BARE_PERCENTS + 1))
