"""Images and labels are paired by their file names; no file is read."""

import pytest

from snakeseg.errors import BadInput, BadInputs
from snakeseg.io.sheet import NAME
from snakeseg.setup.filenames import read_by_names

PAIRS = {
    "suffix": {"a.png": "a_mask.png", "b.png": "b_mask.png"},
    "other suffixes": {"a.tif": "a_label.png", "b.tif": "b-seg.tif", "c.tif": "c.gt.tif", "d.tif": "dLabels.tif"},
    "prefix": {"img_01.png": "mask_01.png", "img_02.png": "mask_02.png"},
    "numbers at once": {"img1.png": "mask1.png", "img2.png": "mask2.png"},
    "siblings": {"images/a.tif": "masks/a.tif", "images/b.tif": "masks/b.tif"},
    "siblings and suffix": {"images/a.tif": "labels/a_label.tif", "images/b.tif": "labels/b_label.tif"},
    "siblings of another format": {"images/a.png": "Ground Truth/a.tif", "images/b.png": "Ground Truth/b.tif"},
    "images beside": {"a.png": "masks/a.png", "b.png": "masks/b.png"},
    "cellpose": {"001_img.png": "001_masks.png", "002_img.png": "002_masks.png"},
    "cellpose of its own": {"a.tif": "a_cp_masks.tif", "b.tif": "b_cp_masks.tif"},
    "parts inside": {"images/train/a.png": "labels/train/a.png", "images/test/a.png": "labels/test/a.png"},
    "stardist": {"train/images/a.tif": "train/masks/a.tif", "test/images/b.tif": "test/masks/b.tif"},
    "parts in one word": {"train_images/a.png": "train_masks/a.png", "val_images/a.png": "val_masks/a.png"},
    "deep": {"x/train/images/p1/a.png": "x/train/masks/p1/a.png", "x/train/images/p2/a.png": "x/train/masks/p2/a.png"},
    "a folder each": {"c1/image.nii.gz": "c1/seg.nii.gz", "c2/image.nii.gz": "c2/seg.nii.gz"},
    "one folder has more": {"images/p1/a.png": "masks/a.png", "images/p1/b.png": "masks/b.png"},
    "longer names": {"images/a.png": "labels/a_final.png", "images/b.png": "labels/b_final.png"},
    "words in names of images": {"raw/seg_1.tif": "labels/seg_1.tif", "raw/seg_2.tif": "labels/seg_2.tif"},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    def make(*names: str):
        for name in names:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "data"

    return make


def pairs_of(layout) -> dict[str, str]:
    return dict(zip(layout.sheet["image"], layout.sheet["label"], strict=True))


@pytest.mark.parametrize("pairs", PAIRS.values(), ids=PAIRS)
def test_images_are_paired_with_their_labels(folder, pairs):
    layout = read_by_names(folder(*pairs, *pairs.values()))
    assert pairs_of(layout) == pairs
    assert layout.sheet["sample"].is_unique
    assert layout.problems == []


def test_names_of_samples_are_ascii(folder):
    """Accents are removed; names that become equal are numbered."""
    for names, samples in (
        (["Größe", "Grüße", "Ångström"], ["Grosse", "Grusse", "Angstrom"]),
        (["图", "画"], None),
        (["a b", "a_b"], ["a-b", "a_b"]),
    ):
        root = folder(*(f"{names[0]}/{kind}/{name}.tif" for name in names for kind in ("images", "masks")))
        layout = read_by_names(root / names[0])
        assert (layout.sheet["label"] != "").all()
        assert layout.sheet["sample"].is_unique
        assert layout.sheet["sample"].str.fullmatch(NAME).all()
        assert samples is None or set(layout.sheet["sample"]) == set(samples)


def test_subsets_are_read_from_folder_names(folder):
    """Unlabelled images are to be predicted; equal names of several parts are made distinct."""
    labelled = [f"{part}/{kind}/0.tif" for part in ("train", "test") for kind in ("images", "masks")]
    layout = read_by_names(folder(*labelled, "train/images/1.tif", "train/masks/1.tif", "test/images/1.tif"))
    assert layout.sheet[["sample", "subset"]].to_numpy().tolist() == [
        ["test-0", "test"], ["test-1", "predict"], ["train-0", "train"], ["train-1", "train"],
    ]  # fmt: skip
    assert layout.validation == []


def test_the_validation_folder_is_held_out(folder):
    names = [
        f"{part}/{kind}/{part[0]}{i}.tif" for part in ("train", "val") for kind in ("images", "masks") for i in "01"
    ]
    layout = read_by_names(folder(*names))
    assert layout.sheet["sample"].tolist() == ["t0", "t1", "val-v0", "val-v1"]
    assert layout.sheet["subset"].unique().tolist() == ["train"]
    assert layout.validation == ["val-*"]


@pytest.mark.parametrize(
    ("stems", "groups"),
    [
        (["p1_s1", "p1_s2", "p2_s1"], ["p1", "p1", "p2"]),
        (["mouse-1_t03", "mouse-1_t04", "mouse-2_t03"], ["mouse_1", "mouse_1", "mouse_2"]),
        (["a_1_2", "a_1_3", "a_2_1"], ["a_1", "a_1", "a_2"]),
        (["section-000", "section-001", "section-002"], ["", "", ""]),
        (["03b9306f44e9", "06350c7cc618", "07fb37aafa66"], ["", "", ""]),
        (["000", "001", "002"], ["", "", ""]),
    ],
)
def test_groups_are_the_names_before_a_number(folder, stems, groups):
    layout = read_by_names(folder(*[f"{kind}/{stem}.png" for kind in ("images", "labels") for stem in stems]))
    assert layout.sheet["group"].tolist() == groups


def test_images_of_a_folder_are_a_group(folder):
    names = [f"{kind}/{place}/{i}.png" for kind in ("images", "labels") for place in ("p1", "p2") for i in "ab"]
    assert read_by_names(folder(*names)).sheet["group"].tolist() == ["p1", "p1", "p2", "p2"]


def test_labels_of_another_subset_are_not_used(folder):
    layout = read_by_names(folder("train/images/1.png", "train/images/2.png", "train/masks/1.png", "test/masks/2.png"))
    assert pairs_of(layout) == {"train/images/1.png": "train/masks/1.png", "train/images/2.png": ""}


def test_all_problems_are_reported(folder):
    root = folder(
        "images/a.png", "images/b.png", "labels/a.png", "labels/other.png", "photos/x.bmp", "photos/y.bmp",
        "images/a_flows.tif", "labels/a_seg.npy",
    )  # fmt: skip
    layout = read_by_names(root)
    assert pairs_of(layout) == {"images/a.png": "labels/a.png", "images/b.png": ""}
    problems = "\n".join(layout.problems)
    assert f"{root}/photos: found 2 files of the format .bmp (x.bmp, y.bmp); expected" in problems
    assert f"{root}/labels: found labels without an image: other.png; expected" in problems
    assert "found files that seem to be neither images nor labels: a_flows.tif; expected" in problems
    assert "found 1 files of the format _seg.npy" in problems or "_seg.npy" not in problems
    assert all("; expected " in line for line in layout.problems)


def test_instances_take_precedence_over_masks(folder):
    """The masks are reported as a problem."""
    names = [f"{kind}/{name}.png" for kind in ("images", "masks", "instances") for name in "ab"]
    layout = read_by_names(folder(*names))
    assert layout.sheet["label"].tolist() == ["instances/a.png", "instances/b.png"]
    assert len(layout.problems) == 1
    assert "masks: found further labels (a.png, b.png), besides those named 'instances'" in layout.problems[0]


def test_one_mask_for_each_object_is_a_problem(folder):
    """The layout of the 2018 Data Science Bowl."""
    root = folder(
        *[f"{n}/{file}.png" for n in ("x1", "y2") for file in (f"images/{n}", "masks/e4", "masks/f7", "masks/g1")]
    )
    problems = read_by_names(root).problems
    assert len(problems) == 1
    assert (
        "found several label files for one image (2 such folders); expected one label file with an id for each object"
        in problems[0]
    )


def test_a_folder_without_images_is_an_error(folder):
    with pytest.raises(BadInput, match=r"found no images \(1 other files\)"):
        read_by_names(folder("notes.txt"))


def test_a_folder_of_other_formats_is_an_error(folder):
    with pytest.raises(
        BadInputs, match=r"found 2 files of the format .bmp \(a.bmp, b.bmp\); expected PNG, TIFF, .*; conv"
    ):
        read_by_names(folder("a.bmp", "b.bmp"))


def test_results_of_runs_and_hidden_files_are_skipped(folder):
    root = folder("a.png", "a_mask.png", "results/x/b.png", ".snakemake/log", "._a.png")
    assert pairs_of(read_by_names(root)) == {"a.png": "a_mask.png"}


def test_circular_links_are_not_followed_without_end(folder):
    root = folder("images/a.png", "labels/a.png")
    (root / "images" / "again").symlink_to(root, target_is_directory=True)
    assert pairs_of(read_by_names(root)) == {"images/a.png": "labels/a.png"}
