rule evaluate:
    input:
        sheet=ancient(SHEET),
        predictions=rules.instances.output,
    output:
        directory(f"{RUN}/evaluation/{{kind}}/{{experiment}}/{{part}}"),
    log:
        f"{LOGS}/evaluate/{{kind}}/{{experiment}}/{{part}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate/{{kind}}/{{experiment}}/{{part}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(part_memory),
    params:
        data=DATA,
        rows=lambda w: ["--fold", w.part.removeprefix("fold-")] if w.kind == "validation" else ["--batch", w.part],
        settings=lambda w: settings(
            "spatial_dims", "labels", "folds", "validation", "instances", experiment=w.experiment
        ),
    shell:
        "python -m snakeseg evaluate --sheet {input.sheet:q} --data {params.data:q} {params.rows:q}"
        " --experiment {wildcards.experiment:q} --predictions {input.predictions:q}"
        " --settings {params.settings:q} --output {output:q} 2> {log:q}"


rule summarise:
    input:
        sheet=ancient(SHEET),
        tables=[path.replace(RUN, f"{RUN}/evaluation", 1) for path in VALIDATIONS + PREDICTIONS],
    output:
        images=f"{RUN}/evaluation/images.tsv",
        objects=f"{RUN}/evaluation/objects.tsv",
        summary=shown(f"{RUN}/evaluation/summary.tsv", "summary", "Scores", table="summary"),
    log:
        f"{LOGS}/summarise.log",
    benchmark:
        f"{BENCHMARKS}/summarise.tsv"
    conda:
        ENVIRONMENT
    params:
        folder=subpath(output.summary, parent=True),
        experiments=list(EXPERIMENTS),
        folds=FOLDS,
    shell:
        "python -m snakeseg summarise --sheet {input.sheet:q} --tables {params.folder:q} --experiments {params.experiments:q}"
        " --folds {params.folds:q} --output {params.folder:q} 2> {log:q}"


rule compare:
    input:
        rules.summarise.output.images,
    output:
        pairs=shown(f"{RUN}/evaluation/comparison.tsv", "comparison", "Scores", table="comparison"),
        spread=shown(f"{RUN}/evaluation/spread.tsv", "spread", "Scores", table="spread"),
    log:
        f"{LOGS}/compare.log",
    benchmark:
        f"{BENCHMARKS}/compare.tsv"
    conda:
        ENVIRONMENT
    params:
        folder=subpath(output.pairs, parent=True),
    shell:
        "python -m snakeseg compare --images {input:q} --output {params.folder:q} 2> {log:q}"
