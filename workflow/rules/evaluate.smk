rule evaluate:
    input:
        sheet=ancient(SHEET),
        predictions=rules.instances.output,
    output:
        directory(f"{RUN}/evaluation/{{kind}}/{{experiment}}/{{part}}"),
    log:
        f"{LOGS}/evaluate/{{kind}}/{{experiment}}/{{part}}.log",
    benchmark:
        f"{TIMES}/evaluate/{{kind}}/{{experiment}}/{{part}}.tsv"
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
        summary=report(
            f"{RUN}/evaluation/summary.tsv",
            caption="../report/summary.rst",
            category="Scores",
            labels={"table": "summary"},
        ),
    log:
        f"{LOGS}/summarise.log",
    benchmark:
        f"{TIMES}/summarise.tsv"
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
        pairs=report(
            f"{RUN}/evaluation/comparison.tsv",
            caption="../report/comparison.rst",
            category="Scores",
            labels={"table": "comparison"},
        ),
        spread=report(
            f"{RUN}/evaluation/spread.tsv",
            caption="../report/spread.rst",
            category="Scores",
            labels={"table": "spread"},
        ),
    log:
        f"{LOGS}/compare.log",
    benchmark:
        f"{TIMES}/compare.tsv"
    conda:
        ENVIRONMENT
    params:
        folder=subpath(output.pairs, parent=True),
    shell:
        "python -m snakeseg compare --images {input:q} --output {params.folder:q} 2> {log:q}"
