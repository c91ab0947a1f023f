import pytest

from barestream.history.revocations import Revocation, Selection, Table
from barestream.mercure.token_id import TokenId

ISSUER, OTHER = "https://issuer.example", "https://other.example"
DIGEST = b"\xab" * 32
NOW_MS = 1_800_000_000_000

ALICE = TokenId(ISSUER, "1", "alice", 1_800_000_000, (DIGEST,))


def of_jti(until_ms: int | None = None, jti: str = "1") -> Revocation:
    return Revocation(Selection(ISSUER, jti=jti), NOW_MS, until_ms)


def of_subject(before_ms: int = NOW_MS + 1) -> Revocation:
    return Revocation(Selection(ISSUER, subject="alice"), NOW_MS, None, before_ms)


OF_SHA256 = Revocation(Selection(sha256=DIGEST.hex()), NOW_MS)


@pytest.mark.parametrize(
    ("revocation", "token", "falls"),
    [
        (of_jti(), ALICE, True),
        (of_jti(), ALICE._replace(jti="2"), False),
        (of_jti(), ALICE._replace(jti=None), False),
        (of_jti(), ALICE._replace(issuer=OTHER), False),
        (of_jti(), ALICE._replace(issuer=None), False),
        (Revocation(Selection(None, jti="1"), 0), ALICE, False),
        (Revocation(Selection(None, jti="1"), 0), ALICE._replace(issuer=None), True),
        (of_subject(), ALICE, True),
        (of_subject(NOW_MS), ALICE, False),
        (of_subject(NOW_MS + 1), ALICE._replace(issued_at=1_800_000_000.001), False),
        (of_subject(0), ALICE._replace(issued_at=None), True),
        (of_subject(), ALICE._replace(subject="bob"), False),
        (of_subject(), ALICE._replace(subject=None), False),
        (of_subject(), ALICE._replace(issuer=OTHER), False),
        (OF_SHA256, ALICE, True),
        (OF_SHA256, ALICE._replace(issuer=None), True),
        (OF_SHA256, ALICE._replace(digests=(b"",)), False),
        (OF_SHA256, ALICE._replace(digests=(b"", DIGEST)), True),
    ],
)
def test_which_tokens_fall_under_a_revocation(
    revocation: Revocation, token: TokenId, falls: bool
) -> None:
    assert Table([revocation]).revoking(token, NOW_MS) == (revocation if falls else None)


def test_each_of_several_revocations_of_a_token_counts() -> None:
    table = Table([of_jti(until_ms=NOW_MS + 5), of_subject(NOW_MS - 1), OF_SHA256])
    assert table.revoking(ALICE, NOW_MS) == of_jti(until_ms=NOW_MS + 5)
    assert table.revoking(ALICE, NOW_MS + 5) == OF_SHA256


def test_a_table_without_those_that_are_over() -> None:
    table = Table([of_jti(until_ms=NOW_MS + 5), of_jti(NOW_MS + 6, "2"), of_subject(), OF_SHA256])
    table.drop_over(NOW_MS + 4)
    assert len(table) == 4
    table.drop_over(NOW_MS + 5)
    assert {*table} == {of_jti(NOW_MS + 6, "2"), of_subject(), OF_SHA256}
    assert table.get(of_jti().id) is None
    assert table.revoking(ALICE._replace(jti="2", subject=None, digests=()), NOW_MS)
    table.drop_over(NOW_MS + 6)
    assert {*table} == {of_subject(), OF_SHA256}
    assert not Table()


def test_a_table_has_pages_in_the_order_of_the_ids() -> None:
    table = Table(of_jti(jti=str(number)) for number in range(5))
    whole = table.page("", 5)
    assert [each.id for each in whole] == sorted(each.id for each in table)
    assert table.page("", 2) == whole[:2]
    assert table.page(whole[1].id, 9) == whole[2:]
    assert table.page(whole[4].id, 9) == []
