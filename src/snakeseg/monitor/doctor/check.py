"""Result of a check."""

from typing import NamedTuple

VERDICTS = ("ok", "warning", "problem")


class Check(NamedTuple):
    """Result of a check.

    Attributes
    ----------
    what : str
        What was checked.
    verdict : str
        One of `VERDICTS`.
    found : str
        The observation.
    remedy : str
        What to do; "" if the verdict is ok.
    """

    what: str
    verdict: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:<8} {self.what}: {self.found}" + (f"; {self.remedy}" if self.remedy else "")


def graded(what: str, value: float, warning: float, problem: float, found: str, remedy: str) -> Check:
    """Judge a number by two limits; smaller is better.

    Parameters
    ----------
    what, found, remedy : str
        As in `Check`.
    value : float
        The number.
    warning, problem : float
        Smallest values with the verdict "warning" and "problem".
    """
    verdict = "problem" if value >= problem else "warning" if value >= warning else "ok"
    return Check(what, verdict, found, remedy if verdict != "ok" else "")
