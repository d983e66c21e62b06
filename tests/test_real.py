"""Real pretrained weights and real text, where the shared folder lies beside the clone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.mark.parametrize(
    ("model", "task", "D"),
    [("minilm-l3-h384", "sst2", 17_390_594), ("minilm-l6-h384", "mrpc", 22_713_986)],
)
def test_a_pretrained_encoder_takes_its_first_steps(model, task, D, tmp_path):
    weights, rows = SHARED / "models" / model, SHARED / "data" / task
    if not (weights.is_dir() and rows.is_dir()):
        pytest.skip(f"the real data is not here: {weights} and {rows}")
    command = [
        sys.executable, "-m", "idim", "sweep", "--model", str(weights), "--task", task,
        "--data", str(rows), "--d", "100", "--lr", "0.1", "--baseline-lr", "1e-4", "--seeds", "1",
        "--steps", "3", "--train-samples", "64", "--eval-samples", "64", "--max-length", "48",
        "--dtype", "bfloat16", "--out", str(tmp_path), "--json",
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["D"] == D
    assert summary["runs"] == {
        "total": 2,
        "done": 2,
        "failed": 0,
        "diverged": 0,
        "stopped_early": 0,
    }
    assert all(0.3 < p["mean"] < 1 for p in (summary["baseline"], *summary["points"]))
