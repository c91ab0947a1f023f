"""The board of deploy/observability, without the Grafana that draws it."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from support.servers.prometheus import FOLDER, Prometheus

# What Grafana puts in place of the variables when all is chosen.
_CHOSEN = {"$job": "barestream", "$instance": ".+", "$slot": ".+"}


class Query(NamedTuple):
    """One query of a panel.

    Attributes:
        row: The title of the row that the panel is in.
        panel: The panel's title.
        unit: The panel's unit.
        expression: The query, with Grafana's variables.
        legend: The name of each of its lines, with labels in double braces.
    """

    row: str
    panel: str
    unit: str
    expression: str
    legend: str


def board() -> dict[str, Any]:
    """Return the board."""
    read: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
    return read


def panels() -> list[dict[str, Any]]:
    """Return the panels that have queries."""
    return [panel for panel in board()["panels"] if panel["type"] != "row"]


def queries() -> Iterator[Query]:
    """Yield the queries of all panels, in the board's order."""
    row = ""
    for panel in board()["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
        else:
            unit = panel["fieldConfig"]["defaults"]["unit"]
            for target in panel["targets"]:
                yield Query(row, panel["title"], unit, target["expr"], target["legendFormat"])


def answers(prometheus: Prometheus, query: Query, rate_seconds: int) -> list[tuple[str, float]]:
    """Return the name and the value of each line of a query.

    Args:
        prometheus: What is asked.
        query: The query.
        rate_seconds: What stands for Grafana's $__rate_interval.
    """
    expression = query.expression.replace("$__rate_interval", f"{rate_seconds}s")
    for variable, value in _CHOSEN.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, expression
    return [
        (_name(query.legend, sample["metric"]), float(sample["value"][1]))
        for sample in prometheus.query(expression)
    ]


def _name(legend: str, labels: dict[str, str]) -> str:
    for label, value in labels.items():
        legend = legend.replace("{{" + label + "}}", value)
    return legend
