import pytest

from barestream_doctor.finding import Finding, Severity
from barestream_doctor.report import as_json, text, worst
from barestream_doctor.target import InvalidTargetError, target

FINDINGS = [
    Finding("events", Severity.OK, "14 events came."),
    Finding("held", Severity.ERROR, "All events came at the end. " * 6, "nginx", "buffering off"),
    Finding("buffer", Severity.ERROR, "More.", "nginx", "buffering off"),
]


def test_a_report_is_at_most_80_columns_wide_and_begins_with_the_worst() -> None:
    lines = text("http://a.example", FINDINGS, 12).splitlines()
    plain = [line for line in lines if "\x1b" not in line]
    assert max(map(len, plain)) <= 80
    assert "held" in lines[2]


def test_a_number_and_its_unit_stay_on_one_line() -> None:
    sizes = "events of every size come at once: small, 2 KB, 4 KB, 8 KB, 64 KB."
    *_, last, _, _ = text("http://a", [Finding("sizes", Severity.OK, sizes)], 1).splitlines()
    assert last.split() == ["64", "KB."]


def test_a_remedy_is_said_once() -> None:
    assert text("http://a.example", FINDINGS, 12).count("buffering off") == 1


def test_what_a_server_says_cannot_command_the_terminal() -> None:
    found = Finding("path", Severity.OK, 'Server "\x1b[2J\x07"')
    assert "\x1b[2J" not in text("http://a.example", [found], 1)


def test_json_has_every_field_of_every_finding() -> None:
    found = as_json("http://a.example", FINDINGS, 12.34)
    assert (found["severity"], found["seconds"]) == ("error", 12.3)
    assert [each["code"] for each in found["findings"]] == ["events", "held", "buffer"]
    assert found["findings"][1]["remedy"] == "buffering off"


def test_nothing_found_is_well() -> None:
    assert worst([]) is Severity.OK


@pytest.mark.parametrize(
    ("url", "stream_path", "hub_path"),
    [
        ("http://a.example", "/events", "/.well-known/mercure"),
        ("http://a.example/", "/events", "/.well-known/mercure"),
        ("http://a.example/below/", "/below/events", "/below/.well-known/mercure"),
        ("http://a.example/below/events", "/below/events", "/below/.well-known/mercure"),
        ("http://a.example/?x=1", "/?x=1", "/.well-known/mercure"),
        ("http://a.example/feed?x=1", "/feed?x=1", "/.well-known/mercure"),
        (
            "http://a.example/b/.well-known/mercure?match=a",
            "/b/.well-known/mercure?match=a",
            "/b/.well-known/mercure",
        ),
    ],
)
def test_a_url_is_the_root_of_a_hub_or_a_stream(url: str, stream_path: str, hub_path: str) -> None:
    found = target(url)
    assert (found.stream_path, found.hub_path) == (stream_path, hub_path)


def test_a_topic_names_the_stream() -> None:
    assert target("http://a.example/", "a/b").stream_path == "/.well-known/mercure?topic=a%2Fb"


@pytest.mark.parametrize("url", ["foo", "ftp://a.example", "http://", "http://a:x/", "http://a b/"])
def test_a_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(InvalidTargetError, match="expected http"):
        target(url)
