"""The form that all findings have."""

from dataclasses import dataclass

# Worst first. An error stops the workflow, a warning will cost something, a note is good to know.
SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that was noticed.

    Parameters
    ----------
    severity : str
        One of `SEVERITIES`.
    topic : str
        A few words that all findings of the same kind share.
    samples : tuple of str
        The rows it is about, or some of them to look at; none if it is about all data.
    found, means, remedy : str
        What is there, what that means for training and scores, and what to do.
    at : str
        A pixel of the label to look at; "" if there is none.
    """

    severity: str
    topic: str
    samples: tuple[str, ...]
    found: str
    means: str
    remedy: str
    at: str = ""
