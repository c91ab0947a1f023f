"""Findings as text for people, and as JSON."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import click

from barestream_doctor.finding import Finding, Severity

_WIDTH = 80
_NAMES = {
    Severity.OK: "ok",
    Severity.NOTE: "note",
    Severity.WARNING: "WARNING",
    Severity.ERROR: "ERROR",
}
_COLORS = {
    Severity.OK: "green",
    Severity.NOTE: "cyan",
    # On a light ground yellow cannot be read.
    Severity.WARNING: "magenta",
    Severity.ERROR: "red",
}

# The column of the text: the longest name, and two spaces.
_COLUMN = 9

# A number and its unit stay on one line: textwrap does not break there.
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:ms|s|KB|MB|%)(?!\w))")
_NO_BREAK = "\N{NO-BREAK SPACE}"


def text(url: str, findings: Sequence[Finding], seconds: float) -> str:
    """Return the report for a terminal; the caller removes the colors where they are not wanted."""
    lines = [f"barestream doctor: {url}", ""]
    said = ("", "")
    for each in sorted(findings, key=lambda found: -found.severity):
        is_said = (each.hop, each.remedy) == said
        lines += _lines(replace(each, hop="", remedy="") if is_said else each)
        said = (each.hop, each.remedy)
    return "\n".join([*lines, "", verdict(findings, seconds)])


def verdict(findings: Sequence[Finding], seconds: float) -> str:
    """Return the last line."""
    bad = [each for each in findings if each.severity >= Severity.WARNING]
    if not bad:
        told = click.style("Healthy", fg="green", bold=True) + ": nothing holds the events back."
        if any(each.code == "few-probes" for each in findings):
            told = click.style("No fault seen", fg="green", bold=True) + ", with few probes."
    else:
        told = f"{len(bad)} {'fault' if len(bad) == 1 else 'faults'}: "
        told += ", ".join(dict.fromkeys(each.code for each in bad)) + "."
        told = click.style(told, fg=_COLORS[worst(findings)], bold=True)
    return f"{told} ({seconds:.0f} s)"


def worst(findings: Iterable[Finding]) -> Severity:
    """Return the greatest severity."""
    return max((each.severity for each in findings), default=Severity.OK)


def as_json(url: str, findings: Sequence[Finding], seconds: float) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "url": url,
        "seconds": round(seconds, 1),
        "severity": worst(findings).name.lower(),
        "findings": [
            {
                "code": each.code,
                "severity": each.severity.name.lower(),
                "evidence": each.evidence,
                "hop": each.hop,
                "remedy": each.remedy,
            }
            for each in findings
        ],
    }


def _lines(finding: Finding) -> list[str]:
    name = _NAMES[finding.severity]
    styled = click.style(
        name, fg=_COLORS[finding.severity], bold=finding.severity >= Severity.WARNING
    )
    wrapped = _wrapped(f"{finding.code}: {finding.evidence}")
    lines = [styled + " " * (_COLUMN - len(name)) + wrapped[0].lstrip(), *wrapped[1:]]
    if finding.severity >= Severity.NOTE:
        for label, said in (("hop", finding.hop), ("do", finding.remedy)):
            if said:
                first, *rest = _wrapped(f"{label}: {said}")
                lines += [first, *rest]
    return lines


def _wrapped(sentence: str) -> list[str]:
    indent = " " * _COLUMN
    # Headers come from anywhere, and might command the terminal.
    sentence = "".join(each if each.isprintable() else "\ufffd" for each in sentence)
    lines = textwrap.wrap(
        _BEFORE_UNIT.sub(_NO_BREAK, sentence),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [each.replace(_NO_BREAK, " ") for each in lines]
