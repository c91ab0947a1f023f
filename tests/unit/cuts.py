"""Bodies, and the same in pieces, as a network may deliver them."""

from itertools import pairwise

from hypothesis import strategies as st

Cut = tuple[bytes, list[bytes]]


def cuts(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[Cut]:
    """Return a strategy for a body and its pieces, of which some may be empty."""
    return bodies.flatmap(
        lambda body: st.lists(st.integers(0, len(body))).map(
            lambda places: (body, _pieces(body, sorted(places)))
        )
    )


def _pieces(body: bytes, places: list[int]) -> list[bytes]:
    return [body[start:end] for start, end in pairwise([0, *places, len(body)])]
