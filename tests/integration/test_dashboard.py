"""The rules and the board of deploy/observability, by a Prometheus that scrapes the service."""

import asyncio
import math
import re
import subprocess
from collections.abc import Callable
from typing import Any

from support.servers.dashboard import answers, board, panels, queries
from support.servers.programs import path_of
from support.servers.prometheus import FOLDER
from support.servers.service import wait_for
from support.servers.watched import INSTANCES, RATE_SECONDS, WORKERS, Watched, watched


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        [path_of("promtool", "prometheus"), *arguments],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_and_the_rules_are_what_prometheus_reads() -> None:
    promtool("check", "config", "prometheus.yml")


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    promtool("test", "rules", "rules_test.yml")


def alerts() -> dict[str, str]:
    """Return the text of each alert's rule."""
    rules = re.split(r"(?m)^      - (?=alert: |record: )", (FOLDER / "rules.yml").read_text())
    found = {}
    for rule in rules[1:]:
        if name := re.match(r"alert: (\w+)", rule):
            found[name[1]] = rule
    return found


def test_the_tests_of_the_rules_have_each_alert() -> None:
    text = (FOLDER / "rules_test.yml").read_text()
    assert [name for name in alerts() if not re.search(rf'\b{name}\b"?', text)] == []


def named_alerts(panel: dict[str, Any]) -> list[str]:
    """Return the alerts that a panel's description names."""
    _, _, names = panel["description"].partition("Alert")
    return [name for name in re.findall(r"\b[A-Z]\w+\b", names) if name in alerts()]


def test_the_board_has_each_alert_on_a_panel() -> None:
    named = {name for panel in panels() for name in named_alerts(panel)}
    assert named == set(alerts())


def test_the_thresholds_of_the_panels_are_those_of_their_alerts() -> None:
    compared = []
    for panel in panels():
        [name, *others] = named_alerts(panel) or [""]
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        bound = re.search(r" > ([\d.]+)\n", alerts().get(name, ""))
        if others or bound is None or len(steps) == 1:
            continue
        compared.append(name)
        # A count fires above 0, and a panel colours from 1 on.
        expected = float(bound[1]) or 1
        assert steps[1]["value"] == expected, panel["title"]
    assert len(compared) >= 10


def test_each_panel_says_what_it_shows_and_in_which_unit() -> None:
    for panel in panels():
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
    ids = [panel["id"] for panel in board()["panels"]]
    assert len(set(ids)) == len(ids)


def value(hub: Watched, expression: str) -> float:
    [sample] = hub.prometheus.query(expression)
    return float(sample["value"][1])


def check_board(hub: Watched) -> None:
    found = {query: answers(hub.prometheus, query, RATE_SECONDS) for query in queries()}
    assert [query.expression for query, lines in found.items() if not lines] == []
    assert [
        query.expression
        for query, lines in found.items()
        if any((not name and query.legend) or math.isnan(figure) for name, figure in lines)
    ] == []


def check_sums(hub: Watched) -> None:
    # What each instance has for itself adds up; what all of them share is the same at each.
    assert value(hub, "sum(barestream_streams)") == INSTANCES * hub.streams
    # A subscription whose stream has ended counts for its grace.
    shared = "max(barestream_subscriptions)"
    wait_for("the subscriptions", lambda: value(hub, shared) == INSTANCES * hub.streams)
    assert value(hub, "count(barestream_worker_memory_bytes)") == INSTANCES * WORKERS
    slots = "count by (slot) (barestream_worker_cpu_seconds_total)"
    assert {sample["metric"]["slot"] for sample in hub.prometheus.query(slots)} == {"0", "1"}
    both = {sample["metric"]["instance"] for sample in hub.prometheus.query("barestream_streams")}
    assert both == set(hub.instances)


def check_rules(hub: Watched) -> None:
    assert hub.prometheus.unhealthy_rules() == []
    for name in re.findall(r"record: (\S+)", (FOLDER / "rules.yml").read_text()):
        # Prometheus computes them every few seconds.
        wait_for(name, lambda name=name: hub.prometheus.query(name))


def test_each_panel_has_data_of_two_instances_in_use_and_adds_them_up(
    figure: Callable[[str], None],
) -> None:
    async def act() -> None:
        async with watched() as hub:
            await asyncio.to_thread(check_board, hub)
            await asyncio.to_thread(check_sums, hub)
            await asyncio.to_thread(check_rules, hub)

    asyncio.run(act())
    figure(f"{len(list(queries()))} queries of {len(panels())} panels have data")
