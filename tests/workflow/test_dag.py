"""Dry runs: entry points, profiles, folds and experiments."""

import re
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow


def jobs(done) -> dict[str, int]:
    """Return the number of jobs of each rule from the table of a dry run."""
    assert done.returncode == 0, done.stdout
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)}


def test_both_snakefiles_run_the_same_jobs(snakemake, repository):
    """A root Snakefile without a rule of its own would do nothing."""
    root = jobs(snakemake(repository, "--dry-run", "--forceall"))
    inner = jobs(snakemake(repository, "--dry-run", "--forceall", snakefile="workflow/Snakefile"))
    assert root.pop("default") == 1
    assert inner.pop("all") == 1
    assert root.pop("total") == inner.pop("total")
    assert root == inner
    assert root["train"] == 1


@pytest.mark.parametrize(
    ("name", "models"), [("isbi2012", 1), ("dsb2018", 1), ("isbi2012-networks", 12), ("isbi2012-networks-gpu", 12)]
)
def test_examples_plan_their_models(name, models, snakemake, repository):
    planned = jobs(snakemake(repository, "--dry-run", "--forceall", "--configfile", f"config/examples/{name}.yaml"))
    assert planned["train"] == planned["measure"] == models
    assert "simulate" not in planned


def test_the_slurm_profile_plans_a_training(snakemake, repository):
    profile = ["--workflow-profile", "profiles/slurm"]
    assert jobs(snakemake(repository, "--dry-run", "--forceall", *profile))["train"] == 1


def test_a_profile_may_spread_training_over_nodes(snakemake, write_run, tmp_path):
    write_run(tmp_path, {"train": {"patch": 40, "batch": 4, "processes": 4}})
    spread = ["--set-resources", "train:mpi='srun'", "train:tasks=4"]
    done = snakemake(tmp_path, "--dry-run", "-p", "--configfile", "config.yaml", *spread)
    assert "srun --ntasks=4 python -m snakeseg train " in done.stdout
    alone = snakemake(tmp_path, "--dry-run", "-p", "--configfile", "config.yaml")
    assert "python -m snakeseg train " in alone.stdout
    assert "ntasks" not in alone.stdout


def test_the_learning_rate_test_runs_only_on_request(snakemake, write_run, tmp_path):
    write_run(tmp_path)
    options = ["--dry-run", "-p", "--configfile", "config.yaml"]
    assert "learning_rate" not in jobs(snakemake(tmp_path, *options))
    done = snakemake(tmp_path, "results/small/models/plain/fold-0/learning-rate.png", *options)
    planned = jobs(done)
    assert planned["learning_rate"] == 1
    assert "train" not in planned
    assert "--output results/small/models/plain/fold-0/learning-rate.png" in done.stdout


def test_models_are_exported_only_on_request(snakemake, write_run, tmp_path):
    """Each fold and format is one job, which needs the fold's scores and object parameters."""
    cite = ["Ronneberger et al. 2015, doi 10.1007/978-3-319-24574-4_28"]
    write_run(tmp_path, {"folds": 2, "export": {"licence": "MIT", "cite": cite}})
    options = ["--dry-run", "-p", "--configfile", "config.yaml"]
    assert "pack" not in jobs(snakemake(tmp_path, *options))
    done = snakemake(tmp_path, "export", *options)
    planned = jobs(done)
    assert planned["pack"] == 2 * 2 * 4
    assert planned["tune"] == 2
    assert planned["evaluate"] == 4
    assert "report" not in planned
    assert '"licence": "MIT"' in done.stdout
    package = "results/small/export/online/fold-1.onnx.zip"
    done = snakemake(tmp_path, package, *options)
    assert jobs(done)["pack"] == 1
    call = next(line for line in done.stdout.splitlines() if "-m snakeseg export" in line)
    assert "--scores results/small/evaluation/validation/online/fold-1" in done.stdout
    assert "export results/small/models/online/fold-1 --format onnx" in call
    write_run(tmp_path, {"export": {"cite": ["by heart"]}})
    assert "config.export.cite.0: found 'by heart' does not match" in snakemake(tmp_path, *options).stdout


