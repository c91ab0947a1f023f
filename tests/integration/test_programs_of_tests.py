"""The programs that tests start: one that does not come up, or does not end, does not stay."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.servers.bound import Bound
from support.servers.logged_program import LoggedProgram
from support.servers.service import children, is_alive, wait_for


def test_an_app_that_does_not_come_up_in_time_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up_at_once(what: str, *_: object) -> None:
        raise AssertionError(what)

    monkeypatch.setattr("support.servers.bound.wait_for", give_up_at_once)
    bound = Bound()
    with pytest.raises(AssertionError, match="the worker"), bound:
        pass
    assert bound.ended


class Stubborn(LoggedProgram):
    """Ignores SIGTERM, and has a child that does not."""

    def __init__(self) -> None:
        super().__init__("a stubborn program")

    def _command(self) -> Sequence[str | Path]:
        code = (
            "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
            "child = subprocess.Popen(['sleep', '600']); print(child.pid, flush=True); "
            "signal.pause()"
        )
        return [sys.executable, "-c", code]

    def _is_up(self) -> bool:
        return self.log.endswith("\n")


def test_a_program_that_does_not_end_is_killed_with_its_children(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def with_one_that_has_ended(pid: int) -> list[int]:
        # Linux gives no process such a number.
        return [2**22 + 1, *children(pid)]

    monkeypatch.setattr("support.servers.logged_program.children", with_one_that_has_ended)
    monkeypatch.setattr("support.servers.logged_program._ENDS_WITHIN_SECONDS", 0.1)
    with pytest.raises(subprocess.TimeoutExpired), Stubborn() as program:
        child, master = int(program.log), program._process
    assert master is not None
    assert master.poll() is not None
    wait_for("the child's end", lambda: not is_alive(child))
