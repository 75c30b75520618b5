"""Facts about small label images that are drawn as text."""

import numpy as np
import pytest

from snakeseg.checks.label_facts import BINS_PER_DOUBLING, object_facts, value_facts


def parse_drawing(text):
    """Parse a label image from text: one word per row, one digit per pixel, dots for 0."""
    return np.array([[int(c) if c != "." else 0 for c in line] for line in text.split()])


@pytest.mark.parametrize(
    ("drawing", "expected"),
    [
        ("... ...", {"values": "0", "ids": 0, "gaps": 0, "split": 0, "looks_like": "nothing"}),
        ("11. ...", {"values": "0 1", "ids": 1, "split": 0, "looks_like": "object"}),
        ("11..1 .....", {"ids": 1, "split": 1, "looks_like": "mask"}),
        ("1.1.2 2.1.2", {"values": "0 1 2", "ids": 2, "split": 2, "looks_like": "classes"}),
        ("1.3.5 1.3.5", {"ids": 3, "gaps": 2, "split": 0, "looks_like": "ids"}),
        ("12.3. 12..3 4....", {"ids": 4, "gaps": 0, "split": 0, "looks_like": "ids"}),
        ("11.1 2.34 2.34", {"ids": 4, "split": 1, "split_ids": "1", "looks_like": "ids"}),
    ],
)
def test_label_images_are_classified_by_their_values(drawing, expected):
    """Pixels that touch at a corner belong to one piece."""
    assert value_facts(np.pad(parse_drawing(drawing), 1)).items() >= expected.items()


def test_pieces_at_the_edge_may_join_outside_the_image():
    assert value_facts(parse_drawing("11.1 ...."))["split"] == 0
    assert value_facts(parse_drawing("11.1 ...1 1... ...."))["split"] == 0
    assert value_facts(parse_drawing(".1.. ..1. ...."))["split"] == 0  # the pieces touch at a corner
    assert value_facts(parse_drawing("1.... ...1. ....."))["split"] == 1
    assert value_facts(parse_drawing("11.1 ...."))["looks_like"] == "mask"


def test_image_of_0_and_255_is_a_mask():
    label = parse_drawing("1.1 ... 1..").astype(np.uint8) * 255
    facts = value_facts(label)
    assert (facts["values"], facts["gaps"], facts["looks_like"]) == ("0 255", 254, "mask")


def test_many_values_are_abbreviated():
    facts = value_facts(np.arange(400).reshape(20, 20))
    assert facts["values"] == "0 to 399, 400"
    assert facts["looks_like"] == "ids"


def test_first_split_ids_are_listed():
    facts = value_facts(parse_drawing("9.7.5.3.9.7.5.3.2.4.6.8"))
    assert facts["split"] == 4
    assert facts["split_ids"] == "3 5 7"


def test_holes_are_counted():
    """A bay at the edge of the image is no hole, nor is background between two objects."""
    assert object_facts(parse_drawing("..... .111. .1.1. .111. ....."))["holes"] == 1
    assert object_facts(parse_drawing("1111 1..1 1..1"))["holes"] == 0
    assert object_facts(parse_drawing("1112 1.22 1122"))["holes"] == 0
    assert object_facts(parse_drawing("1.1 111 1.1"))["holes"] == 0
    shell = np.ones((5, 5, 5), int)
    shell[2, 2, 2] = 0
    assert object_facts(shell)["holes"] == 1
    shell[:3, 2, 2] = 0
    assert object_facts(shell)["holes"] == 0


def test_places_of_problems_are_reported():
    """The places are a pixel of the smallest piece of a fragmented id, of the smallest object and of the first hole."""
    assert value_facts(np.pad(parse_drawing("11.1 1... ....  22.."), 1))["split_at"] == "1 4"
    assert value_facts(parse_drawing("12.. 12.."))["split_at"] == ""
    assert object_facts(parse_drawing("..... .111. .1.1. .111. ....."))["hole_at"] == "2 2"
    label = np.zeros((40, 40), int)
    label[:20, :10], label[30:35, 20:30], label[38, 37] = 1, 2, 3
    assert object_facts(label)["speck_at"] == "38 37"


def test_touching_objects_are_counted():
    assert object_facts(parse_drawing("112 ..2 3.."))["touching"] == 2
    assert object_facts(parse_drawing("1.. .2. ..3"))["touching"] == 0
    assert object_facts(np.array([[[1]], [[2]], [[0]], [[3]]]))["touching"] == 2


def test_sizes_are_reported():
    """Objects of 20 x 10, of 10 x 5 and of one pixel, which is 2 % of the median size."""
    label = np.zeros((40, 40), int)
    label[:20, :10], label[30:35, 20:30], label[38, 38] = 1, 2, 3
    facts = object_facts(label)
    assert (facts["objects"], facts["specks"]) == (3, 1)
    assert facts["extent_50"] == 10
    expected = np.zeros(int(BINS_PER_DOUBLING * np.log2(20)) + 1, int)
    expected[[0, int(BINS_PER_DOUBLING * np.log2(10)), -1]] = 1
    assert facts["extents"] == expected.tolist()


def test_objects_cut_off_by_the_edge_are_no_specks():
    """This holds along all axes of images and volumes; an axis of one pixel has no edge."""
    for shape in ((40, 40), (1, 40, 40), (9, 40, 40)):
        label = np.zeros(shape, int)
        first = (0,) * (len(shape) - 2)
        label[..., :20, :10], label[..., 30:, 2:20], label[..., 22:28, :9], label[(*first, 0, 20)] = 1, 2, 3, 4
        assert object_facts(label)["specks"] == 0
        label[(*first, 20, 20)] = 5  # at the edge of a volume with several planes
        assert object_facts(label)["specks"] == (shape[0] != 9)


def test_empty_label_has_no_objects():
    assert object_facts(np.zeros((4, 4), int)) == {"objects": 0, "extents": [], "specks": 0, "holes": 0, "touching": 0}
