import hashlib


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
        f"{BENCHMARKS}/validate/{{experiment}}/fold-{{fold}}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        **ON_DEVICE,
        runtime=growing(predicting_minutes),
    params:
        data=DATA,
        folder=subpath(input.weights, parent=True),
        settings=settings("folds", "validation"),
    shell:
        "python -m snakeseg predict {params.folder:q} --sheet {input.sheet:q} --data {params.data:q} --fold {wildcards.fold:q}"
        " --settings {params.settings:q} --threads {resources.compute_threads:q} --gpus {resources.compute_gpus:q}"
        " --probabilities {output:q} 2> {log:q}"


if IMAGES:

    rule write_sheet:
        output:
            SHEET,
        log:
            f"{LOGS}/sheet.log",
        benchmark:
            f"{BENCHMARKS}/sheet.tsv"
        conda:
            ENVIRONMENT
        params:
            images=config["images"],  # the folder or pattern, since all paths could exceed a command line
            digest=hashlib.sha256("\n".join(IMAGES).encode()).hexdigest()[:16],
        shell:
            "python -m snakeseg sheet {params.images:q} --output {output:q} 2> {log:q}"


# One plan for all parts of an image, so that they have the same tiles on all machines.
rule plan:
    input:
        SIMULATED,
        sheet=SHEET_INPUT,
        models=models,
    output:
        f"{RUN}/plans/{{experiment}}/{{batch}}.json",
    log:
        f"{LOGS}/plan/{{experiment}}/{{batch}}.log",
    benchmark:
        f"{BENCHMARKS}/plan/{{experiment}}/{{batch}}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        **ON_DEVICE,
    params:
        data=DATA,
        folder=model_folder,
        folds=[] if MODEL else ["--folds", *FOLDS],
        digest=batch_digest,
        model=model_mark("model.safetensors", "model.json", "golden.safetensors"),
    shell:
        "python -m snakeseg plan {params.folder:q} --sheet {input.sheet:q} --data {params.data:q} --batch {wildcards.batch:q}"
        " {params.folds:q} --threads {resources.compute_threads:q} --gpus {resources.compute_gpus:q} --output {output:q} > {log:q} 2>&1"


rule infer:
    input:
        SIMULATED,
        [] if MODEL else rules.inspect.output,
        sheet=SHEET_INPUT,
        models=models,
        plan=lambda w: expand(rules.plan.output, **w) if PARTS[w.batch] > 1 else [],
    output:
        kept_or_temp(f"{RUN}/probabilities/predictions/{{experiment}}/{{batch}}/{{share}}.zarr.zip"),
    log:
        f"{LOGS}/infer/{{experiment}}/{{batch}}/{{share}}.log",
    benchmark:
        f"{BENCHMARKS}/infer/{{experiment}}/{{batch}}/{{share}}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        **ON_DEVICE,
        runtime=growing(predicting_minutes),
    params:
        data=DATA,
        folder=model_folder,
        folds=[] if MODEL else ["--folds", *FOLDS],
        part=lambda w: w.share.replace("-of-", "/"),
        plan=lambda w, input: ["--plan", input.plan] if input.plan else [],
        keep=KEEP_FLAGS,
        digest=batch_digest,
        model=model_mark("model.safetensors", "model.json", "golden.safetensors"),
    shell:
        "python -m snakeseg predict {params.folder:q} --sheet {input.sheet:q} --data {params.data:q} --batch {wildcards.batch:q}"
        " --part {params.part:q} {params.folds:q} {params.plan:q} {params.keep:q} --threads {resources.compute_threads:q}"
        " --gpus {resources.compute_gpus:q} --probabilities {output:q} 2> {log:q}"


rule instances:
    input:
        sheet=SHEET_INPUT,
        probabilities=stores,
        parameters=model_files("instances.json") if MODEL else rules.tune.output,
    output:
        directory(f"{RUN}/{{kind}}/{{experiment}}/{{part}}"),
    log:
        f"{LOGS}/instances/{{kind}}/{{experiment}}/{{part}}.log",
    benchmark:
        f"{BENCHMARKS}/instances/{{kind}}/{{experiment}}/{{part}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(part_memory),
    params:
        data=DATA,
        folder=lambda w, input: MODEL or os.path.dirname(input.parameters[0]),
        model=model_mark("model.json", "instances.json"),
        cross_fitted=lambda w: ["--cross-fitted"] if w.kind == "validation" else [],
    shell:
        "python -m snakeseg instances --sheet {input.sheet:q} --data {params.data:q} --model {params.folder:q}"
        " --probabilities {input.probabilities:q} {params.cross_fitted:q} --output {output:q} 2> {log:q}"
