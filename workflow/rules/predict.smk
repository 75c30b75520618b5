rule validate:
    input:
        sheet=ancient(SHEET),
        weights=rules.train.output.weights,
        description=rules.train.output.description,
    output:
        kept_or_temp(f"{RUN}/probabilities/validation/{{experiment}}/fold-{{fold}}.zarr.zip"),
    log:
        f"{LOGS}/validate/{{experiment}}/fold-{{fold}}.log",
    benchmark:
        f"{TIMES}/validate/{{experiment}}/fold-{{fold}}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        gpu=1,
        compute_threads=THREADS,
    params:
        data=DATA,
        folder=subpath(input.weights, parent=True),
        settings=settings("folds", "validation"),
    shell:
        "python -m snakeseg predict {params.folder} --sheet {input.sheet} --data {params.data} --fold {wildcards.fold}"
        " --settings {params.settings:q} --threads {resources.compute_threads} --gpus {resources.gpu}"
        " --probabilities {output} 2> {log}"


rule predict:
    input:
        SIMULATED,
        rules.inspect.output,
        sheet=ancient(SHEET),
        models=expand(rules.train.output, fold=FOLDS, allow_missing=True),
    output:
        kept_or_temp(f"{RUN}/probabilities/predictions/{{experiment}}/{{batch}}.zarr.zip"),
    log:
        f"{LOGS}/predict/{{experiment}}/{{batch}}.log",
    benchmark:
        f"{TIMES}/predict/{{experiment}}/{{batch}}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        gpu=1,
        compute_threads=THREADS,
    params:
        data=DATA,
        folder=lambda w: f"{RUN}/models/{w.experiment}",
        folds=len(FOLDS),
        digest=lambda w: digests[w.batch],
    shell:
        "python -m snakeseg predict {params.folder} --sheet {input.sheet} --data {params.data}"
        " --batch {wildcards.batch:q} --folds {params.folds} --threads {resources.compute_threads} --gpus {resources.gpu}"
        " --probabilities {output} 2> {log}"


rule instances:
    input:
        sheet=ancient(SHEET),
        probabilities=f"{RUN}/probabilities/{{kind}}/{{experiment}}/{{part}}.zarr.zip",
        parameters=rules.tune.output,
    output:
        directory(f"{RUN}/{{kind}}/{{experiment}}/{{part}}"),
    log:
        f"{LOGS}/instances/{{kind}}/{{experiment}}/{{part}}.log",
    benchmark:
        f"{TIMES}/instances/{{kind}}/{{experiment}}/{{part}}.tsv"
    conda:
        ENVIRONMENT
    params:
        data=DATA,
        folder=lambda w: f"{RUN}/models/{w.experiment}",
    shell:
        "python -m snakeseg instances --sheet {input.sheet} --data {params.data} --model {params.folder}"
        " --probabilities {input.probabilities} --output {output} 2> {log}"
