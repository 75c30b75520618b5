"""What jobs ask a cluster for: memory and time, by the sizes of what they work on; nothing else.

Coarse on purpose, and above what was measured: attempts ask for more, and a training goes on where it was cut off.
"""

from collections import Counter
from functools import cache

costs = load_shared("networks.costs")
# Python with torch; with a GPU, its driver and libraries too.
BASE_MB, GPU_MB = 2000, 4000
# Operations a second that may be counted on, of a thread and of a slow GPU; and time that is asked for, as a multiple
# of that of the operations.
THREAD_SPEED, GPU_SPEED, SPARE = 1e10, 2e12, 2.5
# Files of these names hold more than they weigh.
COMPRESSED = (".png", ".gz", ".zarr")
# Looked up for every job.
IMAGES_OF = sheet.groupby("batch")["image"].agg(list).to_dict()
TRAINING_IMAGES = sheet["image"][is_training].tolist()
# How many images a file holds, of those that hold several.
IMAGES_IN = Counter(path for cell in sheet["image"] if "#" in cell for path in on_disk(cell))


def growing(request):
    """A resource that grows with every attempt."""
    return lambda wildcards, attempt: attempt * request(wildcards)


@cache
def pixels(image):
    """About how many grey values an image's files hold; none for a folder, which is read piece by piece."""
    if config["simulate"]:
        return config["simulate"]["size"] ** config["spatial_dims"]
    sizes = {path: os.path.getsize(path) for path in filter(os.path.isfile, on_disk(image))}
    held = {path: size * (4 if path.endswith(COMPRESSED) else 1) for path, size in sizes.items()}
    return sum(size // (IMAGES_IN[path] or 1) for path, size in held.items())


def gpus(wanted):
    """GPUs that a command may use: none under `--resources gpu=0`; a profile that asks for them in its own way keeps them."""
    limit = workflow.global_resources.get("gpu")
    return 0 if limit is not None and limit.value == 0 else wanted


# Of a job that runs a network, on a GPU if it is given one.
ON_DEVICE = {
    "gpu": 1,
    "compute_threads": THREADS,
    "compute_gpus": gpus(1),
    "mem_mb": growing(lambda wildcards: BASE_MB + GPU_MB),
}


@cache
def largest_image(batch):
    """Grey values of a batch's largest image; of the largest to train on, without a batch."""
    return max(map(pixels, IMAGES_OF[batch] if batch else TRAINING_IMAGES))


def image_memory(batch):
    """Megabytes to work on one image of a batch at a time: about ten arrays of eight bytes a pixel."""
    return BASE_MB + int(80 * largest_image(batch) / 1e6)


def batch_memory(wildcards):
    return image_memory(wildcards.batch)


def part_memory(wildcards):
    """Of a fold's or a batch's images."""
    return image_memory("" if wildcards.kind == "validation" else wildcards.part)


def training_memory(wildcards):
    """Megabytes for the training images with their copies and weights, and, without a GPU, for a step."""
    sections = EXPERIMENTS[wildcards.experiment]
    held = 9 * (1 + config["augment"]["copies"]) * sum(map(pixels, TRAINING_IMAGES))
    limit = sections["train"]["cache_gb"]
    held = held if limit is None else min(held, limit * 1e9)
    step = costs.step_bytes(config["spatial_dims"], sections["network"], *patch_and_batch(sections["train"]))
    return BASE_MB + int(held / 1e6) + (GPU_MB if gpus(1) else int(step / 1e6))


def training_minutes(wildcards):
    """Minutes of the steps, or the budget, and half an hour."""
    sections = EXPERIMENTS[wildcards.experiment]
    train, network = sections["train"], sections["network"]
    if train["minutes"]:
        return int(train["minutes"]) + 30
    step = costs.step_operations(config["spatial_dims"], network, *patch_and_batch(train))
    return 30 + computing_minutes(train["steps"] * step)


def predicting_minutes(wildcards):
    """Minutes for all rows by the models of all folds, and half an hour."""
    images = IMAGES_OF[wildcards.batch] if hasattr(wildcards, "batch") else TRAINING_IMAGES
    network, grey_values = EXPERIMENTS[wildcards.experiment]["network"], sum(map(pixels, images))
    operations = costs.prediction_operations(config["spatial_dims"], network, grey_values)
    return 30 + computing_minutes(len(FOLDS) * operations)


def patch_and_batch(train):
    """Sides of a patch, and patches a step: the most that may be chosen for a patch of "auto", one for such a batch."""
    dims = config["spatial_dims"]
    patch = (512 if dims == 2 else 128) if train["patch"] == "auto" else train["patch"]
    batch = 1 if train["batch"] == "auto" else train["batch"]
    return patch if isinstance(patch, list) else [patch] * dims, batch


def computing_minutes(operations):
    """Minutes that are asked for so many operations."""
    return int(SPARE * operations / (GPU_SPEED if gpus(1) else THREAD_SPEED * THREADS) / 60)
