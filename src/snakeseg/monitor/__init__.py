"""Report the state of the jobs of a run, from the logs of Snakemake, of the jobs and of Slurm."""
