"""TIFF files whose tag says that 0 is white: 1-bit pages are inverted, others are read as stored, with a finding.

The input is that of shared/cases/inputs/bilevel_white_is_zero.py.
"""

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from snakeseg.checks.findings.per_image import image_findings
from snakeseg.checks.findings.table import build_facts_table
from snakeseg.checks.inspect import inspect_rows
from snakeseg.io.formats import is_shown_inverted
from snakeseg.io.images import read, read_label
from snakeseg.settings import Labels

MASK = np.zeros((64, 80), bool)
for row, column in ((5, 8), (20, 40), (40, 12), (44, 60)):
    MASK[row : row + 10, column : column + 12] = True


@pytest.mark.parametrize("compression", ["group4", "group3", "tiff_lzw", "packbits", None])
@pytest.mark.parametrize("photometric", [0, 1])
def test_one_bit_masks_are_read_as_viewers_show_them(tmp_path, compression, photometric):
    Image.fromarray(MASK).save(tmp_path / "a.tif", compression=compression, tiffinfo={262: photometric})
    shown = np.asarray(Image.open(tmp_path / "a.tif"))
    assert shown.sum() == 480
    np.testing.assert_array_equal(read_label(tmp_path / "a.tif", 2).array, shown)
    np.testing.assert_array_equal(read(tmp_path / "a.tif", 2).array[0], shown)


def test_a_stack_of_one_bit_pages_is_inverted(tmp_path):
    stack = np.stack([MASK, ~MASK, MASK])
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in stack:
            file.write(~page, photometric="miniswhite", metadata=None, contiguous=False)
    np.testing.assert_array_equal(read_label(tmp_path / "a.tif", 3).array, stack)


@pytest.mark.parametrize("photometric", ["miniswhite", "minisblack"])
def test_more_bits_are_read_as_stored_with_a_finding(tmp_path, photometric):
    image = np.random.default_rng(0).integers(0, 255, MASK.shape).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric=photometric)
    tifffile.imwrite(tmp_path / "l.tif", MASK.astype(np.uint8), photometric=photometric)
    np.testing.assert_array_equal(read(tmp_path / "a.tif", 2).array[0], image)
    np.testing.assert_array_equal(read_label(tmp_path / "l.tif", 2).array, MASK)
    row = {"sample": "a", "image": f"{tmp_path}/a.tif", "label": f"{tmp_path}/l.tif", "subset": "train", "group": "a"}
    sheet, labels = pd.DataFrame([{**row, "spacing": ""}]), Labels("binary")
    facts, problems = inspect_rows(sheet, 2, labels)
    assert not problems
    table = build_facts_table(sheet, pd.DataFrame(facts), sheet["subset"])
    topics = {finding.topic for finding in image_findings(table, labels)}
    inverted = {"Images that viewers show inverted", "Labels that viewers show inverted"}
    assert topics & inverted == (inverted if photometric == "miniswhite" else set())


def test_each_image_of_a_file_has_its_own_tag(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((20, 30), np.uint8), photometric="minisblack", metadata=None)
        file.write(np.zeros((25, 22), np.uint8), photometric="miniswhite", metadata=None)
    assert [is_shown_inverted(tmp_path / f"a.tif#{number}") for number in (1, 2)] == [False, True]
