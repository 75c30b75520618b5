"""What jobs ask a cluster for: memory and time, by the sizes of what they work on; nothing else.

Coarse on purpose, and above what was measured: attempts ask for more, and a training goes on where it was cut off.
"""

from collections import Counter
from functools import cache
from math import prod

# Python with torch; with a GPU, its driver and libraries too.
BASE_MB, GPU_MB = 2000, 4000
# Operations a second that may be counted on, of a thread and of a slow GPU.
THREAD_SPEED, GPU_SPEED = 1e10, 2e12
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
    limit = sections["train"].get("cache_gb")
    held = held if limit is None else min(held, limit * 1e9)
    # 120 bytes a pixel of the first level's every channel: what a U-Net keeps for the backward pass, and half as much.
    step = 120 * sections["network"].get("width", 64) * batch_pixels(sections)
    return BASE_MB + int(held / 1e6) + (GPU_MB if gpus(1) else int(step / 1e6))


def training_minutes(wildcards):
    """Minutes of the steps, or the budget, and half an hour."""
    train = EXPERIMENTS[wildcards.experiment]["train"]
    if train.get("minutes"):
        return int(train["minutes"]) + 30
    return 30 + computing_minutes(
        3 * train["steps"] * batch_pixels(EXPERIMENTS[wildcards.experiment]), wildcards.experiment
    )


def predicting_minutes(wildcards):
    """Minutes for all rows by the models of all folds, and half an hour."""
    images = IMAGES_OF[wildcards.batch] if hasattr(wildcards, "batch") else TRAINING_IMAGES
    # Tiles overlap: twice the pixels.
    return 30 + computing_minutes(2 * len(FOLDS) * sum(map(pixels, images)), wildcards.experiment)


def batch_pixels(sections):
    """Grey values that a step of training takes in: patches with what an unpadded network of their depth loses."""
    train, network, dims = sections["train"], sections["network"], config["spatial_dims"]
    patch, batch = (
        most if train[key] == "auto" else train[key]
        for key, most in (("patch", 512 if dims == 2 else 128), ("batch", 1))
    )
    lost = 0 if network.get("padded") else 12 * 2 ** network.get("depth", 4)
    return batch * prod(side + lost for side in (patch if isinstance(patch, list) else [patch] * dims))


def computing_minutes(passed, experiment):
    """Minutes to pass so many grey values forward through a network: about 90 (2D) or 270 operations for each level,
    and each pair of the first level's channels."""
    network = EXPERIMENTS[experiment]["network"]
    levels, width = network.get("depth", 4) + 1, network.get("width", 64)
    operations = passed * levels * width**2 * (90 if config["spatial_dims"] == 2 else 270)
    return int(operations / (GPU_SPEED if gpus(1) else THREAD_SPEED * THREADS) / 60)
