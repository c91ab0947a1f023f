"""``python tests/doctor``: try the doctor on each path, and print the table of its verdicts.

The exit code is 1 where a verdict is wrong.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What pytest has on its path, for a program that needs no more than an interpreter.
TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(folder) for folder in (TESTS.parent / "src", TESTS)]

from barestream.mercure.tokens import sign  # noqa: E402
from doctor.cases import CASES, Case, urls  # noqa: E402
from support.clients.publisher import KEY  # noqa: E402
from support.servers.service import ROOT  # noqa: E402

_TOKEN = sign(KEY, "HS256", ("*",), ("*",), None, operate=True)
_BAD = {"warning", "error"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the doctor said of a path."""

    case: Case
    findings: list[dict[str, Any]]
    said: str
    seconds: float

    @property
    def codes(self) -> set[str]:
        """The codes of its warnings and errors."""
        return {each["code"] for each in self.findings if each["severity"] in _BAD}

    @property
    def is_right(self) -> bool:
        """Whether codes, hop and notes are those of the case, with a remedy for each."""
        bad = [each for each in self.findings if each["severity"] in _BAD]
        notes = {each["code"] for each in self.findings if each["severity"] == "note"}
        return (
            self.codes == self.case.codes
            and self.case.notes <= notes
            and all(self.case.hop in each["hop"] and each["remedy"] for each in bad)
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="doctor")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=10, help="paths at the same time")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--idle", action="store_true", help="without a load on one core")
    parser.add_argument("--only", action="append", help="a path's name; repeatable")
    options = parser.parse_args()
    cases = [case for case in CASES if not options.only or case.name in options.only]
    everything: dict[str, list[Verdict]] = {case.name: [] for case in cases}
    with (
        tempfile.TemporaryDirectory(prefix="doctor-") as folder,
        urls(cases, Path(folder)) as running,
        load(0 if options.idle else 1),
        ThreadPoolExecutor(options.at_once) as pool,
    ):
        for number in range(options.runs):
            print(f"doctor: run {number + 1}", file=sys.stderr, flush=True)
            asked = [(case, running[case.name], options.quick) for case in cases]
            for verdict in pool.map(examined, asked):
                everything[verdict.case.name].append(verdict)
    print("| Path | Verdict | Right |")
    print("| --- | --- | --- |")
    for name, verdicts in everything.items():
        told = " / ".join(sorted({", ".join(sorted(each.codes)) or "healthy" for each in verdicts}))
        print(f"| {name} | {told} | {sum(each.is_right for each in verdicts)}/{len(verdicts)} |")
    every = [each for verdicts in everything.values() for each in verdicts]
    wrong = [each for each in every if not each.is_right]
    for each in wrong:
        bad = [found for found in each.findings if found["severity"] in _BAD]
        print(f"\nwrong: {each.case.name}\n{json.dumps(bad, indent=1) if bad else each.said}")
    longest = max(each.seconds for each in every)
    print(f"\n{len(wrong)} wrong; the longest took {longest:.0f} s")
    return 1 if wrong else 0


def examined(asked: tuple[Case, str, bool]) -> Verdict:
    """Run the command on a path."""
    case, url, is_quick = asked
    command = [sys.executable, "-m", "barestream", "doctor", "--json", "--insecure", url]
    done = subprocess.run(
        [*command, *(["--quick"] if is_quick else [])],
        env={
            **{name: value for name, value in os.environ.items() if "BARESTREAM" not in name},
            "PYTHONPATH": str(ROOT / "src"),
            "BARESTREAM_TOKEN": _TOKEN,
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = done.stdout + done.stderr
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return Verdict(case, [{"code": "crash", "severity": "error", "hop": ""}], said, 0)
    return Verdict(case, found["findings"], said, found["seconds"])


@contextmanager
def load(cores: int) -> Any:
    """Keep some cores busy while the context lasts."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for each in busy:
            each.kill()
            each.wait()


if __name__ == "__main__":
    sys.exit(main())
