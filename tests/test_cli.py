"""The command line: quick help, clear errors, exit codes."""

import resource
import shutil
import subprocess
import sys

import pytest

from snakeseg.cli import main, parser

LARGE_PACKAGES = ("torch", "numpy", "pandas", "scipy", "monai", "skimage")


def test_help_imports_no_large_package():
    code = f"import sys, snakeseg.cli as c; c.parser(); print([m for m in {LARGE_PACKAGES} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_rule_has_its_subcommand(repository):
    import re

    text = "".join(path.read_text(encoding="utf-8") for path in (repository / "workflow" / "rules").glob("*.smk"))
    used = set(re.findall(r"""(?:python -m snakeseg |command=")([\w-]+)""", text))
    subcommands = set(next(a for a in parser()._actions if a.dest == "command").choices)
    # Commands without a rule: before or after a run, with internet access, started by `predict` or `plan`, or monitors.
    assert used == subcommands - {"init", "convert", "fetch-weights", "calibrate", "status", "doctor", "probe"}


def test_errors_are_lines_not_tracebacks(tmp_path, capsys):
    assert main(["predict", str(tmp_path), "image.png", "-o", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "model.json: found no such file; expected a model folder" in error
    assert "Traceback" not in error


def test_debug_raises_the_exception(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        main(["--debug", "predict", str(tmp_path), "image.png", "-o", str(tmp_path / "out")])


def test_an_unknown_key_of_the_settings_is_an_error(tmp_path, capsys):
    (tmp_path / "s.tsv").write_text("sample\timage\n", encoding="utf-8")
    arguments = ["simulate", "--settings", '{"simulate": {"image": 3}}', "--output", str(tmp_path / "x")]
    assert main(arguments) == 1
    assert "simulate: found unknown key 'image'" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [(["trian"], "train"), (["init", "x", "--layuot", "ctc"], "--layout"), (["init", "x", "--layout", "nams"], "names"),
     (["status", "--wacth"], "--watch")],
)  # fmt: skip
def test_a_misspelled_word_gets_a_suggestion(arguments, suggestion, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert f"; did you mean '{suggestion}'?" in capsys.readouterr().err


def test_help_is_quick():
    """Processor time is measured, since it does not depend on the load of the machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "snakeseg", "--help"], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_commands_options_and_values(capsys, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        main(["--completion", "bash"])
    assert stopped.value.code == 0
    (tmp_path / "complete").write_text(capsys.readouterr().out, encoding="utf-8")
    script = """
        . ./complete
        complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_snakeseg; echo "${COMPREPLY[@]}"; }
        complete_words snakeseg ini
        complete_words snakeseg init --lay
        complete_words snakeseg init --layout c
    """
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["init", "--layout", "ctc"]
