# `snakeseg doctor --submit` runs this alone: one short job that asks for a GPU and tells what it got. No config, no sheet.
include: "rules/shared.smk"
include: "rules/shell.smk"


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
        "python -m snakeseg probe --output {output:q} 2> {log:q}"
