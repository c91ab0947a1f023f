"""All findings of an examination, and what --direct adds to them. Pure."""

from dataclasses import replace

from barestream_doctor import remedies
from barestream_doctor.bounds import bounds
from barestream_doctor.ends import ends
from barestream_doctor.finding import Finding, Severity
from barestream_doctor.foreign import foreign
from barestream_doctor.heads import heads
from barestream_doctor.hops import hop, proxies
from barestream_doctor.lateness import lateness
from barestream_doctor.seen import Seen
from barestream_doctor.silence import silence


def findings(seen: Seen) -> list[Finding]:
    """Return the findings of one path, in the order in which a reader needs them."""
    if seen.plain.error and not seen.has_diagnosis and not seen.plain.status:
        return [
            Finding(
                "unreachable",
                Severity.ERROR,
                f"{seen.origin} cannot be reached: {seen.plain.error}.",
            )
        ]
    blamed = hop(seen)
    found = [
        *heads(seen, blamed),
        *lateness(seen, blamed),
        *foreign(seen, blamed),
        *silence(seen, blamed),
        *ends(seen, blamed),
        *bounds(seen, blamed),
    ]
    if not seen.has_diagnosis:
        found.append(_without_diagnosis(seen, blamed))
    found += [Finding("not-probed", Severity.NOTE, f"{each}.") for each in seen.notices]
    return found


def compared(seen: Seen, direct: Seen) -> list[Finding]:
    """Return the findings of a path, whose hops are named by what the direct path shows."""
    past = findings(direct)
    if any(each.code == "unreachable" for each in past):
        return [*findings(seen), replace(past[0], code="direct-unreachable")]
    past_it = f"before {direct.origin}"
    names = [each for each in proxies(seen) if each not in proxies(direct)]
    where = f"{' or '.join(names) or 'something that does not show itself'}, {past_it}"
    codes = {each.code for each in past if each.severity >= Severity.WARNING}
    found = []
    for each in findings(seen):
        if each.severity < Severity.WARNING:
            found.append(each)
        elif each.code in codes:
            found.append(replace(each, hop=f"{direct.origin} has it too: not the way to it"))
        else:
            found.append(replace(each, hop=where))
    found += _added(seen, direct)
    return found


def _added(seen: Seen, direct: Seen) -> list[Finding]:
    """Return what the way adds to an answer; both have the same clocks, so their offset cancels."""
    one, other = seen.distance, direct.distance
    if one is None or other is None:
        return []
    return [
        Finding(
            "added-delay",
            Severity.OK,
            f"the way past {direct.origin} adds "
            f"{1000 * (one.travel_seconds - other.travel_seconds):.0f} ms to a request and its "
            f"answer, {1000 * (one.back_seconds - other.back_seconds):.0f} ms of them on the way "
            "back.",
        )
    ]


def _without_diagnosis(seen: Seen, blamed: str) -> Finding:
    status = seen.plain.status
    if status == 401 and seen.sent_token and "error=" not in seen.plain.header("www-authenticate"):
        return Finding(
            "authorization-lost",
            Severity.ERROR,
            "The app says that the request has no token, but one was sent: something takes the "
            "header Authorization off.",
            blamed,
            remedies.authorization(blamed),
        )
    if status in {401, 403} and seen.sent_token and "detail" in seen.facts:
        return Finding(
            "token-refused",
            Severity.ERROR,
            f"The diagnostic endpoint refuses the token: {seen.facts['detail']}",
            "",
            "give a token with the right to operate; barestream token --explain says what this one "
            "allows",
        )
    if status in {401, 403} and "json" in seen.plain.header("content-type"):
        why = f"the diagnostic endpoint answers {status}"
        remedy = "give a token with the right to operate, by --token or BARESTREAM_TOKEN"
    else:
        why = "the server has no diagnostic endpoint of barestream"
        remedy = ""
    return Finding(
        "few-probes",
        Severity.NOTE,
        f"Only the stream was read: {why}. What the server sent, and when, is not known.",
        "",
        remedy,
    )
