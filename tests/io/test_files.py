"""Outputs are written completely or not at all, and never replace files of others."""

import re
import secrets

import pytest

from snakeseg.cli import main
from snakeseg.errors import BadInput
from snakeseg.io.files import atomic_file, atomic_folder, checksum, write_text


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.txt"
    write_text(path, "old")

    def write_half():
        with atomic_file(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_failed_write_leaves_the_old_folder(tmp_path):
    folder = tmp_path / "out"
    with atomic_folder(folder) as temporary:
        (temporary / "a").touch()

    def write_half():
        with atomic_folder(folder, "a") as temporary:
            (temporary / "b").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert [p.name for p in folder.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [folder]


def test_folder_with_the_mark_is_replaced(tmp_path):
    for name in ("a", "b"):
        with atomic_folder(tmp_path / "out", "mark") as temporary:
            (temporary / name).touch()
            (temporary / "mark").touch()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["b", "mark"]


@pytest.mark.parametrize("mark", [None, "mark"])
def test_folder_of_other_files_is_never_replaced(mark, tmp_path):
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
def test_commands_refuse_a_folder_of_other_files(command, tmp_path, monkeypatch, capsys):
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
def test_temporary_names_are_random(write, tmp_path):
    """Every call uses a random name."""
    names = set()
    for _ in range(3):
        with write(tmp_path / "out.zarr") as temporary:
            names.add(temporary.name)
            assert temporary.parent == tmp_path
            assert not temporary.is_symlink()
            (temporary / "zarr.json" if write is atomic_folder else temporary).write_text("x", encoding="utf-8")
        if write is atomic_folder:
            (tmp_path / "out.zarr" / "zarr.json").unlink()
    assert len(names) == 3
    assert all(re.fullmatch(r"\.part-[0-9a-f]{16}\.out\.zarr", name) for name in names)


def test_existing_temporary_name_is_not_overwritten(tmp_path, monkeypatch):
    """A link in place of the temporary file is not followed."""
    target = tmp_path / "precious"
    target.write_text("content", encoding="utf-8")
    monkeypatch.setattr(secrets, "token_hex", lambda size: "0" * 2 * size)
    (tmp_path / ".part-0000000000000000.out.txt").symlink_to(target)
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "out.txt", "other")
    assert target.read_text(encoding="utf-8") == "content"


def test_link_in_place_of_the_temporary_file_is_refused(tmp_path):
    target = tmp_path / "precious"
    target.write_text("content", encoding="utf-8")

    def write():
        with atomic_file(tmp_path / "out.txt") as temporary:
            temporary.unlink()
            temporary.symlink_to(target)

    with pytest.raises(OSError, match="symbolic link"):
        write()
    assert not (tmp_path / "out.txt").exists()


def test_checksum_is_sha_256(tmp_path):
    """The checksum of an empty file is the published SHA-256 of the empty string."""
    (tmp_path / "empty").touch()
    assert checksum(tmp_path / "empty").startswith("e3b0c44298fc1c14")
