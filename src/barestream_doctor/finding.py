"""What the doctor has found. Pure."""

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad a finding is; the values order them."""

    OK = 0
    NOTE = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        code: Its name, which stays the same from release to release.
        severity: How bad it is.
        evidence: One sentence: what was measured.
        hop: What does it, as far as it is known; empty if nothing is to blame.
        remedy: What to do about it; empty if nothing is to be done.
    """

    code: str
    severity: Severity
    evidence: str
    hop: str = ""
    remedy: str = ""
