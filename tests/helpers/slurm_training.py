"""A training of the small run as a Slurm job, with checks of its state and its end."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import psutil

# One experiment, with enough steps that a test can disturb it.
CHANGES = {
    "experiments": {"plain": {}},
    "train": {"steps": 300, "patch": 40, "optimiser": "adamw", "learning_rate": 0.01, "state_seconds": 0},
}
MODEL = "results/small/models/plain/fold-0"
WEIGHTS = f"{MODEL}/model.safetensors"
# Timeout that is sufficient on a busy machine.
SECONDS = 600


class Training(NamedTuple):
    """The working folder, the Snakemake process, and the bytes of the expected weights."""

    folder: Path
    process: subprocess.Popen
    expected: bytes

    def log_text(self) -> str:
        return (self.folder / "snakemake.log").read_text(encoding="utf-8")

    def require_success(self, resumed: bool = True) -> None:
        """Wait until Snakemake succeeds; check the weights and, if `resumed`, that training continued from a state."""
        assert self.process.wait(SECONDS) == 0, self.log_text()
        assert (self.folder / WEIGHTS).read_bytes() == self.expected
        assert not (self.folder / MODEL / "state").exists()
        if resumed:
            assert "training goes on from step" in (self.folder / "logs/small/train/plain/fold-0.log").read_text(
                encoding="utf-8"
            )

    def status(self, environment: dict[str, str]) -> dict:
        """Return the output of `snakeseg status`."""
        command = [sys.executable, "-m", "snakeseg", "status", "small", "--json"]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        return json.loads(done.stdout)

    def causes(self, environment: dict[str, str]) -> list[str]:
        """Return the causes of failure in `snakeseg status`, also those of earlier attempts."""
        return [cause for case in self.status(environment)["cases"] for cause in (case["cause"], *case["before"])]

    def suspend(self) -> None:
        """Suspend the processes that train."""
        for process in training_processes(self.folder):
            process.suspend()

    def resume(self) -> None:
        for process in training_processes(self.folder):
            process.resume()


def training_processes(folder: Path) -> list[psutil.Process]:
    """Return all processes that run `snakeseg train` in a folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if process.info["cwd"] == str(folder) and process.info["cmdline"][1:4] == ["-m", "snakeseg", "train"]
    ]
