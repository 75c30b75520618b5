"""What a check comes to."""

from typing import NamedTuple

VERDICTS = ("ok", "warning", "problem")


class Check(NamedTuple):
    """One of `VERDICTS` on one thing: what was found, and what to do unless it is ok."""

    what: str
    verdict: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:<8} {self.what}: {self.found}" + (f"; {self.remedy}" if self.remedy else "")


def graded(what: str, value: float, warning: float, problem: float, found: str, remedy: str) -> Check:
    """A verdict on a number of which less is better; `remedy` is told if it is not ok."""
    verdict = "problem" if value >= problem else "warning" if value >= warning else "ok"
    return Check(what, verdict, found, remedy if verdict != "ok" else "")
