"""The demo through Slurm leaves what it leaves on this machine."""

import os
import re
import subprocess
import sys
import zipfile

RESULTS = ("evaluation/*.tsv", "models/*/*/model.*", "models/*/*/instances.json", "validation/*/*/*.tif",
           "predictions/*/*/*.tif", "prepared/*", "augmented/*", "weights/*")  # fmt: skip


def test_results_are_byte_identical(demo_here, through_slurm, cluster, snakemake):
    found = {pattern: list(demo_here.glob(f"results/demo/{pattern}")) for pattern in RESULTS}
    assert all(found.values()), found
    for path in (path.relative_to(demo_here) for paths in found.values() for path in paths):
        assert (demo_here / path).read_bytes() == (through_slurm / path).read_bytes(), path
    log = (through_slurm / "snakemake.log").read_text(encoding="utf-8")
    assert asked(cluster, log, "train") == {"gpu", "gres:gpu:1"}
    assert asked(cluster, log, "report") == {"cpu"}
    # prepare, augment and weigh of the one batch are one job.
    assert "group_batch" in log
    assert "Nothing to be done" in snakemake(through_slurm, "--configfile", "config.yaml", "--cores", "1").stdout


def test_snakemakes_own_report_needs_no_network(through_slurm, repository, browser, tmp_path):
    """It is made where there is none, and opens there: all tables, figures and pages by category."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", repository / "Snakefile",
               "--configfile", "config.yaml", "--report", tmp_path / "report.zip"]  # fmt: skip
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [*no_network(), *command], cwd=through_slurm, env={**os.environ, **nowhere}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    zipfile.ZipFile(tmp_path / "report.zip").extractall(tmp_path)
    context, asked_for = browser.new_context(offline=True), []
    page = context.new_page()
    page.on("request", lambda request: asked_for.append(request.url))
    page.goto((tmp_path / "report/report.html").as_uri())
    held = page.evaluate("categories")
    figures = {path.name.capitalize() for path in (through_slurm / "results/demo/figures").glob("[a-z]*")}
    assert figures
    assert set(held) == {"Report", "Scores"} | figures
    shown = page.inner_text("#app").lower()
    assert all(category.lower() in shown for category in held)
    files = page.evaluate("results")
    assert len(files) == sum(len(paths) for parts in held.values() for paths in parts.values())
    # What Slurm ran is in it, with what it took.
    assert set(page.evaluate("Object.keys(rules)")) >= {"train", "prepare", "infer", "report"}
    assert [url for url in asked_for if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


def no_network() -> list[str]:
    """What makes a command start in a network of its own, of nothing; none where that is not allowed."""
    words = ["unshare", "--map-root-user", "--net"]
    return words if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0 else []


def asked(cluster, log: str, rule: str) -> set[str]:
    """Partition and GPUs that the job of a rule asked for."""
    number = re.search(rf"rule_{rule}/.*?(\d+)\.log", log)[1]
    return set(re.findall(r"(?:Partition|TresPer\w+)=(\S+)", cluster.run("scontrol", "show", "job", number)))
