"""All readers are run on mutated files for a few seconds; `python tests/helpers/fuzz_readers.py` runs longer."""

import os

import numpy as np
import pytest
from fuzz_readers import inputs, mutated, outcome_of, run
from fuzz_seeds import READERS

from snakeseg.errors import BadInput

SECONDS = float(os.environ.get("SNAKESEG_FUZZ_SECONDS", 20))


@pytest.mark.parametrize("name", READERS)
def test_mutated_files_are_read_or_refused(name, tmp_path):
    result = run(name, SECONDS / len(READERS), 0, tmp_path / name)
    assert not result["failures"]
    assert result["counts"].get("refused", 0) > 0


def test_inputs_depend_only_on_the_seed(tmp_path):
    (tmp_path / "a.txt").write_bytes(bytes(range(200)))
    sequences = [
        [next(source) for _ in range(9)] for source in (inputs(tmp_path, READERS["tiff"], seed) for seed in (1, 1, 2))
    ]
    assert sequences[0] == sequences[1] != sequences[2]
    assert len({files["a.txt"] for _, files in sequences[0]}) > 5
    assert mutated(b"", np.random.default_rng(0), [b""]) is not None


def refuse():
    raise BadInput("a", "b", "c", "d")


@pytest.mark.parametrize(("read", "outcome"), [(int, "read"), (refuse, "refused"), (lambda: int("a"), "failed")])
def test_exceptions_other_than_bad_input_are_failures(read, outcome):
    assert outcome_of(read)[0] == outcome
