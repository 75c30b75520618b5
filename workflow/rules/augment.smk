rule augment:
    input:
        rules.prepare.output,
    output:
        f"{RUN}/augmented/{OF_FOLD}{{batch}}.zarr.zip",
    log:
        f"{LOGS}/augment/{OF_FOLD}{{batch}}.log",
    benchmark:
        f"{BENCHMARKS}/augment/{OF_FOLD}{{batch}}.tsv"
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
    output:
        f"{RUN}/weights/{OF_FOLD}{{batch}}.zarr.zip",
    log:
        f"{LOGS}/weigh/{OF_FOLD}{{batch}}.log",
    benchmark:
        f"{BENCHMARKS}/weigh/{OF_FOLD}{{batch}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(batch_memory),
    params:
        settings=settings("labels", "weigh"),
    shell:
        "python -m snakeseg weigh --prepared {input.prepared:q} --augmented {input.augmented:q}"
        " --settings {params.settings:q} --output {output:q} 2> {log:q}"
