if config["simulate"]:

    rule simulate:
        output:
            directory(SIMULATED[0]),
        log:
            f"{LOGS}/simulate.log",
        benchmark:
            f"{BENCHMARKS}/simulate.tsv"
        conda:
            ENVIRONMENT
        params:
            settings=settings("simulate", "spatial_dims"),
        shell:
            "python -m snakeseg simulate --settings {params.settings:q} --output {output:q} 2> {log:q}"


rule inspect:
    input:
        SIMULATED,
        sheet=ancient(SHEET),
    output:
        f"{RUN}/checked/{{batch}}.json",
    log:
        f"{LOGS}/inspect/{{batch}}.log",
    benchmark:
        f"{BENCHMARKS}/inspect/{{batch}}.tsv"
    priority: 2
    conda:
        ENVIRONMENT
    threads: ALL_CORES
    resources:
        mem_mb=growing(batch_memory),
    params:
        data=DATA,
        settings=settings("spatial_dims", "labels"),
        digest=batch_digest,
    shell:
        "python -m snakeseg inspect --sheet {input.sheet:q} --data {params.data:q} --batch {wildcards.batch:q}"
        " --settings {params.settings:q} --output {output:q} 2> {log:q}"


rule check:
    input:
        sheet=ancient(SHEET),
        inspected=expand(rules.inspect.output, batch=BATCHES),
    output:
        f"{RUN}/check.tsv",
    log:
        f"{LOGS}/check.log",
    benchmark:
        f"{BENCHMARKS}/check.tsv"
    priority: 1
    conda:
        ENVIRONMENT
    threads: ALL_CORES
    params:
        data=DATA,
        inspected=folder_of("inspected"),
        pretrained=[file_mark(path) for path in PRETRAINED.values()],
        settings=check_settings(),
        trained=len(FOLDS),
    shell:
        "python -m snakeseg check --sheet {input.sheet:q} --data {params.data:q} --inspected {params.inspected:q}"
        " --settings {params.settings:q} --trained {params.trained:q} --output {output:q} 2>&1 | tee {log:q}"


rule statistics:
    input:
        SIMULATED,
        expand(rules.inspect.output, batch=TRAIN_BATCHES),
        sheet=ancient(SHEET),
    output:
        f"{RUN}/statistics/fold-{{fold}}.json",
    log:
        f"{LOGS}/statistics/fold-{{fold}}.log",
    benchmark:
        f"{BENCHMARKS}/statistics/fold-{{fold}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(lambda w: image_memory("")),
    params:
        data=DATA,
        settings=settings("spatial_dims", "prepare", "folds", "validation"),
        digest=training_digest,
    shell:
        "python -m snakeseg statistics --sheet {input.sheet:q} --data {params.data:q} --fold {wildcards.fold:q}"
        " --settings {params.settings:q} --output {output:q} 2> {log:q}"


rule prepare:
    input:
        SIMULATED,
        rules.inspect.output,
        sheet=ancient(SHEET),
        statistics=rules.statistics.output if OF_FOLD else [],
    output:
        f"{RUN}/prepared/{OF_FOLD}{{batch}}.zarr.zip",
    log:
        f"{LOGS}/prepare/{OF_FOLD}{{batch}}.log",
    benchmark:
        f"{BENCHMARKS}/prepare/{OF_FOLD}{{batch}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(batch_memory),
    params:
        data=DATA,
        settings=settings("spatial_dims", "labels", "prepare"),
        digest=batch_digest,
        statistics=lambda w, input: ["--statistics", input.statistics] if input.statistics else [],
    shell:
        "python -m snakeseg prepare --sheet {input.sheet:q} --data {params.data:q} --batch {wildcards.batch:q}"
        " --settings {params.settings:q} {params.statistics:q} --output {output:q} 2> {log:q}"
