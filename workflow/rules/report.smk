rule report:
    input:
        sheet=ancient(SHEET),
        checked=rules.check.output,
        tables=[*rules.summarise.output, *rules.compare.output],
        models=expand(rules.train.output, experiment=EXPERIMENTS, fold=FOLDS),
        parameters=expand(rules.tune.output, experiment=EXPERIMENTS),
        measures=expand(rules.measure.output, experiment=EXPERIMENTS),
        validation=VALIDATIONS,
        predictions=PREDICTIONS,
        example=[
            expand(output, batch=TRAIN_BATCHES[:1], fold=FOLDS[:1])
            for output in (rules.prepare.output, rules.augment.output, rules.weigh.output)
        ],
    output:
        page=shown(f"{RUN}/report.html", "page", "Report", form="page"),
        summary=shown(f"{RUN}/summary.md", "notes", "Report", form="notes"),
        provenance=f"{RUN}/provenance.json",
        figures=report(
            directory(f"{RUN}/figures"),
            patterns=["{section}/{figure}.png"],
            caption="../report/figure.rst",
            category=lambda w: w.section.capitalize(),
            labels={"figure": "{figure}"},
        ),
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{BENCHMARKS}/report.tsv"
    conda:
        ENVIRONMENT
    params:
        data=DATA,
        run=subpath(output.page, parent=True),
        settings=run_settings(),
    shell:
        "python -m snakeseg report --sheet {input.sheet:q} --data {params.data:q} --run {params.run:q}"
        " --settings {params.settings:q} --output {output.page:q} 2> {log:q}"
