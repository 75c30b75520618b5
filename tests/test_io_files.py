"""Outputs appear whole or not at all."""

import pytest

from snakeseg.io.files import atomic_file, atomic_folder, checksum, write_text


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.txt"
    write_text(path, "old")

    def write_half():
        with atomic_file(path) as beside:
            beside.write_text("half", encoding="utf-8")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    folder = tmp_path / "out"
    with atomic_folder(folder) as beside:
        (beside / "a").touch()

    def write_half():
        with atomic_folder(folder) as beside:
            (beside / "b").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert [p.name for p in folder.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_new_folder_takes_the_place_of_the_old_one(tmp_path):
    for name in ("a", "b"):
        with atomic_folder(tmp_path / "out") as beside:
            (beside / name).touch()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["b"]


def test_checksum(tmp_path):
    """The digest of the empty string, from the standard."""
    (tmp_path / "empty").touch()
    assert checksum(tmp_path / "empty").startswith("e3b0c44298fc1c14")
