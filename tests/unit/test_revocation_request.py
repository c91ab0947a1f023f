import pytest

from barestream.history.revocations import Revocation, Selection
from barestream.web.json_body import Flaw
from barestream.web.refusals import Refused
from barestream.web.revocation_request import revocation_of

NOW = 1_800_000_000.25
NOW_MS = 1_800_000_000_250
ISSUER = "https://issuer.example"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"jti": "1"}, Revocation(Selection(None, jti="1"), NOW_MS)),
        (
            {"issuer": ISSUER, "jti": "1", "until": None, "sub": None},
            Revocation(Selection(ISSUER, jti="1"), NOW_MS),
        ),
        ({"sub": "a"}, Revocation(Selection(None, subject="a"), NOW_MS, None, NOW_MS)),
        (
            {"sub": "a", "issued_before": 5.0001, "until": NOW + 0.0011},
            Revocation(Selection(None, subject="a"), NOW_MS, NOW_MS + 2, 5001),
        ),
        ({"sub": "a", "issued_before": 0}, Revocation(Selection(None, subject="a"), NOW_MS)),
        ({"sha256": "AB" * 32}, Revocation(Selection(sha256="ab" * 32), NOW_MS)),
    ],
)
def test_what_a_request_revokes(content: object, expected: Revocation) -> None:
    assert revocation_of(content, NOW) == expected


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({}, 400),
        ([], 400),
        ("jti", 400),
        ({"jti": ""}, 400),
        ({"jti": 7}, 400),
        ({"jti": Flaw("twice")}, 400),
        ({"issuer": ISSUER}, 400),
        ({"jti": "1", "sub": "a"}, 400),
        ({"jti": "1", "issuer": 1}, 400),
        ({"jti": "1", "issuer": ""}, 400),
        ({"jti": "1", "who": "a"}, 400),
        ({"jti": "\ud800"}, 400),
        ({"jti": "x" * 1025}, 413),
        ({"sha256": "x" * 64}, 400),
        ({"sha256": "a" * 63}, 400),
        ({"sha256": ["a" * 64]}, 400),
        ({"sha256": "a" * 64, "issuer": ISSUER}, 400),
        ({"jti": "1", "issued_before": 5}, 400),
        ({"sub": "1", "issued_before": "5"}, 400),
        ({"sub": "1", "issued_before": True}, 400),
        ({"sub": "1", "issued_before": -1}, 400),
        ({"jti": "1", "until": NOW}, 400),
        ({"jti": "1", "until": 1e300}, 400),
    ],
)
def test_a_malformed_request_is_refused(content: object, status: int) -> None:
    with pytest.raises(Refused) as caught:
        revocation_of(content, NOW)
    assert caught.value.status == status


def test_each_selection_has_an_id_of_its_own() -> None:
    selections = [
        Selection(None, jti="1"),
        Selection("None", jti="1"),
        Selection(None, subject="1"),
        Selection("1", jti="1"),
        Selection(None, jti="'1'"),
        Selection(None, jti="\ud800"),
    ]
    assert len({Revocation(each, NOW_MS).id for each in selections}) == len(selections)
    assert Revocation(selections[0], 1).id == Revocation(selections[0], 2, 3, 4).id
