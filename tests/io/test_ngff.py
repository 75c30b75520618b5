"""OME-Zarr of all versions, from outside and inside: labels, plates, series; metadata decides, not the suffix."""

import json

import numpy as np
import pytest
import zarr

from snakeseg.errors import BadInput
from snakeseg.io.file_names import find_images, image_stem
from snakeseg.io.formats import images_of_folder, label_suffix
from snakeseg.io.images import list_images_in_file, open_image, read, read_label
from snakeseg.prediction.images import label_name
from snakeseg.setup.plan import plan_setup

IMAGE = np.random.default_rng(0).integers(0, 4095, (3, 24, 30)).astype(np.uint16)
FORMATS = {"0.1": 2, "0.2": 2, "0.3": 2, "0.4": 2, "0.5": 3}
TYPES = {"c": "channel", "channel": "channel", "t": "time"}


def set_attributes(group, version="0.4", **attributes):
    group.attrs.update({"ome": {"version": version, **attributes}} if version == "0.5" else attributes)


def fill(group, array, axes, version="0.4"):
    """Write an image into a group, with the metadata of a version of NGFF."""
    made = group.create_array("0", shape=array.shape, dtype=array.dtype, chunks=array.shape)
    made[...] = array
    scale = {"version": version, "datasets": [{"path": "0"}]}
    if version == "0.3":
        scale["axes"] = list(axes)
    elif version in ("0.4", "0.5"):
        scale["axes"] = [{"name": axis, "type": TYPES.get(axis, "space")} for axis in axes]
        sizes = [0.5 if axis in "zyx" else 1.0 for axis in axes]
        scale["datasets"][0]["coordinateTransformations"] = [{"type": "scale", "scale": sizes}]
    set_attributes(group, version, multiscales=[scale])


def new(path, version="0.4"):
    return zarr.open_group(path, mode="w", zarr_format=FORMATS[version])


def write_plate(path, wells, version="0.4", label=None, image=None):
    """Write a plate with numbers of fields by well, of noise or one image, optionally with a label in each field."""
    plate = new(path, version)
    set_attributes(plate, version, plate={"wells": [{"path": well} for well in wells]})
    rng = np.random.default_rng(len(path.name))
    for name, fields in wells.items():
        well = plate.create_group(name)
        set_attributes(well, version, well={"images": [{"path": str(field)} for field in range(fields)]})
        for number in range(fields):
            noise = rng.integers(0, 99, (24, 30)).astype(np.uint8)
            field = well.create_group(str(number))
            fill(field, noise if image is None else image, "yx", version)
            if label is not None:
                fill(field.create_group("labels").create_group("cells"), label, "yx", version)


@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("name", ["a.ome.zarr", "a.zarr", "folder", "a.tif"])
def test_every_version_is_read_whatever_its_name(tmp_path, version, name):
    """Source: shared/cases/inputs/zarr_inside.py. NGFF 0.1 and 0.2 have no axes but five dimensions."""
    array, axes = (IMAGE[None, :, None], "tczyx") if version in ("0.1", "0.2") else (IMAGE, "cyx")
    fill(new(tmp_path / name, version), array, axes, version)
    np.testing.assert_array_equal(read(tmp_path / name, 2).array, IMAGE)
    assert label_suffix(tmp_path / name) == (name[1:] if name.endswith("zarr") else ".zarr")
    assert images_of_folder(tmp_path) == [tmp_path / name]
    assert find_images(str(tmp_path)) == [str(tmp_path / name)]


