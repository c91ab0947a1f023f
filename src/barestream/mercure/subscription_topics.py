"""The topics of subscriptions, of presence and of occupancy, and the documents of subscriptions.

They are below the hub's path, where nobody can publish. Pure.

Sources: https://mercure.rocks/spec#active-subscriptions; for 0.x the tag v0.24.2 of
dunglas/mercure
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _json
from urllib.parse import quote

from barestream.mercure.matchers import EXACT, Matcher
from barestream.mercure.templates import template
from barestream.mercure.topics import EVERYTHING, PATH
from barestream.mercure.version import Version

SUBSCRIPTIONS = f"{PATH}/subscriptions"
PRESENCE = f"{PATH}/presence"
LEAVE = f"{PATH}/leave"
_OCCUPANCY = f"{PATH}/occupancy"

# The type of the selectors of 0.x that are URI templates, which Mercure 1.0 does not have.
URI_TEMPLATE = "uritemplate"

# A document is this, true or false, and what ``document`` returns.
BEFORE_FLAG = '{"active":'
_ACTIVE = f"{BEFORE_FLAG}true"

# The context of a document of 0.x. The documents in a list have that of the list.
_CONTEXT_URL = "https://mercure.rocks/"
_CONTEXT = f',"@context":"{_CONTEXT_URL}"'


def selector_of_0(topic: str) -> Matcher:
    """Return what a topic selector of 0.x is among the matchers of 1.0."""
    is_template = topic != EVERYTHING and "{" in topic and template(topic) is not None
    return Matcher(topic, URI_TEMPLATE if is_template else EXACT)


def presence_topic(topic: str) -> str:
    """Return the topic of the members that join a topic and leave it."""
    return f"{PRESENCE}/{_encoded(topic)}"


def occupancy_topic(topic: str) -> str:
    """Return the topic of a topic's first subscription and of its last one's end."""
    return f"{_OCCUPANCY}/{_encoded(topic)}"


def subscription_topic(version: Version, selector: Matcher, subscriber: str) -> str:
    """Return a subscription's id, which is the topic of its events."""
    match = _encoded(selector.match)
    if version is Version.ONE:
        match = f"{_encoded(selector.match_type)}/{match}"
    return f"{SUBSCRIPTIONS}/{match}/{_encoded(subscriber)}"


def document(version: Version, selector: Matcher, subscriber: str, payload: str) -> str:
    """Return the document of a subscription, after its flag (see ``BEFORE_FLAG``).

    Args:
        version: The version whose document it is.
        selector: What is subscribed to.
        subscriber: The id of the subscriber.
        payload: The payload, as JSON; empty for none.
    """
    match = _json(selector.match)
    if version is Version.ONE:
        of_version = f'"type":"subscription","match":{match},"match_type":"{selector.match_type}"'
        context = ""
    else:
        of_version = f'"type":"Subscription","topic":{match}'
        context = _CONTEXT
    # An id needs no escapes.
    id_ = subscription_topic(version, selector, subscriber)
    text = f'"id":"{id_}",{of_version},"subscriber":"{subscriber}"'
    return f"{context},{text}{_member('payload', payload)}}}"


def alone(version: Version, of_subscription: str, cursor: str) -> str:
    """Return the document of one subscription that is active, as the answer to a request for it.

    Args:
        version: Its version.
        of_subscription: As ``document`` returned it.
        cursor: The id of the last event before the answer.
    """
    text = f"{_ACTIVE}{of_subscription}"
    if version is Version.ONE:
        return text
    return f"{text[:-1]}{_member('lastEventID', _json(cursor))}}}"


def listed(version: Version, path: str, documents: Iterable[str], cursor: str) -> str:
    """Return the document of a list of active subscriptions.

    Args:
        version: Its version.
        path: The path that was asked for.
        documents: Those of the subscriptions, as ``document`` returned them.
        cursor: As for ``alone``.
    """
    inner = ",".join(f"{_ACTIVE}{each.removeprefix(_CONTEXT)}" for each in documents)
    fields = {"id": path, "type": "subscriptions"}
    if version is Version.ZERO:
        fields |= {"type": "Subscriptions", "@context": _CONTEXT_URL, "lastEventID": cursor}
    text = json.dumps(fields, separators=(",", ":"))[:-1]
    return f'{text},"subscriptions":[{inner}]}}'


def member_data(topic: str, member: str, payload: str) -> str:
    """Return the data of the event of a member that joined a topic or left it."""
    of_member = f'{{"id":{_json(member)}{_member("payload", payload)}}}'
    return f'{{"topic":{_json(topic)},"member":{of_member}}}'


def occupancy_data(topic: str) -> str:
    """Return the data of the event of a topic that was occupied or vacated."""
    return f'{{"topic":{_json(topic)}}}'


def _member(name: str, value: str) -> str:
    return f',"{name}":{value}' if value else ""


# Topics are mostly those of other streams too, and each is in several texts of a subscription. One
# has at most 2,048 characters, so these take at most 20 MB.
@lru_cache(1024)
def _encoded(text: str) -> str:
    return quote(text, safe="")
