"""StarDist as its own example trains it, for a given time; run by the Python of an environment that has it."""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from csbdeep.utils import normalize
from stardist.models import Config2D, StarDist2D
from tensorflow import keras
from tifffile import imread, imwrite

STEPS = 100  # in an epoch, as in the example
RANDOM = np.random.default_rng(0)


class Clock(keras.callbacks.Callback):
    """Ends training when the time is over, and scales the patience of the rates to the epochs that fit into it."""

    def __init__(self, seconds: float, plateau: keras.callbacks.ReduceLROnPlateau):
        super().__init__()
        self.seconds, self.plateau, self.steps, self.start = seconds, plateau, 0, None

    def on_train_begin(self, logs=None):
        self.start = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if time.monotonic() - self.start > self.seconds:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        passed = time.monotonic() - self.start
        # In the example: 40 of 400 epochs.
        self.plateau.patience = max(1, round(0.1 * self.seconds * (epoch + 1) / passed))


def augment(image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The example's: flips, quarter turns, intensity and a little noise."""
    axes = tuple(RANDOM.permutation(2))
    image, label = image.transpose(axes), label.transpose(axes)
    flipped = tuple(axis for axis in (0, 1) if RANDOM.random() < 0.5)
    image, label = np.flip(image, flipped), np.flip(label, flipped)
    image = image * RANDOM.uniform(0.6, 2) + RANDOM.uniform(-0.2, 0.2)
    return image + 0.02 * RANDOM.uniform() * RANDOM.normal(0, 1, image.shape), label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=Path, help="JSON: lists of image, label (train), image, label (validate); minutes")
    parser.add_argument("output", type=Path)
    given = parser.parse_args()
    job = json.loads(given.job.read_text(encoding="utf-8"))
    keras.utils.set_random_seed(0)  # where StarDist cuts its patches
    images, labels, held_images, held_labels = (
        [imread(path) for path in job[key]] for key in ("images", "labels", "held_images", "held_labels")
    )
    images, held_images = ([normalize(x, 1, 99.8) for x in each] for each in (images, held_images))
    patches = {"train_batch_size": 4, "train_patch_size": (256, 256)}
    config = Config2D(n_rays=32, grid=(2, 2), n_channel_in=1, train_tensorboard=False, **patches)
    model = StarDist2D(config, name="stardist", basedir=str(given.output))
    model.prepare_for_training()
    (plateau,) = (c for c in model.callbacks if isinstance(c, keras.callbacks.ReduceLROnPlateau))
    clock = Clock(60 * job["minutes"], plateau)
    model.callbacks.append(clock)
    model.train(images, labels, (held_images, held_labels), augmenter=augment, epochs=100_000, steps_per_epoch=STEPS)
    print(f"StarDist: {clock.steps} steps in {(time.monotonic() - clock.start) / 60:.1f} minutes", file=sys.stderr)
    model.optimize_thresholds(held_images, held_labels)
    for path, image in zip(job["held_images"], held_images, strict=True):
        imwrite(given.output / Path(path).name, model.predict_instances(image)[0].astype(np.uint16))
    (given.output / "steps.json").write_text(json.dumps(clock.steps), encoding="utf-8")


if __name__ == "__main__":
    main()
