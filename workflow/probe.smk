# `snakeseg doctor --submit` runs this alone: one short job that asks for a GPU and tells what it got. No config, no sheet.
from pathlib import Path
from shlex import quote

SOURCE = quote(str(Path(workflow.basedir).resolve().parent / "src"))
shell.prefix(f"set -euo pipefail; export PYTHONPATH={SOURCE}:${{{{PYTHONPATH:-}}}}; ")


container: "snakeseg.sif"


rule probe:
    output:
        ".snakemake/doctor/probe.json",
    log:
        ".snakemake/doctor/probe.log",
    conda:
        "../environment.yml"
    resources:
        gpu=1,
    shell:
        "python -m snakeseg probe --output {output} 2> {log}"
