"""profiles/cluster-generic, unchanged: stand-ins for the commands of PBS call those of Slurm."""

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
        lselect=1:*) resources=$OPTARG ;;
    esac
done
shift $((OPTIND - 1))
amount() { expr "$resources" : ".*:$1=\\\\([0-9]*\\\\)"; }
exec sbatch --parsable --job-name "$name" --output "$folder%j.log" \\
    --cpus-per-task "$(amount ncpus)" --mem "$(amount mem)" --gpus "$(amount ngpus)" --time "$time" "$@"
""",
    "qdel": '#!/bin/sh\nexec scancel "$@"\n',
}


@pytest.fixture
def pbs(cluster):
    """Write the stand-ins for the commands of PBS beside the commands of Slurm."""
    paths = [cluster.folder / "bin" / name for name in COMMANDS]
    for path in paths:
        path.write_text(COMMANDS[path.name], encoding="utf-8")
        path.chmod(0o755)
    yield
    for path in paths:
        path.unlink()


def test_a_training_through_another_submit_command_gives_the_same_model(
    pbs, local, untrained, submit, cluster, repository
):
    """The job requests the resources that the profile states."""
    options = ["--seconds-between-status-checks", "1"]
    process = submit(untrained, WEIGHTS, *options, profile=repository / "profiles/cluster-generic")
    assert process.wait(SECONDS) == 0, (untrained / "snakemake.log").read_text(encoding="utf-8")
    assert (untrained / WEIGHTS).read_bytes() == (local / WEIGHTS).read_bytes()
    log = (untrained / "snakemake.log").read_text(encoding="utf-8")
    (number,) = re.findall(r"Submitted job \d+ with external jobid '(\d+)'", log)
    job = cluster.run("scontrol", "show", "job", number)
    memory, minutes = (re.search(rf"{name}=(\d+)", log)[1] for name in ("mem_mb", "runtime"))
    assert "JobName=train\n" in job
    assert "TresPerJob=gres:gpu:1" in job
    assert f"MinMemoryNode={memory}M" in job
    assert f"TimeLimit={int(minutes) // 60:02d}:{int(minutes) % 60:02d}:00" in job
