"""Data structure of a finding about the data of a run."""

from dataclasses import dataclass

# Most severe first: an error stops the workflow, a warning lowers scores or makes them misleading, a note informs.
SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One observation about the data.

    Parameters
    ----------
    severity : str
        One of `SEVERITIES`.
    topic : str
        Short title shared by all findings of the same kind.
    samples : tuple of str
        Affected samples; empty if the finding concerns the whole data set.
    found, means, remedy : str
        The observation, its consequence for training and scores, and what to do about it.
    at : str
        Index of an affected pixel of the label image, one number per axis, separated by spaces; "" without a place.
    has_examples : bool
        Whether `samples` are only examples of affected samples.
    """

    severity: str
    topic: str
    samples: tuple[str, ...]
    found: str
    means: str
    remedy: str
    at: str = ""
    has_examples: bool = False
