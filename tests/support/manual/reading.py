"""A reader who does what a page says, step by step."""

import json
import subprocess
from collections import Counter
from contextlib import ExitStack
from functools import cached_property

from support.manual.front import Front
from support.manual.machine import Machine
from support.manual.pages import PROXIES, ROOT, Step, runner_of
from support.manual.printed import commands
from support.manual.window import HUB_PAGE, Window, window

# The pages that speak of a hub that runs already, with publishing on.
WITH_A_HUB = {
    "benchmarks.md", "client.md", "clients.md", "doctor.md", "http.md", "operations.md",
    "python-client.md",
    "README.md", "revocation.md", "state.md", "streamed-publish.md", "tokens.md",
    "troubleshooting.md",
}  # fmt: skip


class Reading:
    """The reading of one page; a context.

    Args:
        machine: The reader's.
        on: Where the hub runs: "native" or "docker".
    """

    def __init__(self, machine: Machine, on: str) -> None:
        self._machine = machine
        self._on = on
        self._front = Front(machine)
        self._stack = ExitStack()
        self.ran: Counter[str] = Counter()

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def _window(self) -> Window:
        return self._stack.enter_context(window(self._machine))

    def read(self, steps: list[Step]) -> None:
        """Do all steps of a page that are for this place."""
        if steps and steps[0].page in WITH_A_HUB:
            self._machine.run(
                "export BARESTREAM_TOKEN_KEY=$(openssl rand -hex 32)\nmake --silent up"
            )
        for step in steps:
            if not self._is_for_here(step):
                continue
            try:
                self._do(step)
            except Exception as error:
                raise AssertionError(f"{step.place}: {error}") from error
            if step.language:
                self.ran[step.language] += 1

    def _is_for_here(self, step: Step) -> bool:
        runner = runner_of(step)
        if runner == "docker" or step.how == "native":
            return self._on == ("docker" if runner == "docker" else "native")
        return runner == "page" or bool(step.verb)

    def _do(self, step: Step) -> None:
        if step.verb:
            self._browse(step)
        elif step.language in PROXIES:
            self._front.start(step)
        elif step.language == "yaml":
            check_yaml(self._machine, step)
        elif step.title:
            self._machine.save(step.title, step.text)
        else:
            {
                "sh": self._shell,
                "console": self._console,
                "python": self._python,
                "js": self._script,
                "json": lambda block: json.loads(block.text),
                "text": self._output,
            }[step.language](step)

    def _browse(self, step: Step) -> None:
        do = {"open": self._window.open, "shows": self._window.shows, "send": self._window.send}
        do[step.verb](step.text)

    def _shell(self, step: Step) -> None:
        if step.how == "endless":
            self._machine.start(step.text)
        else:
            self._machine.run(step.text, network=step.how == "network")

    def _console(self, step: Step) -> None:
        for command, output in commands(step.text):
            self._machine.shows(command, output, fails=step.how == "fails")

    def _python(self, step: Step) -> None:
        path = self._machine.save("sample.py", step.text)
        if step.how == "endless":
            self._machine.start(f"exec {ROOT}/.venv/bin/python {path}")
        else:
            self._machine.run(f"{ROOT}/.venv/bin/python {path}")

    def _script(self, step: Step) -> None:
        self._window.run(step.text, step.how.removeprefix("at ") if step.how else HUB_PAGE)

    def _output(self, step: Step) -> None:
        self._machine.wait_for_output(step.text, self._window.pump)


def check_yaml(machine: Machine, step: Step) -> None:
    """Have Compose read a file for Compose, and a parser of YAML any other."""
    path = machine.save(step.title, step.text)
    if step.text.startswith("services:"):
        machine.run(
            f"touch token-key\ndocker compose -f docker-compose.yml -f {path} config --quiet"
        )
    else:
        subprocess.run(["make", "--silent", ".venv-docs/docs"], cwd=ROOT, check=True)
        script = "import sys, yaml; yaml.safe_load(sys.stdin)"
        python = ROOT / ".venv-docs/bin/python"
        subprocess.run([python, "-c", script], input=step.text, text=True, check=True)
