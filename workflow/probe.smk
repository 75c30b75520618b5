# A workflow of its own for `snakeseg doctor --submit`: a short job that requests a GPU and describes its node.
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
