# Not part of a run: `snakemake data_report`, before any training. Unlike `check`, it does not fail on problems.
rule data_report:
    input:
        SIMULATED,
        sheet=ancient(SHEET),
        inspected=expand(rules.inspect.output, batch=BATCHES),
    output:
        page=shown(f"{RUN}/data-report.html", "data", "Data"),
        data=f"{RUN}/data.tsv",
        findings=shown(f"{RUN}/findings.tsv", "findings", "Data"),
    log:
        f"{LOGS}/data-report.log",
    benchmark:
        f"{BENCHMARKS}/data-report.tsv"
    conda:
        ENVIRONMENT
    params:
        data=DATA,
        inspected=folder_of("inspected"),
        name=config["name"],
        folder=subpath(output.page, parent=True),
        settings=check_settings(),
    shell:
        "python -m snakeseg data-report --sheet {input.sheet:q} --data {params.data:q} --inspected {params.inspected:q}"
        " --name {params.name:q} --settings {params.settings:q} --output {params.folder:q} 2> {log:q}"
