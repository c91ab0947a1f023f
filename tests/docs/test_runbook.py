"""The page of observability has each alert, and names metrics that there are."""

import re

from barestream.telemetry.metrics import Metrics
from support.manual.pages import DOCS, ROOT

FOLDER = ROOT / "deploy/observability"
PAGE = (DOCS / "observability.md").read_text()
RULES = (FOLDER / "rules.yml").read_text()


def exposed() -> set[str]:
    """Return the names of the metrics as a scrape has them; of a histogram, those of its parts."""
    names = set()
    for name, kind in re.findall(r"(?m)^# TYPE (\w+) (\w+)$", Metrics().text().decode()):
        names |= {name, f"{name}_total"} if kind == "counter" else {name}
        if kind == "histogram":
            names |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    return names


def alerts() -> dict[str, tuple[str, str]]:
    """Return the severity of each alert, and where its rule says that the runbook is."""
    form = r"alert: (\w+)\n(?:.*\n)*?\s+labels: {severity: (\w+)}\n(?:.*\n)*?\s+runbook: (\S+)\n"
    return {name: (severity, runbook) for name, severity, runbook in re.findall(form, RULES)}


def sections() -> dict[str, str]:
    """Return the text of each section about an alert."""
    _, *parts = re.split(r"(?m)^### ", PAGE.partition("\n## Alerts\n")[2])
    return {title: text for title, _, text in (part.partition("\n") for part in parts)}


def test_the_page_has_a_section_for_each_alert_in_the_order_of_the_rules() -> None:
    assert list(sections()) == list(alerts()) == re.findall(r"alert: (\w+)", RULES)


def test_each_rule_names_its_section_and_has_the_severity_that_is_printed_there() -> None:
    for name, (severity, runbook) in alerts().items():
        assert runbook == f"docs/observability.md#{name.lower()}"
        assert sections()[name].lstrip().startswith(f"Severity: {severity}.")


def test_each_section_says_where_to_look_and_what_to_do() -> None:
    for name, text in sections().items():
        assert "\n- *Look:* " in text, name
        assert "\n- *Do:* " in text, name


def test_the_page_the_rules_and_the_board_name_metrics_that_there_are() -> None:
    texts = (PAGE, RULES, (FOLDER / "dashboard.json").read_text())
    named = {name for text in texts for name in re.findall(r"(?<!:)\bbarestream_\w+", text)}
    # The network of Compose.
    assert named - {"barestream_default"} <= exposed()
    assert len(named) > 30
