from shlex import split


rule train:
    input:
        sheet=ancient(SHEET),
        prepared=expand(rules.prepare.output, batch=TRAIN_BATCHES, allow_missing=True),
        augmented=expand(rules.augment.output, batch=TRAIN_BATCHES, allow_missing=True),
        weights=expand(rules.weigh.output, batch=TRAIN_BATCHES, allow_missing=True),
        start=lambda w: expand(
            f"{RUN}/models/{{start}}/fold-{w.fold}/model.safetensors", start=STARTS.get(w.experiment, [])
        ),
    output:
        weights=f"{RUN}/models/{{experiment}}/fold-{{fold}}/model.safetensors",
        description=f"{RUN}/models/{{experiment}}/fold-{{fold}}/model.json",
        history=f"{RUN}/models/{{experiment}}/fold-{{fold}}/history.tsv",
    log:
        f"{LOGS}/train/{{experiment}}/fold-{{fold}}.log",
    benchmark:
        f"{BENCHMARKS}/train/{{experiment}}/fold-{{fold}}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        gpu=lambda w: EXPERIMENTS[w.experiment]["train"]["processes"],
        compute_threads=THREADS,
        compute_gpus=lambda w: gpus(EXPERIMENTS[w.experiment]["train"]["processes"]),
        mem_mb=growing(training_memory),
        runtime=growing(training_minutes),
    params:
        data=DATA,
        prepared=folder_of("prepared"),
        augmented=folder_of("augmented"),
        weights=folder_of("weights"),
        command="train",
        # A profile that distributes the processes over nodes sets the resource mpi to the launcher (srun).
        launch=lambda w, resources: (
            [*split(resources.mpi), f"--ntasks={resources.tasks}"] if resources.get("mpi") else []
        ),
        output=subpath(output.weights, parent=True),
        settings=lambda w: settings(*LEARNED_FROM, experiment=w.experiment),
        digest=training_digest,
        pretrained=lambda w: file_mark(PRETRAINED.get(w.experiment)),
        start=lambda w, input: ["--start", input.start] if input.start else [],
    shell:
        "{params.launch:q} python -m snakeseg {params.command:q} --sheet {input.sheet:q} --data {params.data:q} --fold {wildcards.fold:q}"
        " --prepared {params.prepared:q} --augmented {params.augmented:q} --weights {params.weights:q}"
        " {params.start:q} --settings {params.settings:q} --threads {resources.compute_threads:q} --gpus {resources.compute_gpus:q}"
        " --output {params.output:q} 2>&1 | (trap '' INT TERM USR1; tee {log:q})"


# Not part of a run: request the figure by its path, to choose `train.learning_rate`.
use rule train as learning_rate with:
    output:
        figure=f"{RUN}/models/{{experiment}}/fold-{{fold}}/learning-rate.png",
        table=f"{RUN}/models/{{experiment}}/fold-{{fold}}/learning-rate.tsv",
    log:
        f"{LOGS}/learning-rate/{{experiment}}/fold-{{fold}}.log",
    benchmark:
        f"{BENCHMARKS}/learning-rate/{{experiment}}/fold-{{fold}}.tsv"
    params:
        command="learning-rate",
        launch=[],
        output=subpath(output.figure),


rule measure:
    input:
        f"{RUN}/models/{{experiment}}/fold-{FOLDS[0]}/model.safetensors",
    output:
        f"{RUN}/models/{{experiment}}/measures.json",
    log:
        f"{LOGS}/measure/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/measure/{{experiment}}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        **ON_DEVICE,
    params:
        folder=subpath(input[0], parent=True),
    shell:
        "python -m snakeseg measure --model {params.folder:q} --threads {resources.compute_threads:q}"
        " --gpus {resources.compute_gpus:q} --output {output:q} 2> {log:q}"


rule tune:
    input:
        sheet=ancient(SHEET),
        models=expand(rules.train.output.weights, fold=FOLDS, allow_missing=True),
        stores=expand(
            f"{RUN}/probabilities/validation/{{experiment}}/fold-{{fold}}.zarr.zip", fold=FOLDS, allow_missing=True
        ),
    output:
        expand(f"{RUN}/models/{{experiment}}/fold-{{fold}}/instances.json", fold=FOLDS, allow_missing=True),
    log:
        f"{LOGS}/tune/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/tune/{{experiment}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(lambda w: image_memory("")),
    params:
        data=DATA,
        folders=lambda w, input: [os.path.dirname(path) for path in input.models],
        settings=lambda w: settings("spatial_dims", "labels", "instances", experiment=w.experiment),
    shell:
        "python -m snakeseg tune --sheet {input.sheet:q} --data {params.data:q} --models {params.folders:q}"
        " --stores {input.stores:q} --settings {params.settings:q} 2> {log:q}"
