"""A real Prometheus, with the configuration and the rules of deploy/observability."""

import re
from collections.abc import Sequence
from typing import Any

import httpx

from support.servers.logged_program import LoggedProgram
from support.servers.programs import path_of
from support.servers.service import ROOT

FOLDER = ROOT / "deploy/observability"

# In place of the intervals of 15 s, so that a test need not wait for minutes.
SCRAPE_SECONDS = 1


class Prometheus(LoggedProgram):
    """Prometheus; a context.

    Args:
        targets: The addresses of the instances, as host:port.
        rules: The text of the rules.
    """

    def __init__(self, targets: Sequence[str], rules: str) -> None:
        super().__init__("Prometheus")
        self._program = path_of("prometheus", "prometheus")
        (self.folder / "prometheus.yml").write_text(_with_targets(targets))
        (self.folder / "rules.yml").write_text(rules)

    def _command(self) -> list[str]:
        return [
            self._program,
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--query.lookback-delta=10s",
        ]

    def _is_up(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").is_success
        except httpx.TransportError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an expression, each with its labels ("metric") and "value"."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression})
        assert answer.is_success, answer.text
        data = answer.json()["data"]
        assert data["resultType"] == "vector", expression
        samples: list[dict[str, Any]] = data["result"]
        return samples

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        answer = httpx.get(f"{self.url}/api/v1/alerts").raise_for_status()
        alerts = answer.json()["data"]["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def unhealthy_rules(self) -> list[str]:
        """Return the names of the rules whose evaluation failed."""
        answer = httpx.get(f"{self.url}/api/v1/rules").raise_for_status()
        rules = [rule for group in answer.json()["data"]["groups"] for rule in group["rules"]]
        return [rule["name"] for rule in rules if rule["health"] == "err"]


def _with_targets(targets: Sequence[str]) -> str:
    """Return the configuration of the repository, with these targets and short intervals."""
    text = (FOLDER / "prometheus.yml").read_text()
    text, found = re.subn(r'"nginx:9180"', ", ".join(f'"{each}"' for each in targets), text)
    assert found == 1
    text, found = re.subn(r"_interval: 15s", f"_interval: {SCRAPE_SECONDS}s", text)
    assert found == 2
    return text
