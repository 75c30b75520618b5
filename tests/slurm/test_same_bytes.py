"""A whole run through Slurm leaves what a run on this machine leaves."""

import re

from slurm_training import SECONDS

RESULTS = ("evaluation/*.tsv", "models/*/*/model.*", "models/*/*/instances.json", "validation/*/*/*.tif",
           "predictions/*/*/*.tif", "prepared/*", "augmented/*", "weights/*")  # fmt: skip


def test_results_are_byte_identical(local, submit, cluster, snakemake, write_small, tmp_path):
    write_small(tmp_path)
    assert submit(tmp_path).wait(SECONDS) == 0, (tmp_path / "snakemake.log").read_text()
    compared = [path.relative_to(local) for pattern in RESULTS for path in local.glob(f"results/small/{pattern}")]
    assert len(compared) == 14
    for path in compared:
        assert (local / path).read_bytes() == (tmp_path / path).read_bytes(), path
    log = (tmp_path / "snakemake.log").read_text()
    assert asked(cluster, log, "train") == {"gpu", "gres:gpu:1"}
    assert asked(cluster, log, "report") == {"cpu"}
    # prepare, augment and weigh of the one batch are one job.
    assert "group_batch" in log
    assert "Nothing to be done" in snakemake(tmp_path, "--configfile", "config.yaml", "--cores", "1").stdout


def asked(cluster, log: str, rule: str) -> set[str]:
    """Partition and GPUs that the job of a rule asked for."""
    number = re.search(rf"rule_{rule}/.*?(\d+)\.log", log)[1]
    return set(re.findall(r"(?:Partition|TresPer\w+)=(\S+)", cluster.tell("scontrol", "show", "job", number)))