def test_an_axis_is_recognised_by_its_type(tmp_path):
    fill(new(tmp_path / "a.zarr"), IMAGE, ["channel", "y", "x"])
    np.testing.assert_array_equal(read(tmp_path / "a.zarr", 2).array, IMAGE)
    fill(new(tmp_path / "b.zarr"), IMAGE, ["depth", "y", "x"])
    with pytest.raises(BadInput, match="found an axis 'depth'; expected axes named x, y, z, c and t"):
        open_image(tmp_path / "b.zarr", 3)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_in_an_image_are_read(tmp_path, version):
    """Source: shared/cases/inputs/zarr_inside.py."""
    image = new(tmp_path / "a.ome.zarr", version)
    fill(image, IMAGE, "cyx", version)
    labels = image.create_group("labels")
    set_attributes(labels, version, labels=["cells"])
    fill(labels.create_group("cells"), (IMAGE[0] > 3000).astype(np.uint32), "yx", version)
    for name in ("labels/cells", "labels", "labels/cells/0"):
        np.testing.assert_array_equal(read_label(tmp_path / "a.ome.zarr" / name, 2).array, IMAGE[0] > 3000)
    with pytest.raises(BadInput, match="labels/nuclei: found no such file"):
        read_label(tmp_path / "a.ome.zarr/labels/nuclei", 2)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_array_in_an_image_has_its_axes_and_spacing(tmp_path, version):
    fill(new(tmp_path / "a.ome.zarr", version), IMAGE, "cyx", version)
    raster = read(tmp_path / "a.ome.zarr/0", 2)
    np.testing.assert_array_equal(raster.array, IMAGE)
    assert raster.spacing == (0.5, 0.5)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("listed", [True, False])
def test_series_of_bioformats2raw(tmp_path, version, listed):
    """Source: shared/cases/inputs/zarr_inside.py. One series is the image; of several, each is one."""
    names = ["0", "1"]
    root = new(tmp_path / "a.zarr", version)
    set_attributes(root, version, **{"bioformats2raw.layout": 3})
    fill(root.create_group("0"), IMAGE, "cyx", version)
    assert list_images_in_file(tmp_path / "a.zarr") == [tmp_path / "a.zarr"]
    np.testing.assert_array_equal(read(tmp_path / "a.zarr", 2).array, IMAGE)
    fill(root.create_group("1"), IMAGE[:1], "cyx", version)
    if listed:
        names = ["1", "0"]
        set_attributes(root.create_group("OME"), version, series=names)
    images = list_images_in_file(tmp_path / "a.zarr")
    assert images == [tmp_path / "a.zarr" / name for name in names]
    assert [read(image, 2).array.shape[0] for image in images] == [3 - 2 * int(name) for name in names]
    with pytest.raises(
        BadInput, match=r"found 2 images; expected the path of one of them; name each, such as .*a.zarr/"
    ):
        open_image(tmp_path / "a.zarr", 2)


