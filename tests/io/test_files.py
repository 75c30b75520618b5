"""Outputs are complete or absent."""

import re
import secrets

import pytest

from snakeseg.cli import main
from snakeseg.errors import BadInput
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
        with atomic_folder(folder, "a") as beside:
            (beside / "b").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert [p.name for p in folder.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_new_folder_takes_the_place_of_one_of_its_kind(tmp_path):
    for name in ("a", "b"):
        with atomic_folder(tmp_path / "out", "mark") as beside:
            (beside / name).touch()
            (beside / "mark").touch()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["b", "mark"]


@pytest.mark.parametrize("mark", [None, "mark"])
def test_a_folder_of_other_files_is_never_replaced(mark, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").touch()
    with pytest.raises(BadInput, match="found a folder with other files in it"), atomic_folder(tmp_path / "out", mark):
        pass
    assert (tmp_path / "out" / "precious").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


@pytest.mark.parametrize(
    "command",
    [
        ["simulate", "--settings", '{"simulate": {"images": 1, "size": 16}}'],
        ["evaluate", "--sheet", "s.tsv", "--experiment", "a", "--predictions", "p"],
    ],
    ids=lambda command: command[0],
)
def test_commands_replace_no_folder_of_others(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.tsv").write_text("sample\timage\tsubset\na\ta.tif\ttest\n", encoding="utf-8")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").touch()
    assert main([*command, "--output", "mine"]) == 1
    assert (
        "mine: found a folder with other files in it; expected nothing, or an empty folder" in capsys.readouterr().err
    )
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["precious"]


@pytest.mark.parametrize("write", [atomic_file, atomic_folder])
def test_temporary_names_cannot_be_foreseen(write, tmp_path):
    """Existing files and links are neither written to nor followed."""
    names = set()
    for _ in range(3):
        with write(tmp_path / "out.zarr") as beside:
            names.add(beside.name)
            assert beside.parent == tmp_path
            assert not beside.is_symlink()
            (beside / "zarr.json" if write is atomic_folder else beside).write_text("x", encoding="utf-8")
        if write is atomic_folder:
            (tmp_path / "out.zarr" / "zarr.json").unlink()
    assert len(names) == 3
    assert all(re.fullmatch(r"\.part-[0-9a-f]{16}\.out\.zarr", name) for name in names)


def test_a_name_that_lies_there_already_is_not_written_to(tmp_path, monkeypatch):
    """A link in place of the temporary file is not followed."""
    target = tmp_path / "precious"
    target.write_text("content", encoding="utf-8")
    monkeypatch.setattr(secrets, "token_hex", lambda size: "0" * 2 * size)
    (tmp_path / ".part-0000000000000000.out.txt").symlink_to(target)
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "out.txt", "other")
    assert target.read_text(encoding="utf-8") == "content"


def test_what_takes_the_place_of_a_temporary_file_is_not_taken_for_it(tmp_path):
    target = tmp_path / "precious"
    target.write_text("content", encoding="utf-8")

    def write():
        with atomic_file(tmp_path / "out.txt") as beside:
            beside.unlink()
            beside.symlink_to(target)

    with pytest.raises(OSError, match="symbolic link"):
        write()
    assert not (tmp_path / "out.txt").exists()


def test_checksum(tmp_path):
    """The checksum of an empty file is the published SHA-256 of the empty string."""
    (tmp_path / "empty").touch()
    assert checksum(tmp_path / "empty").startswith("e3b0c44298fc1c14")
