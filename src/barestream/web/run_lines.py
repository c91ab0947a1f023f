"""The updates of a run's body, and how the run has ended."""

import json
from collections.abc import Mapping
from typing import get_args

from barestream.history.producers import Status
from barestream.mercure.run_topics import MOST_ERROR_CHARACTERS
from barestream.web.refusals import bad_request, too_large
from barestream.web.sent_updates import READERS, JsonLines, Sent
from barestream.web.update_fields import check_encodable
from barestream.web.update_reader import Address, UpdateReader

# A line that has one of these says how the run has ended, and has no others.
_FIELDS = ("end", "status", "error")

_STATUSES: tuple[Status, ...] = tuple(status for status in get_args(Status) if status != "running")


class RunLines(JsonLines):
    """Reads NDJSON whose last line may say how the run has ended.

    That line is ``{"end": true, "status": "failed", "error": "…"}``; the error is optional, and in
    place of true there may be a number of seconds, as in a publish.
    """

    def _read_line(self, where: str, value: object) -> Sent:
        if not isinstance(value, dict) or not {"end", "status"} & value.keys():
            return super()._read_line(where, value)
        return read_end(self._reader, self._address, where, value)


# By the media type of the body.
RUN_READERS = {
    media_type: RunLines if reader is JsonLines else reader
    for media_type, reader in READERS.items()
}


def read_end(
    reader: UpdateReader, address: Address, where: str, line: Mapping[str, object]
) -> Sent:
    """Return the end of a run that a last line tells.

    Raises:
        Refused: 400 or 413, with what is wrong.
    """
    status, data = _outcome(line)
    seconds = reader.run_end_seconds(line.get("end"))
    return Sent(where, reader.end(address, data, seconds), status)


def _outcome(line: Mapping[str, object]) -> tuple[Status, str]:
    """Return the status of a last line, and the data of the event that tells it."""
    if not line.keys() <= {*_FIELDS}:
        raise bad_request(f"The last line of a run has these fields alone: {', '.join(_FIELDS)}.")
    status = next((each for each in _STATUSES if each == line.get("status")), None)
    if status is None:
        raise bad_request(f"status: expected one of {', '.join(_STATUSES)}.")
    error = line.get("error")
    if error is None:
        return status, json.dumps({"status": status})
    if not isinstance(error, str):
        raise bad_request("error: expected a string.")
    check_encodable(error, "error")
    if len(error) > MOST_ERROR_CHARACTERS:
        raise too_large(f"error is longer than {MOST_ERROR_CHARACTERS} characters.")
    return status, json.dumps({"status": status, "error": error})
