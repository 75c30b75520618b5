"""Memory and time that jobs request from a cluster, estimated from the sizes of their data.

The estimates are coarse and above measured values. Each attempt requests more, and an interrupted training resumes.
"""

from collections import Counter
from functools import cache

costs = load_shared("networks.costs")
# Memory in MB of Python with torch, and of the GPU's driver and libraries.
BASE_MB, GPU_MB = 2000, 4000
# Operations per second of a thread and of a slow GPU, and requested time as a multiple of the computed one.
THREAD_SPEED, GPU_SPEED, TIME_FACTOR = 1e10, 2e12, 2.5
# Suffixes of compressed files, and the assumed ratio of their pixels to their bytes.
COMPRESSED, COMPRESSION_RATIO = (".png", ".gz", ".zarr"), 4
# Images of each batch and of the training set, computed once for all jobs.
IMAGES_OF = sheet.groupby("batch")["image"].agg(list).to_dict()
TRAINING_IMAGES = sheet["image"][is_training].tolist()
# Number of images in each file that holds several.
IMAGES_IN = Counter(path for cell in sheet["image"] if "#" in cell for path in on_disk(cell))


def growing(request):
    """Return a resource function whose request grows with each attempt."""
    return lambda wildcards, attempt: attempt * request(wildcards)


@cache
def pixels(image):
    """Estimate the number of pixels in an image's files; 0 for a folder, which is read chunk by chunk."""
    if config["simulate"]:
        return config["simulate"]["size"] ** config["spatial_dims"]
    sizes = {path: os.path.getsize(path) for path in filter(os.path.isfile, on_disk(image))}
    held = {path: size * (COMPRESSION_RATIO if path.endswith(COMPRESSED) else 1) for path, size in sizes.items()}
    return sum(size // (IMAGES_IN[path] or 1) for path, size in held.items())


def gpus(wanted):
    """Return the number of GPUs that a command may use: 0 under `--resources gpu=0`, else the wanted number."""
    limit = workflow.global_resources.get("gpu")
    return 0 if limit is not None and limit.value == 0 else wanted


# Resources of a job that runs a network, on a GPU if there is one.
ON_DEVICE = {
    "gpu": 1,
    "compute_threads": THREADS,
    "compute_gpus": gpus(1),
    "mem_mb": growing(lambda wildcards: BASE_MB + GPU_MB),
}


@cache
def largest_image(batch):
    """Return the number of pixels of a batch's largest image; with "" for the batch, of the largest training image."""
    return max(map(pixels, IMAGES_OF[batch] if batch else TRAINING_IMAGES))


def image_memory(batch):
    """Return the MB to process one image of a batch at a time: about ten arrays of eight bytes per pixel."""
    return BASE_MB + int(80 * largest_image(batch) / 1e6)


def batch_memory(wildcards):
    """Return the MB to process the images of a batch, one at a time."""
    return image_memory(wildcards.batch)


def part_memory(wildcards):
    """Return the MB to process the images of a fold or a batch, one at a time."""
    return image_memory("" if wildcards.kind == "validation" else wildcards.part)


def training_memory(wildcards):
    """Return the MB for training images, copies and weight maps and, without a GPU, for a step."""
    sections = EXPERIMENTS[wildcards.experiment]
    data = 9 * (1 + config["augment"]["copies"]) * sum(map(pixels, TRAINING_IMAGES))
    limit = sections["train"]["cache_gb"]
    data = data if limit is None else min(data, limit * 1e9)
    step = costs.step_bytes(config["spatial_dims"], sections["network"], *patch_and_batch(sections["train"]))
    return BASE_MB + int(data / 1e6) + (GPU_MB if gpus(1) else int(step / 1e6))


def training_minutes(wildcards):
    """Return the minutes of the training steps, or the configured minutes, plus 30."""
    sections = EXPERIMENTS[wildcards.experiment]
    train, network = sections["train"], sections["network"]
    if train["minutes"]:
        return int(train["minutes"]) + 30
    step = costs.step_operations(config["spatial_dims"], network, *patch_and_batch(train))
    return 30 + computing_minutes(train["steps"] * step)


def predicting_minutes(wildcards):
    """Return the minutes to predict all rows with the models of all folds, plus 30."""
    images = IMAGES_OF[wildcards.batch] if hasattr(wildcards, "batch") else TRAINING_IMAGES
    network, total = EXPERIMENTS[wildcards.experiment]["network"], sum(map(pixels, images))
    operations = costs.prediction_operations(config["spatial_dims"], network, total)
    return 30 + computing_minutes(len(FOLDS) * operations)


def patch_and_batch(train):
    """Return the sides of a patch and the batch size; for "auto", the largest patch and a batch of one."""
    dims = config["spatial_dims"]
    patch = (512 if dims == 2 else 128) if train["patch"] == "auto" else train["patch"]
    batch = 1 if train["batch"] == "auto" else train["batch"]
    return patch if isinstance(patch, list) else [patch] * dims, batch


def computing_minutes(operations):
    """Return the minutes to request for a number of operations."""
    return int(TIME_FACTOR * operations / (GPU_SPEED if gpus(1) else THREAD_SPEED * THREADS) / 60)
