"""`snakemake data_report` before any training, on good and on bad data."""

import re

import numpy as np
import pandas as pd
import pytest
import tifffile

pytestmark = pytest.mark.slow


def run_data_report(snakemake, folder):
    return snakemake(folder, "data_report", "--configfile", "config.yaml", "--cores", "2")


def test_a_report_of_the_demo_has_no_errors(tmp_path, snakemake, write_run):
    write_run(tmp_path)
    done = run_data_report(snakemake, tmp_path)
    assert done.returncode == 0, done.stdout
    ran = set(re.findall(r"^(?:local)?rule (\w+):", done.stdout, re.MULTILINE))
    assert ran == {"simulate", "inspect", "data_report"}
    results = tmp_path / "results" / "small"
    data, findings = (pd.read_csv(results / f"{name}.tsv", sep="\t") for name in ("data", "findings"))
    assert len(data) == 9
    assert list(data["part"].unique()) == ["training", "validation", "test", "predict"]
    assert "error" not in set(findings["severity"])
    page = (results / "data-report.html").read_text(encoding="utf-8")
    assert len(page) < 1_500_000
    for word in ("SnakeSeg data report", "At a glance", "cells-08", "Every image", "Length of objects"):
        assert word in page
    report = snakemake(tmp_path, "data_report", "--configfile", "config.yaml", "--report", "report.zip")
    assert report.returncode == 0, report.stdout
    assert "Nothing to be done" in run_data_report(snakemake, tmp_path).stdout


def test_a_report_is_made_of_data_that_the_check_refuses(tmp_path, snakemake, write_run, sheet_rows):
    """The run is refused because of a leak and a damaged file; the report shows both and all other findings."""
    rng = np.random.default_rng(0)
    for row in sheet_rows[1:]:
        (tmp_path / row[1]).parent.mkdir(exist_ok=True)
        (tmp_path / "labels").mkdir(exist_ok=True)
        label = np.zeros((64, 64), np.uint16)
        label[8:20, 8:20], label[8:20, 24:40] = 1, 2
        tifffile.imwrite(tmp_path / row[1], (label * 60 + rng.integers(0, 30, label.shape)).astype(np.uint8))
        if row[2]:
            tifffile.imwrite(tmp_path / row[2], label)
    (tmp_path / "images/cells-06.tif").write_bytes((tmp_path / "images/cells-00.tif").read_bytes())
    (tmp_path / "images/cells-01.tif").write_bytes(b"damaged")
    write_run(tmp_path, {"simulate": None, "data": None})
    refused = snakemake(tmp_path, "--configfile", "config.yaml", "--cores", "2")
    assert refused.returncode != 0
    assert "found the same pixels as in images/cells-00.tif (test and training)" in refused.stdout
    assert "cells-01.tif: found a damaged file" in refused.stdout
    assert not (tmp_path / "results" / "small" / "prepared").exists()
    done = run_data_report(snakemake, tmp_path)
    assert done.returncode == 0, done.stdout
    findings = pd.read_csv(tmp_path / "results" / "small" / "findings.tsv", sep="\t")
    assert list(findings["samples"][findings["severity"] == "error"]) == ["cells-01", "cells-06"]
