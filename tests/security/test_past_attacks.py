"""Attacks that succeeded on an earlier version: executed code, followed links, sets of files, unbounded work."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import yaml
from limits import limits
from planning import run_snakemake

from snakeseg.cli import main
from snakeseg.devices import use_own_compiler_caches
from snakeseg.errors import BadInput
from snakeseg.io.images import open_image
from snakeseg.monitor.snakemake_log import read_session
from snakeseg.monitor.usage import read_usage
from snakeseg.training.state_files import State, lock, remove_states, write_training_state


@pytest.fixture
def plan(tmp_path, monkeypatch, repository, caplog):
    """Return a function that plans a run of a config in an empty folder and returns the errors of Snakemake."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.tsv").write_text(
        "sample\timage\tlabel\n" + "".join(f"a{i}\ta{i}.tif\tb{i}.tif\n" for i in range(6)), encoding="utf-8"
    )

    def run(config: str | dict, *targets: str, profile: str = "default") -> str:
        text = config if isinstance(config, str) else yaml.safe_dump(config)
        Path("c.yaml").write_text(text, encoding="utf-8")
        options = ["--snakefile", repository / "Snakefile", "--dry-run", "--configfile", "c.yaml", "--workflow-profile",
                   repository / "profiles" / profile, "--", *targets]  # fmt: skip
        caplog.clear()
        with limits():
            code = run_snakemake(options)
        errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert bool(code) == bool(errors), errors
        assert "Traceback" not in "".join(errors)
        return "\n".join(errors)

    return run


GOOD = {"name": "run", "sheet": "s.tsv"}


@pytest.mark.parametrize("profile", ["default", "slurm", "cluster-generic"])
@pytest.mark.parametrize("key", ["__use_yte__", r'"\x5f_use_yte__"'])
def test_a_config_is_not_executed(key, profile, plan):
    """Snakemake would evaluate it with YTE before it reads any rule of the workflow."""
    code = "__import__('os').system('touch canary') and 'a' or 's.tsv'"
    errors = plan(f'{key}: true\nname: run\nsheet: "?{code}"\n', profile=profile)
    assert "found __use_yte__, which makes a config a program; expected plain YAML or JSON; remove this key" in errors
    assert not Path("canary").exists()
    assert plan(GOOD, profile=profile) == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experiments": {1: {}}}, "config.experiments: found the key 1, which YAML reads as int"),
        ({"experiments": {None: {}}}, "config.experiments: found the key None"),
        ({"labels": {"kind": "semantic", "values": {True: 0, "b": 1}}}, "config.labels.values: found the key True"),
        ({"folds": 2.0}, "config.folds: found 2.0 is not of type 'integer'"),
        ({"fold": 1.0}, "config.fold: found 1.0"),
        ({"name": "a" * 300}, "config.name: found 'aaa"),
        ({"sheet": "s" * 5000}, "found no such file; expected the sample sheet"),
        (
            {"experiments": {f"a{i}": {"start_from": "x"} for i in range(5000)}},
            "start_from: found 'x'; expected one of a0",
        ),
    ],
    ids=range(8),
)
def test_an_invalid_config_gives_one_line(changes, message, plan):
    assert message in plan(GOOD | changes)


def test_a_model_that_is_a_link_to_itself_is_refused(plan):
    os.symlink("loop", "loop")
    Path("a.tif").touch()
    assert "found no model.json in loop" in plan({"name": "run", "model": "loop", "images": "."})


def test_names_of_images_reach_a_terminal_as_escapes(plan):
    Path("model").mkdir()
    Path("model/model.json").touch()
    Path("images").mkdir()
    Path("images/a\x1b]0;x\x07.lif").touch()
    errors = plan({"name": "run", "model": "model", "images": "images"})
    assert r"a\x1b]0;x\x07.lif" in errors
    assert "\x1b" not in errors


def test_targets_outside_the_run_are_refused(plan):
    assert "fold-9" in plan(GOOD, "results/run/models/default/fold-9/model.safetensors")


def test_links_of_other_users_are_not_followed(plan):
    """Snakemake would empty the target of the link before the job begins."""
    if os.geteuid():
        pytest.skip("only root makes links of other users")
    Path("victim").mkdir()
    Path("results/run").mkdir(parents=True)
    os.symlink(Path("victim").resolve(), "results/run/validation")
    assert plan(GOOD) == ""  # a link of the same user
    os.lchown("results/run/validation", 65534, 65534)
    errors = plan(GOOD)
    assert "validation: found a link of another user; expected a folder, or nothing; remove the link" in errors


def test_a_sheet_with_too_many_columns_is_refused(plan):
    Path("s.tsv").write_text("\t".join(f"c{i}" for i in range(100_000)) + "\n", encoding="utf-8")
    assert "s.tsv: found no table (100000 columns); expected text, its columns" in plan(GOOD)
    with limits():
        assert main(["inspect", "--sheet", "s.tsv", "--output", "out.json"]) == 1


