"""What clients are told where events are gone. Pure."""

import json

from barestream.history.record import Place

GAP_TYPE = "barestream.gap"


def gap_data(seen: str | None, upto: Place, missed: int | None = None) -> str:
    """Return the data of an event that tells a gap, as JSON.

    Args:
        seen: The id after which events are gone; None where it is not known.
        upto: The place up to which they are.
        missed: How many there were; None where nobody can know.
    """
    return json.dumps({"from": seen, "to": str(upto), "missed": missed})
