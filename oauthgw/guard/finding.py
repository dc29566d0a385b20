"""What an examination found: one line about one thing, for whoever runs the gateway.

Knows the value; the rooms that examine know what is right. No text of it ever holds a secret.
"""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it stands with the thing."""

    OK = "ok"
    WARNING = "warning"  # it works, and something about it may not be meant
    PROBLEM = "problem"
    SKIPPED = "skipped"  # it could not be examined, or there is nothing to examine


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict about one thing; `says` is a sentence, `mend` tells what to do where something is wrong."""

    verdict: Verdict
    about: str
    says: str
    mend: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (f"{self.verdict:<8} {self.about}:", self.says, self.mend)))


def ok(about: str, says: str) -> Finding:
    return Finding(Verdict.OK, about, says)


def warning(about: str, says: str, mend: str = "") -> Finding:
    return Finding(Verdict.WARNING, about, says, mend)


def problem(about: str, says: str, mend: str = "") -> Finding:
    return Finding(Verdict.PROBLEM, about, says, mend)


def skipped(about: str, says: str) -> Finding:
    return Finding(Verdict.SKIPPED, about, says)
