"""profiles/cluster-generic as it stands: PBS's commands are played by Slurm's, as far as the profile uses them."""

import re

import pytest
from slurm_training import SECONDS, WEIGHTS

COMMANDS = {
    "qsub": """#!/bin/sh
while getopts N:j:o:l: option; do
    case $option$OPTARG in
        N*) name=$OPTARG ;;
        o*) folder=$OPTARG ;;
        lwalltime=*) time=${OPTARG#walltime=} ;;
        lselect=1:*) asked=$OPTARG ;;
    esac
done
shift $((OPTIND - 1))
of() { expr "$asked" : ".*:$1=\\\\([0-9]*\\\\)"; }
exec sbatch --parsable --job-name "$name" --output "$folder%j.log" --cpus-per-task "$(of ncpus)" --mem "$(of mem)" \\
    --gpus "$(of ngpus)" --time "$time" "$@"
""",
    "qdel": '#!/bin/sh\nexec scancel "$@"\n',
}


@pytest.fixture
def pbs(cluster):
    """PBS's commands beside Slurm's."""
    paths = [cluster.folder / "bin" / name for name in COMMANDS]
    for path in paths:
        path.write_text(COMMANDS[path.name], encoding="utf-8")
        path.chmod(0o755)
    yield
    for path in paths:
        path.unlink()


def test_a_training_through_another_submit_command(pbs, local, untrained, submit, cluster, repository):
    """The model is the same, and what the job asked for is what the profile says."""
    options = ["--seconds-between-status-checks", "1"]
    process = submit(untrained, WEIGHTS, *options, profile=repository / "profiles/cluster-generic")
    assert process.wait(SECONDS) == 0, (untrained / "snakemake.log").read_text(encoding="utf-8")
    assert (untrained / WEIGHTS).read_bytes() == (local / WEIGHTS).read_bytes()
    log = (untrained / "snakemake.log").read_text(encoding="utf-8")
    (number,) = re.findall(r"Submitted job \d+ with external jobid '(\d+)'", log)
    asked = cluster.run("scontrol", "show", "job", number)
    memory, minutes = (re.search(rf"{name}=(\d+)", log)[1] for name in ("mem_mb", "runtime"))
    assert "JobName=train\n" in asked
    assert "TresPerJob=gres:gpu:1" in asked
    assert f"MinMemoryNode={memory}M" in asked
    assert f"TimeLimit={int(minutes) // 60:02d}:{int(minutes) % 60:02d}:00" in asked
