rule augment:
    input:
        rules.prepare.output,
    output:
        f"{RUN}/augmented/{{batch}}.zarr.zip",
    log:
        f"{LOGS}/augment/{{batch}}.log",
    benchmark:
        f"{BENCHMARKS}/augment/{{batch}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(batch_memory),
    params:
        settings=settings("augment"),
    shell:
        "python -m snakeseg augment --prepared {input:q} --settings {params.settings:q} --output {output:q} 2> {log:q}"


rule weigh:
    input:
        prepared=rules.prepare.output,
        augmented=rules.augment.output,
        statistics=branch(config["weigh"]["classes"] == "balanced", then=rules.statistics.output, otherwise=[]),
    output:
        f"{RUN}/weights/{{batch}}.zarr.zip",
    log:
        f"{LOGS}/weigh/{{batch}}.log",
    benchmark:
        f"{BENCHMARKS}/weigh/{{batch}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(batch_memory),
    params:
        settings=settings("weigh"),
        statistics=lambda w, input: ["--statistics", input.statistics] if input.statistics else [],
    shell:
        "python -m snakeseg weigh --prepared {input.prepared:q} --augmented {input.augmented:q}"
        " --settings {params.settings:q} {params.statistics:q} --output {output:q} 2> {log:q}"
