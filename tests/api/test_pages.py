"""The examples of the pages and docstrings run, and the script reproduces the picture of its page."""

import doctest
import importlib.util
import sys
from contextlib import chdir

import numpy as np
import pytest
from PIL import Image

import snakeseg

# In this order, each example uses only variables of earlier ones.
DOCUMENTED = ("read_image", "read_labels", "write_labels", "border_weights", "elastic_deform", "load_model", "predict",
              "score")  # fmt: skip
MAX_DIFFERENCE = 8  # mean over the picture, of 255: fonts and rounding differ between machines
MAX_BYTES = 100_000


@pytest.fixture(scope="module")
def script(repository):
    """Import the script that draws the picture."""
    spec = importlib.util.spec_from_file_location("from_python", repository / "docs/images/from_python.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_examples_of_the_reference_page_run(repository, script, tmp_path, capsys):
    script.make_demo(tmp_path)
    variables = script.run_page(repository / "docs/reference/python.md", tmp_path)
    assert variables["cells"].max() > 20
    assert variables["scores"]["ap_0.50"] > 0.7
    np.testing.assert_array_equal(snakeseg.read_labels(tmp_path / "cells.tif").array, variables["cells"])
    assert "3 channels" in capsys.readouterr().out


def test_examples_of_the_docstrings_run(script, tmp_path):
    script.make_demo(tmp_path)
    variables, finder = {"snakeseg": snakeseg, "np": np}, doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert set(DOCUMENTED) == set(snakeseg._PUBLIC_NAMES) - {"BadInput", "Labels", "Raster"}
    with chdir(tmp_path):
        for name in DOCUMENTED:
            (test,) = finder.find(getattr(snakeseg, name), name, module=False)
            assert test.examples, name
            test.globs = variables
            runner.run(test, out=sys.stderr.write, clear_globs=False)
    assert runner.failures == 0


def test_script_draws_the_picture_of_the_page(repository, script, tmp_path):
    script.draw(tmp_path)
    page = (repository / "docs/how-to/from-python.md").read_text(encoding="utf-8")
    assert "(../images/from-python.png)" in page
    published, drawn = repository / "docs/images/from-python.png", tmp_path / "from-python.png"
    assert published.stat().st_size < MAX_BYTES
    published, drawn = (np.asarray(Image.open(path).convert("RGB"), float) for path in (published, drawn))
    assert published.shape == drawn.shape
    assert np.abs(published - drawn).mean() < MAX_DIFFERENCE
