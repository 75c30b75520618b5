if config["simulate"]:

    rule simulate:
        output:
            directory(config["data"]),
        log:
            f"{LOGS}/simulate.log",
        conda:
            ENVIRONMENT
        params:
            settings=settings("simulate"),
        shell:
            "python -m snakeseg simulate --settings {params.settings:q} --output {output} 2> {log}"


rule check:
    input:
        SIMULATED,
        sheet=ancient(SHEET),
    output:
        f"{RUN}/check.tsv",
    log:
        f"{LOGS}/check.log",
    conda:
        ENVIRONMENT
    params:
        data=DATA,
        settings=json.dumps(
            {
                **{key: config[key] for key in ("spatial_dims", "labels", "folds", "validation")},
                "networks": [sections["network"] for sections in EXPERIMENTS.values()],
            }
        ),
        digest=everything_digest,
    shell:
        "python -m snakeseg check --sheet {input.sheet} --data {params.data}"
        " --settings {params.settings:q} --output {output} 2> {log}"


rule statistics:
    input:
        SIMULATED,
        sheet=ancient(SHEET),
        checked=ancient(rules.check.output),
    output:
        f"{RUN}/statistics.json",
    log:
        f"{LOGS}/statistics.log",
    conda:
        ENVIRONMENT
    params:
        data=DATA,
        settings=settings("spatial_dims", "labels", "prepare"),
        digest=training_digest,
    shell:
        "python -m snakeseg statistics --sheet {input.sheet} --data {params.data}"
        " --settings {params.settings:q} --output {output} 2> {log}"


rule prepare:
    input:
        SIMULATED,
        sheet=ancient(SHEET),
        checked=ancient(rules.check.output),
        statistics=branch(config["prepare"]["scope"] == "dataset", then=rules.statistics.output, otherwise=[]),
    output:
        f"{RUN}/prepared/{{batch}}.zarr.zip",
    log:
        f"{LOGS}/prepare/{{batch}}.log",
    benchmark:
        f"{TIMES}/prepare/{{batch}}.tsv"
    conda:
        ENVIRONMENT
    params:
        data=DATA,
        settings=settings("spatial_dims", "labels", "prepare"),
        digest=lambda w: train_digests[w.batch],
        statistics=lambda w, input: f"--statistics {input.statistics}" if input.statistics else "",
    shell:
        "python -m snakeseg prepare --sheet {input.sheet} --data {params.data} --batch {wildcards.batch:q}"
        " --settings {params.settings:q} {params.statistics} --output {output} 2> {log}"
