"""Facts about images agree with NumPy and do not depend on how the image is divided into blocks."""

import numpy as np
import pytest

from snakeseg.arrays import Lazy
from snakeseg.checks.image_facts import decoded, image_facts

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "image",
    [
        RNG.integers(0, 256, (1, 40, 50)).astype(np.uint8),
        RNG.integers(-3000, 3000, (3, 20, 30)).astype(np.int16),
        RNG.integers(0, 65536, (2, 9, 10, 11)).astype(np.uint16),
    ],
    ids=["uint8", "int16", "uint16"],
)
def test_facts_of_integer_images_equal_numpy(image):
    facts = image_facts(image)
    assert (facts["smallest"], facts["largest"]) == (image.min(), image.max())
    assert facts["darkest"] == (image == image.min()).mean()
    assert facts["brightest"] == (image == image.max()).mean()
    assert facts["levels"] == len(np.unique(image))
    assert facts["constant_channels"] == 0
    for percent in (1, 50, 99):
        assert facts[f"p{percent}"] == np.percentile(image, percent, method="lower")


def test_percentiles_of_floats_are_approximate():
    image = RNG.normal(0, 1e4, (1, 64, 64))
    facts = image_facts(image)
    for percent in (1, 50, 99):
        assert facts[f"p{percent}"] == pytest.approx(np.percentile(image, percent), rel=1 / 64, abs=50)
    assert facts["largest"] == image.max()


def test_constant_channels_are_counted():
    image = RNG.integers(0, 256, (3, 20, 20))
    image[1] = 7
    assert image_facts(image)["constant_channels"] == 1
    constant = image_facts(np.full((1, 5, 5), 4, np.uint8))
    assert (constant["levels"], constant["constant_channels"], constant["brightest"]) == (1, 1, 1.0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("chunks", [(1, 8, 8), (2, 5, 40), (1, 33, 3)])
def test_facts_do_not_depend_on_blocks(dtype, chunks, monkeypatch):
    monkeypatch.setattr("snakeseg.arrays.iterate_blocks.__defaults__", (None, 64))
    image = RNG.integers(0, 200, (2, 33, 40)).astype(dtype)
    whole = image_facts(Lazy(image.shape, image.dtype, lambda region: image[region], image.shape))
    by_blocks = image_facts(Lazy(image.shape, image.dtype, lambda region: image[region], chunks))
    np.testing.assert_allclose(decoded(by_blocks.pop("signature")), decoded(whole.pop("signature")), atol=1e-3)
    assert by_blocks == whole


def test_hash_distinguishes_images():
    """Hashes are equal for equal values of another integer type, and differ for any change of values or shape."""
    image = RNG.integers(0, 256, (1, 12, 10)).astype(np.uint8)
    same = image_facts(image)["pixels"]
    assert image_facts(image.astype(np.int32))["pixels"] == same
    others = [image[:, ::-1], image[:, :, ::-1], image.swapaxes(1, 2), image.reshape(1, 10, 12), image + 1]
    for pixel in np.ndindex(12, 10):
        changed = image.copy()
        changed[0][pixel] ^= 1 << (pixel[0] % 8)
        others.append(changed)
    assert len({image_facts(other)["pixels"] for other in others} | {same}) == len(others) + 1


def test_signature_is_restored_from_text():
    text = image_facts(RNG.normal(size=(1, 64, 64)))["signature"]
    assert np.linalg.norm(decoded(text)) == pytest.approx(1, abs=1e-3)
    assert len(text) < 700
