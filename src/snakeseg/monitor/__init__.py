"""What became of a run: read from Snakemake's log, the jobs' logs, Slurm and the benchmark files."""