def test_a_state_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "thesis").touch()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "state").symlink_to(tmp_path / "victim")
    with (
        pytest.raises(BadInput, match=r"state: found a link; expected a folder of states"),
        lock(tmp_path / "model", print),
    ):
        pass
    remove_states(tmp_path / "model" / "state")
    assert (tmp_path / "victim" / "thesis").exists()


def test_other_files_beside_states_and_models_stay(tmp_path):
    state = tmp_path / "model" / "state"
    write_training_state(state, "d", State(1, {"a": torch.zeros(1)}))
    (state / "notes.txt").touch()
    (tmp_path / "model" / ".part-x").mkdir()
    (tmp_path / "model" / ".part-notes").touch()
    with lock(tmp_path / "model", print):
        remove_states(state)
    assert [path.name for path in state.iterdir()] == ["notes.txt"]
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [".part-notes", ".part-x", "state"]


def test_a_lock_that_is_a_hard_link_is_refused(tmp_path):
    (tmp_path / "precious").write_text("content", encoding="utf-8")
    os.link(tmp_path / "precious", tmp_path / ".model.lock")
    with pytest.raises(BadInput, match="a lock that is not a file of your own"), lock(tmp_path / "model", print):
        pass
    assert (tmp_path / "precious").read_text(encoding="utf-8") == "content"


def test_caches_of_compilers_are_private(tmp_path, monkeypatch):
    """Compilers unpickle the files in their caches."""
    names = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
    for cache_home, mode in ((tmp_path / "own", 0o700), (tmp_path / "shared", 0o777)):
        for name in names:
            monkeypatch.delenv(name, raising=False)
        folder = cache_home / "snakeseg" / "compilers"
        folder.mkdir(parents=True)
        folder.chmod(mode)
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
        use_own_compiler_caches()
        for name in names:
            assert Path(os.environ[name]).is_relative_to(folder) == (mode == 0o700)
            assert Path(os.environ[name]).parent.stat().st_mode & 0o022 == 0
            monkeypatch.delenv(name)


def test_an_xml_file_is_not_read_as_lif(tmp_path):
    """The LIF reader would take it for a project that names images elsewhere."""
    pytest.importorskip("liffile")
    (tmp_path / "a.lif").write_text('<?xml version="1.0"?><Data><Frame File="../secret.tif"/></Data>', encoding="utf-8")
    with pytest.raises(BadInput, match="no LIF file"):
        open_image(tmp_path / "a.lif", 2)


def write_ndtiff(path: Path) -> None:
    """Write a plane with the header that makes a TIFF part of a set of files (NDTiff 2)."""
    tifffile.imwrite(path, np.zeros((8, 8), np.uint8), metadata=None, extratags=[(51123, 2, 9, '{"a": 1}', True)])
    content = path.read_bytes()
    summary = json.dumps({"MajorVersion": 2}).encode()
    # After the first eight bytes: mark of the version, mark and length of the summary.
    head = struct.pack("<IIII", 483729, 2, 2355492, len(summary)) + summary
    shift = len(head)
    moved = bytearray(
        content[:4] + struct.pack("<I", struct.unpack_from("<I", content, 4)[0] + shift) + head + content[8:]
    )
    offset = struct.unpack_from("<I", moved, 4)[0]
    for index in range(struct.unpack_from("<H", moved, offset)[0]):
        entry = offset + 2 + 12 * index
        code, kind, count, value = struct.unpack_from("<HHII", moved, entry)
        size = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}[kind] * count
        if code == 273 or size > 4:
            struct.pack_into("<I", moved, entry + 8, value + shift)
    path.write_bytes(bytes(moved))


def test_the_index_of_a_set_of_files_is_not_read(tmp_path):
    """The index is a pipe; a read would wait without end."""
    write_ndtiff(tmp_path / "a.tif")
    os.mkfifo(tmp_path / "NDTiff.index")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_ndtiff
    with limits():
        assert open_image(tmp_path / "a.tif", 2).array[:].shape == (1, 8, 8)


def test_pages_of_too_many_sizes_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for side in range(1, 700):
            file.write(np.zeros((1, side), np.uint8), metadata=None)
    with limits(), pytest.raises(BadInput, match="pages of more than 500 sizes"):
        open_image(tmp_path / "a.tif", 2)


def test_status_reads_no_pipes_and_no_oversized_benchmarks(tmp_path):
    os.mkfifo(tmp_path / "pipe.tsv")
    (tmp_path / "zero.tsv").symlink_to("/dev/zero")
    (tmp_path / "wide.tsv").write_text("\t".join(["s"] * 50_000) + "\n" + "1\n" * 100_000, encoding="utf-8")
    with limits():
        assert [read_usage(path) for path in sorted(tmp_path.iterdir())] == [None] * 3


def test_one_job_started_ten_thousand_times_is_one_job():
    block = "[Sat Nov 21 21:05:10 2026]\nrule a:\n    log: logs/mine/a.log\n    jobid: 1\n"
    missing = "Job 1 completed successfully, but some output files are missing.\n"
    with limits():
        session = read_session((block * 10_000 + missing * 5_000).splitlines())
    assert list(session.jobs) == ["1"]
    assert len(session.jobs["1"].failures) == 5_000
