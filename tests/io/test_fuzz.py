"""All readers on a few hundred mutated files; `python tests/helpers/fuzz_readers.py` runs for any given time."""

import os

import numpy as np
import pytest
from fuzz_readers import inputs, mutated, outcome_of, run
from fuzz_seeds import READERS

from snakeseg.errors import BadInput

SECONDS = float(os.environ.get("SNAKESEG_FUZZ_SECONDS", 20))


@pytest.mark.parametrize("name", READERS)
def test_an_image_or_a_clean_error(name, tmp_path):
    found = run(name, SECONDS / len(READERS), 0, tmp_path / name)
    assert not found["failures"]
    assert found["counts"].get("refused", 0) > 0


def test_the_same_seed_makes_the_same_inputs(tmp_path):
    (tmp_path / "a.txt").write_bytes(bytes(range(200)))
    made = [
        [next(source) for _ in range(9)] for source in (inputs(tmp_path, READERS["tiff"], seed) for seed in (1, 1, 2))
    ]
    assert made[0] == made[1] != made[2]
    assert len({files["a.txt"] for _, files in made[0]}) > 5
    assert mutated(b"", np.random.default_rng(0), [b""]) is not None


def refuse():
    raise BadInput("a", "b", "c", "d")


@pytest.mark.parametrize(("read", "outcome"), [(int, "read"), (refuse, "refused"), (lambda: int("a"), "failed")])
def test_what_counts_as_a_failure(read, outcome):
    assert outcome_of(read)[0] == outcome
