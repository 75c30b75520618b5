# Not part of a run: `snakemake export` packs all models; the path of a package as target packs that one.
rule pack:
    input:
        weights=rules.train.output.weights,
        description=rules.train.output.description,
        parameters=f"{RUN}/models/{{experiment}}/fold-{{fold}}/instances.json",
        scores=f"{RUN}/evaluation/validation/{{experiment}}/fold-{{fold}}",
    output:
        f"{RUN}/export/{{experiment}}/fold-{{fold}}.{{format}}.zip",
    log:
        f"{LOGS}/pack/{{experiment}}/fold-{{fold}}.{{format}}.log",
    benchmark:
        f"{BENCHMARKS}/pack/{{experiment}}/fold-{{fold}}.{{format}}.tsv"
    wildcard_constraints:
        format="|".join(FORMATS),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(lambda w: BASE_MB + GPU_MB),
    params:
        folder=subpath(input.weights, parent=True),
        settings=settings("export"),
    shell:
        "python -m snakeseg export {params.folder:q} --format {wildcards.format:q} --scores {input.scores:q}"
        " --settings {params.settings:q} --output {output:q} 2> {log:q}"
