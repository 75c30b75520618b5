"""The demo leaves the same files through Slurm as on this machine."""

import os
import re
import subprocess
import sys
import zipfile

RESULTS = ("evaluation/*.tsv", "models/*/*/model.*", "models/*/*/instances.json", "validation/*/*/*.tif",
           "predictions/*/*/*.tif", "prepared/*", "augmented/*", "weights/*")  # fmt: skip


def test_results_are_byte_identical(local_demo, demo_through_slurm, cluster, snakemake):
    paths = {pattern: list(local_demo.glob(f"results/demo/{pattern}")) for pattern in RESULTS}
    assert all(paths.values()), paths
    for path in (path.relative_to(local_demo) for matches in paths.values() for path in matches):
        assert (local_demo / path).read_bytes() == (demo_through_slurm / path).read_bytes(), path
    log = (demo_through_slurm / "snakemake.log").read_text(encoding="utf-8")
    assert requested_resources(cluster, log, "train") == {"gpu", "gres:gpu:1"}
    assert requested_resources(cluster, log, "report") == {"cpu"}
    # prepare, augment and weigh of the one batch are one job.
    assert "group_batch" in log
    assert "Nothing to be done" in snakemake(demo_through_slurm, "--configfile", "config.yaml", "--cores", "1").stdout


def test_the_report_of_snakemake_needs_no_network(demo_through_slurm, repository, browser, tmp_path):
    """It is made and opened without a network, with all tables, figures and pages by category."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", repository / "Snakefile",
               "--configfile", "config.yaml", "--report", tmp_path / "report.zip"]  # fmt: skip
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [*without_network_command(), *command],
        cwd=demo_through_slurm,
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    zipfile.ZipFile(tmp_path / "report.zip").extractall(tmp_path)
    context, requested_urls = browser.new_context(offline=True), []
    page = context.new_page()
    page.on("request", lambda request: requested_urls.append(request.url))
    page.goto((tmp_path / "report/report.html").as_uri())
    categories = page.evaluate("categories")
    figures = {path.name.capitalize() for path in (demo_through_slurm / "results/demo/figures").glob("[a-z]*")}
    assert figures
    assert set(categories) == {"Report", "Scores"} | figures
    shown = page.inner_text("#app").lower()
    assert all(category.lower() in shown for category in categories)
    files = page.evaluate("results")
    assert len(files) == sum(len(paths) for parts in categories.values() for paths in parts.values())
    # The report lists the rules that ran through Slurm.
    assert set(page.evaluate("Object.keys(rules)")) >= {"train", "prepare", "infer", "report"}
    assert [url for url in requested_urls if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


def without_network_command() -> list[str]:
    """Return the command that starts another in a network without connections; empty if this is not allowed."""
    words = ["unshare", "--map-root-user", "--net"]
    return words if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0 else []


def requested_resources(cluster, log: str, rule: str) -> set[str]:
    """Return the partition and the GPUs that the job of a rule requested."""
    number = re.search(rf"rule_{rule}/.*?(\d+)\.log", log)[1]
    return set(re.findall(r"(?:Partition|TresPer\w+)=(\S+)", cluster.run("scontrol", "show", "job", number)))
