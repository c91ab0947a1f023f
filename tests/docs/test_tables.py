"""What the manual says of the code is what the code says of itself."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from barestream.delivery.stream import EndReason
from barestream.mercure.topics import HubUrl
from barestream.telemetry.metrics import Metrics
from barestream.web.update_reader import PublishRules, UpdateReader
from support.manual.pages import DOCS, ROOT, pages, steps

SOURCE = ROOT / "src/barestream"

OPERATIONS = (DOCS / "operations.md").read_text()


def section(title: str) -> str:
    """Return a section of the page of operations, without its subsections."""
    return re.split(r"(?m)^##+ ", OPERATIONS.partition(f"# {title}\n")[2])[0]


def first_cells(text: str) -> list[str]:
    """Return what stands in code in the first column of a table."""
    return re.findall(r"(?m)^\| `([^`]+)` \|", text)


def exposed() -> set[str]:
    """Return the names of the metrics as Prometheus has them."""
    text = Metrics().text().decode()
    return {
        f"{name}_total" if kind == "counter" and not name.endswith("_total") else name
        for name, kind in re.findall(r"(?m)^# TYPE (\w+) (\w+)$", text)
        if not name.endswith("_created")
    }


def test_the_page_of_operations_has_every_metric_and_no_other() -> None:
    assert set(first_cells(section("Metrics"))) == exposed()


def test_the_updates_of_the_page_on_http_can_be_published() -> None:
    [sample] = [step for step in steps(DOCS / "http.md") if step.language == "json"]
    rules = PublishRules(100, 2, 3600, HubUrl("https://example.com/.well-known/mercure"))
    updates = [UpdateReader(rules).of_json(value) for value in json.loads(sample.text)]
    assert [update.event.data for update in updates] == ['{"state":"paid"}', "done"]


def messages() -> Iterator[str]:
    """Yield what the code logs, with "…" for each figure."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and _logs(node.func):
                yield from _texts(node.args[0])


def _logs(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id == "Misfit"
    if not isinstance(function, ast.Attribute):
        return False
    levels = ("debug", "info", "warning", "error", "exception", "critical")
    return function.attr == "_notice" or (
        function.attr in levels
        and ast.unparse(function.value).rpartition(".")[2] in ("logger", "log")
    )


def _texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield re.sub(r"%[sd]", "…", text)
        case ast.JoinedStr(values=values):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in values)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body)
            yield from _texts(orelse)


def test_the_page_of_operations_has_every_message_of_the_log_and_no_other() -> None:
    assert sorted(first_cells(section("Logs"))) == sorted(set(messages()))


def test_the_page_of_operations_has_every_reason_for_a_streams_end() -> None:
    assert set(first_cells(section("Why a stream ended"))) == set(EndReason)


def test_the_page_of_clients_holds_the_table_of_the_clients_that_are_tested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests/clients"))
    needs = __import__("needs")
    text = (DOCS / "clients.md").read_text()
    shown = text.partition("<!-- clients: begin -->\n\n")[2].partition("\n<!-- clients: end -->")[0]
    assert shown == needs.table()
    del sys.modules["needs"]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_the_files_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|yml|conf|lock|sh))`", page.read_text())
    named = [name for name in named if not name.startswith(("/", "certificates"))]
    missing = [name for name in named if not ((ROOT / name).exists() or (SOURCE / name).exists())]
    assert missing == []


def test_the_commands_for_a_vm_name_scripts_and_options_that_there_are() -> None:
    text = "".join((DOCS / page).read_text() for page in ("deploy.md", "several-hosts.md"))
    for name, rest in re.findall(r"(?m)^deploy/([a-z]+)( .*)?$", text):
        script = (ROOT / "deploy" / name).read_text()
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in script, f"deploy/{name} has no {option}"
