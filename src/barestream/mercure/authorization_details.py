"""What an access token of Mercure 1.0 grants: its authorization details.

Pure. Sources: https://mercure.rocks/spec#authorization, RFC 9396 (authorization details)
"""

from typing import Any, NamedTuple

from barestream.mercure.identity import canonical
from barestream.mercure.matchers import EXACT, MATCHER_TYPES, URL_PATTERN, Matcher
from barestream.mercure.signatures import InvalidTokenError
from barestream.mercure.topics import PATH

DETAIL_TYPE = "https://mercure.rocks/authorization-detail"

# The action that allows revoking tokens. No topic, also not *, allows it.
OPERATE = "operate"

# A detail has at least one topic; beside this action it says nothing.
OPERATED = (Matcher(f"{PATH}/revocations"),)

# The most authorization details, and topics of all of them together: more than fit into a token of
# that length with topics as long as usual ones. Each is in the memory of every stream of the token.
MOST_DETAILS = 100
MOST_TOPICS = 500

# The most URL Patterns of one token: so many take 4 MB of the worker, and 7 ms to compile.
MOST_TOKEN_PATTERNS = 50


class Grant(NamedTuple):
    """What an access token grants.

    Attributes:
        publish: The topics that it may publish to.
        subscribe: The topics that it may read.
        may_operate: Whether it may revoke tokens.
    """

    publish: list[Matcher]
    subscribe: list[Matcher]
    may_operate: bool


def granted(claims: dict[str, Any]) -> Grant:
    """Return what a token with these claims grants.

    One detail that cannot be read refuses the whole token, because without it the token would mean
    something else. An action that is not known grants nothing.

    Raises:
        InvalidTokenError: A detail cannot be read, or there are too many details or topics.
    """
    details = claims.get("authorization_details", [])
    if not isinstance(details, list):
        raise _unreadable("it is not an array")
    if len(details) > MOST_DETAILS:
        raise _unreadable(f"it has {len(details)} entries; at most {MOST_DETAILS} are allowed")
    publish: list[Matcher] = []
    subscribe: list[Matcher] = []
    may_operate = False
    topics = patterns = 0
    for detail in details:
        if not isinstance(detail, dict) or not isinstance(detail.get("type"), str):
            raise _unreadable("an entry is not an object with a type")
        if detail["type"] != DETAIL_TYPE:
            continue
        actions, matchers = _actions(detail), _topics(detail)
        if not isinstance(detail.get("payload", {}), dict):
            raise _unreadable("a payload is not an object")
        if "publish" in actions:
            publish += matchers
        if "subscribe" in actions:
            subscribe += matchers
        may_operate = may_operate or OPERATE in actions
        topics += len(matchers)
        if topics > MOST_TOPICS:
            raise _unreadable(f"it has more than {MOST_TOPICS} topics")
        patterns += sum(matcher.match_type == URL_PATTERN for matcher in matchers)
        if patterns > MOST_TOKEN_PATTERNS:
            raise _unreadable(f"it has more than {MOST_TOKEN_PATTERNS} URL Patterns")
    return Grant(publish, subscribe, may_operate)


def payloads(claims: dict[str, Any]) -> list[tuple[list[Matcher], str]]:
    """Return the payload of each detail for subscribers, and its matchers.

    They are in the order of the token, because the first detail that covers a subscription counts,
    also if it has no payload.

    Args:
        claims: As ``granted`` has accepted them.
    """
    details = [
        detail
        for detail in claims.get("authorization_details", [])
        if detail["type"] == DETAIL_TYPE and "subscribe" in detail["actions"]
    ]
    if not any("payload" in detail for detail in details):
        return []
    return [
        (_topics(detail), canonical(detail["payload"]) if "payload" in detail else "")
        for detail in details
    ]


def _actions(detail: dict[str, Any]) -> list[str]:
    actions = detail.get("actions")
    if (
        not isinstance(actions, list)
        or not actions
        or not all(isinstance(each, str) for each in actions)
    ):
        raise _unreadable("the actions of an entry are not an array of strings with at least one")
    return actions


def _topics(detail: dict[str, Any]) -> list[Matcher]:
    topics = detail.get("topics")
    if not isinstance(topics, list) or not topics:
        raise _unreadable("the topics of an entry are not an array with at least one entry")
    found = []
    for topic in topics:
        match = topic.get("match") if isinstance(topic, dict) else None
        if not isinstance(match, str):
            raise _unreadable("a topic is not an object with a match")
        match_type = topic.get("match_type", EXACT)
        if match_type not in MATCHER_TYPES:
            raise _unreadable(f"a match_type is not one of {', '.join(MATCHER_TYPES)}")
        found.append(Matcher(match, match_type))
    return found


def _unreadable(why: str) -> InvalidTokenError:
    return InvalidTokenError(f"The token's authorization_details: {why}.")
