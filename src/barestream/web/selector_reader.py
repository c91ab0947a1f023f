"""What a request for a stream subscribes to."""

from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus

from barestream.delivery.time_slices import Slices
from barestream.mercure.matchers import EXACT, URL_PATTERN, InvalidMatcherError, Matcher, selectors
from barestream.mercure.patterns import Patterns
from barestream.mercure.selectors import InvalidSelectorError, Selectors
from barestream.mercure.subscription_topics import URI_TEMPLATE
from barestream.mercure.topics import EVERYTHING
from barestream.web.form import MOST_REMEMBERED, MOST_REMEMBERED_BYTES
from barestream.web.refusals import RETRY_AFTER, Refused, bad_request
from barestream.web.stream_request import StreamRequest

# The most URI templates of one stream, and the most URL Patterns: each is tried for each update.
MOST_TEMPLATES = 10
MOST_PATTERNS = 10

# The most steps of all templates of a stream together: ten templates of three variables each, or
# one with a variable that keeps its first 50 characters. The templates of each anonymous stream
# take memory, and time at each update.
MOST_TEMPLATE_STEPS = 1000


class SelectorReader:
    """Reads selectors of 0.x and matchers of 1.0, within their limits.

    Args:
        most_topics: How many of them a stream may have.
        patterns: Where the compiled URL Patterns of streams are held.
        slices: The slices in which patterns are compiled.
    """

    def __init__(self, most_topics: int, patterns: Patterns, slices: Slices) -> None:
        self._most_topics = most_topics
        self._patterns = patterns
        self._slices = slices
        # Streams of the same topic share its selectors.
        self._of_one = lru_cache(MOST_REMEMBERED)(_of_one)

    async def read(self, asked: StreamRequest) -> Selectors:
        """Return what the request subscribes to.

        Raises:
            Refused: 400 for a selector or matcher that is malformed or too large, and for too many.
            TooManyPatternsError: There is no room for further URL Patterns.
        """
        topics = asked.topics
        if len(topics) == 1 and "{" not in topics[0] and len(topics[0]) <= MOST_REMEMBERED_BYTES:
            return self._of_one(topics[0])
        # The numbers are checked first, because parsing templates takes time too.
        _check_number(len(asked.topics) or len(asked.matchers), self._most_topics, "topics")
        if asked.matchers:
            try:
                return await self._slices.work(
                    selectors(asked.matchers, self._patterns, MOST_PATTERNS, self._slices)
                )
            except InvalidMatcherError as error:
                raise bad_request(f"The request's matchers: {error}.") from None
        templates = sum("{" in topic for topic in asked.topics)
        _check_number(templates, MOST_TEMPLATES, "URI templates")
        try:
            return Selectors(asked.topics, MOST_TEMPLATE_STEPS)
        except InvalidSelectorError as error:
            raise bad_request(str(error)) from None

    async def read_registered(self, matchers: Sequence[Matcher]) -> Selectors:
        """Return what the selectors of registered streams match together, of either version.

        They were within the limits when their streams were opened, but those of another release
        may be wider.

        Raises:
            Refused: 503 for one that this worker does not accept.
            TooManyPatternsError: There is no room for further URL Patterns.
        """
        try:
            return await self._read_registered(matchers)
        except (InvalidMatcherError, InvalidSelectorError) as error:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "A registered stream is at a worker of another release, and this one does not "
                f"accept what it asks for: {str(error).removesuffix('.')}. Say in the request what "
                "the stream asks for, or try again when all workers are of one release.",
                [RETRY_AFTER],
            ) from None

    async def _read_registered(self, matchers: Sequence[Matcher]) -> Selectors:
        of_patterns = [each for each in matchers if each.match_type == URL_PATTERN]
        found = await self._slices.work(
            selectors(of_patterns, self._patterns, len(of_patterns), self._slices)
        )
        exact, expressions = [], [*found.expressions]
        everything = found.everything
        for text, match_type in matchers:
            if match_type == URI_TEMPLATE:
                expressions += Selectors([text]).expressions
                await self._slices.step()
            elif text == EVERYTHING:
                everything = True
            elif match_type == EXACT:
                # A stream of 0.x may have asked for a text that is no matcher of 1.0.
                exact.append(text)
        return Selectors.of_matchers(exact, expressions, everything=everything)


def _of_one(topic: str) -> Selectors:
    return Selectors([topic])


def _check_number(count: int, most: int, what: str) -> None:
    if count > most:
        raise bad_request(f"The request has {count} {what}; at most {most} are allowed.")