@pytest.mark.parametrize("name", ["plate.zarr", "plate"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_fields_of_a_plate(tmp_path, name, version):
    write_plate(tmp_path / name, {"A/1": 2, "B/2": 1}, version)
    images = list_images_in_file(tmp_path / name)
    assert images == [tmp_path / name / inner for inner in ("A/1/0", "A/1/1", "B/2/0")]
    assert list_images_in_file(tmp_path / name / "A/1") == images[:2]
    assert [read(image, 2).array.shape for image in images] == [(1, 24, 30)] * 3
    assert [image_stem(image) for image in images] == ["plate-A-1-0", "plate-A-1-1", "plate-B-2-0"]
    assert label_name(images[2]) == "plate-B-2-0.zarr"
    np.testing.assert_array_equal(read(tmp_path / name / "B/2", 2).array, read(images[2], 2).array)


@pytest.mark.parametrize("inner", ["../../other.zarr", "/etc", "A/../..", "A;B", "A\x1b[2J", ""])
def test_metadata_names_no_path_elsewhere(tmp_path, inner):
    plate = new(tmp_path / "plate.zarr")
    plate.attrs["plate"] = {"wells": [{"path": inner}]}
    with pytest.raises(BadInput, match="in its metadata; expected names of folders in it"):
        open_image(tmp_path / "plate.zarr", 2)
    assert list_images_in_file(tmp_path / "plate.zarr") == [tmp_path / "plate.zarr"]


@pytest.mark.parametrize("link", ["A", "A/1", "A/1/0"])
def test_links_out_of_a_plate_are_not_followed(tmp_path, link):
    write_plate(tmp_path / "plate.zarr", {"A/1": 2})
    (tmp_path / "plate.zarr" / link).rename(tmp_path / "elsewhere")
    (tmp_path / "plate.zarr" / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=r"found a link to .*elsewhere.*; expected a file in its own folder"):
        open_image(tmp_path / "plate.zarr", 2)
    assert list_images_in_file(tmp_path / "plate.zarr") == [tmp_path / "plate.zarr"]


def test_too_many_images_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("snakeseg.io.readers.ngff.MAX_IMAGES", 9)
    new(tmp_path / "a.zarr").attrs["well"] = {"images": [{"path": str(n)} for n in range(10)]}
    with pytest.raises(BadInput, match="found more than 9 images"):
        open_image(tmp_path / "a.zarr", 2)


@pytest.mark.parametrize(
    "attributes", [{"plate": 3}, {"well": {"images": [{}]}}, {"labels": [1]}, {"plate": {"wells": [{"path": "Z"}]}}]
)
def test_damaged_metadata_is_one_error(tmp_path, attributes):
    new(tmp_path / "a.zarr").attrs.update(attributes)
    with pytest.raises(BadInput, match="found a damaged file"):
        open_image(tmp_path / "a.zarr", 2)


LABEL = np.zeros((24, 30), np.uint8)
LABEL[4:12, 5:15] = 1


@pytest.mark.parametrize("inside", [True, False], ids=["folder", "plate"])
def test_init_takes_fields_of_plates_with_wells_as_groups(tmp_path, inside):
    wells = {"A/1": 2, "A/2": 2, "B/1": 2}
    write_plate(tmp_path / "plate.zarr", wells, label=LABEL)
    root = tmp_path if inside else tmp_path / "plate.zarr"
    plan = plan_setup(root, None)
    prefix, name = ("plate.zarr/", "plate-") if inside else ("", "")
    fields = [f"{well}/{field}" for well in wells for field in (0, 1)]
    assert plan.sheet["image"].tolist() == [f"{prefix}{field}" for field in fields]
    assert plan.sheet["label"].tolist() == [f"{prefix}{field}/labels/cells" for field in fields]
    assert plan.sheet["group"].tolist() == [f"{name}{well.replace('/', '-')}" for well in wells for _ in (0, 1)]
    assert plan.found.problems == []


def test_init_pairs_plates_of_images_and_labels(tmp_path):
    """Labels may be a plate of their own, or files with the names of the fields."""
    for folder, image in (("images", None), ("labels", LABEL)):
        write_plate(tmp_path / "two" / folder / "plate.zarr", {"A/1": 2, "A/2": 2}, image=image)
    write_plate(tmp_path / "files/images/plate.zarr", {"A/1": 2, "A/2": 2})
    for field in ("A-1-0", "A-1-1", "A-2-0", "A-2-1"):
        (tmp_path / "files/labels").mkdir(exist_ok=True)
        zarr.create_array(tmp_path / f"files/labels/plate-{field}.zarr", data=LABEL)
    for name, label in (("two", "labels/plate.zarr/A/1/0"), ("files", "labels/plate-A-1-0.zarr")):
        sheet = plan_setup(tmp_path / name, None).sheet
        assert sheet["image"].tolist()[0] == "images/plate.zarr/A/1/0"
        assert sheet["label"].tolist()[0] == label
        assert len(sheet) == 4


def test_init_uses_labels_in_images_and_names_further_ones(tmp_path):
    for number in range(3):
        image = new(tmp_path / f"a{number}")
        fill(image, np.roll(IMAGE, number, 1), "cyx")
        fill(image.create_group("labels").create_group("cells"), LABEL, "yx")
        fill(image.create_group("labels/nuclei"), LABEL, "yx")
    plan = plan_setup(tmp_path, None)
    assert plan.sheet["image"].tolist() == ["a0", "a1", "a2"]
    assert plan.sheet["label"].tolist() == [f"a{number}/labels/cells" for number in range(3)]
    (problem,) = plan.found.problems
    assert "found 2 label images: a0/labels/cells, a0/labels/nuclei; expected one (a0/labels/cells is used)" in problem


def test_metadata_that_is_a_link_elsewhere_is_not_read(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "secret.json").write_text(json.dumps({"zarr_format": 2}), encoding="utf-8")
    (tmp_path / "a/.zgroup").symlink_to(tmp_path / "secret.json")
    with pytest.raises(BadInput, match=r"found a link to .*secret.json; expected a file in its own folder"):
        open_image(tmp_path / "a", 2)