def test_classes_keep_their_order_up_to_the_report(snakemake, write_run, tmp_path):
    """The first class is the background."""
    write_run(tmp_path)
    with open(tmp_path / "config.yaml", "a", encoding="utf-8") as config:
        config.write("labels: {kind: semantic, values: {water: 0, ice: 1}}\n")
    done = snakemake(tmp_path, "--dry-run", "-p", "--configfile", "config.yaml")
    calls = [line for line in done.stdout.splitlines() if "-m snakeseg" in line and '"labels"' in line]
    assert any("snakeseg report" in call for call in calls)
    assert all('"values": {"water": 0, "ice": 1}' in call for call in calls)


def test_folds_and_experiments_are_wildcards(snakemake, write_run, tmp_path):
    write_run(tmp_path, {"folds": 3, "experiments": {"a": {}, "b": {"network": {"width": 8}}}})
    planned = jobs(snakemake(tmp_path, "--dry-run", "--configfile", "config.yaml"))
    assert (planned["train"], planned["tune"], planned["prepare"]) == (6, 2, 1)


def test_seeds_repeat_experiments_and_their_starts(snakemake, write_run, tmp_path):
    experiments = {"a": {}, "b": {"start_from": "a"}}
    write_run(tmp_path, {"seeds": [0, 7], "experiments": experiments})
    done = snakemake(tmp_path, "--dry-run", "--configfile", "config.yaml")
    assert jobs(done)["train"] == 4
    block = done.stdout.split("results/small/models/b.seed-7/fold-0/history.tsv")[0].rsplit("rule train", 1)[1]
    assert "models/a.seed-7/fold-0/model.safetensors" in block
    assert '"seed": 7' in snakemake(tmp_path, "--dry-run", "-p", "--configfile", "config.yaml").stdout


def test_a_dry_run_prints_the_hours_at_stake(snakemake, write_run, tmp_path):
    """The hours are those in the benchmark files of planned jobs; without files there is no message."""
    write_run(tmp_path)
    options = ["--dry-run", "--configfile", "config.yaml"]
    assert "At stake" not in snakemake(tmp_path, *options).stdout
    for name, seconds in (("train/plain/fold-0", 36000), ("train/online/fold-0", 7200), ("check", 1800)):
        path = tmp_path / "benchmarks" / "small" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t-\t1\n", encoding="utf-8")
    output = snakemake(tmp_path, *options).stdout
    assert (
        output.count("At stake: 3 of these jobs were done before, in 12 GPU hours and 0.5 hours without a GPU; ") == 1
    )
    assert "the longest: train plain 0 (10 h), train online 0 (2 h), check (0.5 h). The reasons above say why" in output
    assert "in 0 GPU hours and 12.5 hours without a GPU" in snakemake(tmp_path, *options, "--resources", "gpu=0").stdout


def test_snakemake_lint_passes(snakemake, repository):
    done = snakemake(repository, "--lint")
    assert done.returncode == 0, done.stdout


def test_every_rule_has_a_log_a_benchmark_and_one_call(repository):
    for path in (repository / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^\s*rule ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            assert "log:" in rule, rule
            assert "benchmark:" in rule, rule
            assert rule.count("python -m snakeseg ") == 1, rule


def test_configs_of_the_readme_are_valid(repository, snakemake, tmp_path):
    """The config of own data and the comparison of networks are valid as they stand."""
    text = (repository / "README.md").read_text(encoding="utf-8")
    config, compared = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    Path(tmp_path, config["sheet"]).parent.mkdir(parents=True, exist_ok=True)
    rows = [["sample", "image", "label"], *([f"a{i}", f"a{i}.tif", f"l{i}.tif"] for i in range(6))]
    Path(tmp_path, config["sheet"]).write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert jobs(snakemake(tmp_path, "--dry-run", "--configfile", "own.yaml"))["train"] == 1
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config | compared), encoding="utf-8")
    assert jobs(snakemake(tmp_path, "--dry-run", "--configfile", "own.yaml"))["train"] == 4
