"""The examples of the pages and docstrings run, and the picture is that of its page."""

import doctest
import importlib.util
import sys
from contextlib import chdir

import numpy as np
import pytest
from PIL import Image

import snakeseg

# In an order in which each example finds what it uses.
DOCUMENTED = ("read_image", "read_labels", "write_labels", "border_weights", "elastic_deform", "load_model", "predict",
              "score")  # fmt: skip
MAX_DIFFERENCE = 8  # of 255, mean over the picture: fonts and the last bits of libraries differ
MAX_BYTES = 100_000


@pytest.fixture(scope="module")
def script(repository):
    """The script that draws the picture, as a module."""
    spec = importlib.util.spec_from_file_location("from_python", repository / "docs/images/from_python.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_examples_of_the_reference_run(repository, script, tmp_path, capsys):
    script.make_demo(tmp_path)
    found = script.run_page(repository / "docs/reference/python.md", tmp_path)
    assert found["cells"].max() > 20
    assert found["scores"]["ap_0.50"] > 0.7
    np.testing.assert_array_equal(snakeseg.read_labels(tmp_path / "cells.tif").array, found["cells"])
    assert "3 channels" in capsys.readouterr().out


def test_the_examples_of_the_docstrings_run(script, tmp_path):
    script.make_demo(tmp_path)
    shared, finder = {"snakeseg": snakeseg, "np": np}, doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert set(DOCUMENTED) == set(snakeseg._MODULES) - {"BadInput", "Labels", "Raster"}
    with chdir(tmp_path):
        for name in DOCUMENTED:
            (test,) = finder.find(getattr(snakeseg, name), name, module=False)
            assert test.examples, name
            test.globs = shared
            runner.run(test, out=sys.stderr.write, clear_globs=False)
    assert runner.failures == 0


def test_the_picture_is_that_of_the_page(repository, script, tmp_path):
    script.draw(tmp_path)
    page = (repository / "docs/how-to/from-python.md").read_text(encoding="utf-8")
    assert "(../images/from-python.png)" in page
    kept, drawn = repository / "docs/images/from-python.png", tmp_path / "from-python.png"
    assert kept.stat().st_size < MAX_BYTES
    kept, drawn = (np.asarray(Image.open(path).convert("RGB"), float) for path in (kept, drawn))
    assert kept.shape == drawn.shape
    assert np.abs(kept - drawn).mean() < MAX_DIFFERENCE
