"""Templates of the logs of Snakemake and of Slurm jobs, for tests of `snakeseg status`."""

HEAD = """Assuming unrestricted shared filesystem usage.

SNAKEMAKE
=========
  Date: 2026-11-21 21:05:10
  Host: {host}
  Command: snakemake --workflow-profile profiles/slurm
  Config file(s): [PosixPath('my.yaml')]

Building DAG of jobs...
Using shell: /usr/bin/bash
Provided remote nodes: 100
Job stats:
job         count
--------  -------
train           2
validate        1
report          1
all             1
total           5

Select jobs to execute...
Execute 1 jobs...
"""
STARTED = """[Sat Nov 21 21:05:{second:02d} 2026]
rule train:
    input: samples.tsv, results/mine/prepared/train-0000.zarr.zip
    output: results/mine/models/{name}/fold-0/model.safetensors, results/mine/models/{name}/fold-0/history.tsv
    log: logs/mine/train/{name}/fold-0.log
    jobid: {number}
    benchmark: benchmarks/mine/train/{name}/fold-0.tsv
    reason: Missing output files: results/mine/models/{name}/fold-0/model.safetensors
    wildcards: experiment={name}, fold=0
    threads: 2
    resources: mem_mb=4000, mem_mib=3815, disk_mb=<TBD>, tmpdir=<TBD>, runtime=60, gpu=1, compute_threads=2
"""
SUBMITTED = "Job {number} has been submitted with SLURM jobid {slurm} (log: {log}).\n"
FINISHED = """[Sat Nov 21 21:06:00 2026]
Finished jobid: {number} (Rule: train)
1 of 5 steps (20%) done
"""
# The message contains the log of the Snakemake in the job between bars, which contains another log between bars.
FAILED = """[Sat Nov 21 21:06:00 2026]
Error in rule train:
    message: SLURM-job '{slurm}' failed, SLURM status is: '{status}'. Detailed failure reason unavailable (status \
command is not 'sacct').For further error details see the cluster/cloud log and the log files of the involved rule(s).
    jobid: {number}
    input: samples.tsv, results/mine/prepared/train-0000.zarr.zip
    output: results/mine/models/{name}/fold-0/model.safetensors
    log: logs/mine/train/{name}/fold-0.log, {log} (check log file(s) for error details)
    shell:
        python -m snakeseg train --settings '{{"spatial_dims": 2}}' --output results/mine/models/{name}/fold-0
        (command exited with non-zero exit code)
    external_jobid: {slurm}
Logfile logs/mine/train/{name}/fold-0.log:
================================================================================
training: 10/400, 0:10:00 left loss 0.9
training: 20/400, 0:09:30 left loss 0.8
================================================================================
Logfile {log}:
================================================================================
host: node1
Building DAG of jobs...
[Sat Nov 21 21:05:30 2026]
localrule train:
    log: logs/mine/train/{name}/fold-0.log
    jobid: 0
    resources: mem_mb=4000
{said}
[Sat Nov 21 21:05:59 2026]
Error in rule train:
    message: None
    jobid: 0
    log: logs/mine/train/{name}/fold-0.log (check log file(s) for error details)
Logfile logs/mine/train/{name}/fold-0.log:
================================================================================
training: 20/400, 0:09:30 left loss 0.8
================================================================================
Exiting because a job execution failed. Look above for error messages
================================================================================
"""
AGAIN = "Trying to restart job {number}.\n"
ENDED = """Shutting down, this might take some time.
Exiting because a job execution failed. Look above for error messages
Complete log(s): .snakemake/log/x.snakemake.log
WorkflowError:
At least one job did not complete successfully.
"""
# Lines of slurmstepd in the output of a job, for each cause of its end, with the version of Slurm if known.
SLURMSTEPD = {
    "time limit": [
        "slurmstepd: error: *** JOB 28 ON node1 CANCELLED AT 2024-05-02T10:11:12 DUE TO TIME LIMIT ***",
        "slurmstepd-node1: error: *** STEP 28.0 ON node1 CANCELLED AT 2024-05-02T10:11:12 DUE TO TIME LIMIT ***",
    ],
    "out of memory": [
        "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=28.batch. Some of your processes may have been"
        " killed by the cgroup out-of-memory handler.",  # 22.05 and before
        "slurmstepd: error: Detected 1 oom_kill event in StepId=28.batch. Some of the step tasks have been OOM Killed.",
        "slurmstepd: error: Exceeded job memory limit",
    ],
    "preempted": ["slurmstepd: error: *** JOB 28 ON node1 CANCELLED AT 2024-05-02T10:11:12 DUE TO PREEMPTION ***"],
    "node failure": [
        "slurmstepd: error: *** JOB 28 ON node1 CANCELLED AT 2024-05-02T10:11:12 DUE TO NODE FAILURE, SEE SLURMCTLD LOG"
        " FOR DETAILS ***",
    ],
    "requeued": ["slurmstepd: error: *** JOB 28 ON node1 CANCELLED AT 2024-05-02T10:11:12 DUE TO JOB REQUEUE ***"],
    "cancelled": [
        "slurmstepd: error: *** JOB 28 ON node1 CANCELLED AT 2024-05-02T10:11:12 ***",
        "slurmstepd: error: *** STEP 28.0 ON node1 CANCELLED AT 2024-05-02T10:11:12 DUE to SIGNAL Terminated ***",
        "training stopped by a signal after step 20; run again to continue from there",
    ],
}  # fmt: skip
