"""Summaries and what they rest on, made up: no run stands behind them."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from idim.config import SweepSpec
from idim.estimate import Estimate, estimate
from idim.results import Evidence, LeftOut, Protocol, Runs, Search, Source, Summary, parts
from idim.store import Result

GOLDEN = Path(__file__).parent / "golden"
DONE = Result(
    score={"performance": 0.5}, select=None, D=9, trainable=5, steps=12, loss=0.7, seconds=0.1
)
PROTOCOL = Protocol(
    baseline="own full fine-tuning",
    criterion="smallest tested d whose mean accuracy >= 0.9 x baseline",
    selection="learning rate chosen on rows held out from the training set",
    checkpoint="the last step",
    seeds="3; each redraws P, the head or net, data order and dropout",
    training="AdamW, 3 epochs, batch 32",
    lr="1, 4 times lr_full sqrt(D/d)",
    head="inside the subspace, counted in d",
)
SEARCH = Search(strategy="grid", done=True, why="", steps=9, steps_saved=0)
RUNS = Runs(total=18, done=17, failed=1, diverged=0, stopped_early=0)


def made(found: Estimate, **facts: Any) -> Summary:
    """Return the summary of a made-up sweep with this estimate."""
    about: dict[str, Any] = {
        "model": "../bert_tiny", "task": "mrpc", "problem": "task", "metric": "accuracy",
        "D": 5_000_000, "structure": "did", "projection": "fastfood", "norm": "global",
        "head": "subspace", "chance": 0.5, "protocol": PROTOCOL, "held_out": True,
        "search": SEARCH, "runs": RUNS, "seconds": 1.0, "out": Path("out"),
    }  # fmt: skip
    return Summary(**parts(found) | about | facts)


def compare_with_golden(name: str, text: str) -> None:
    """Compare with a kept file; IDIM_GOLDEN=rewrite writes it anew."""
    path = GOLDEN / name
    if os.environ.get("IDIM_GOLDEN") == "rewrite":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def without_runs(summary: Summary, **facts: Any) -> Summary:
    """Return it as it is before any run is done."""
    return replace(summary, **parts(estimate([])) | facts)


EVIDENCE = Evidence(
    setting=SweepSpec(
        model="../bert_tiny", said_groups="module", said_lr=0.01, head_lr=0.001, search="grid",
        baseline_lr=(3e-5, 1e-4),
    ),
    tensors=41,
    model_fingerprint="f" * 16,
    excluded=(
        LeftOut(fate="failed", error="out of memory <|>", d=None, lr=1e-4, seed=1),
        LeftOut(fate="diverged", error="the loss is not a number", d=300, lr=2.0, seed=2),
        LeftOut(fate="diverged", error="the loss is not a number", d=300, lr=2.0, seed=0),
    ),
    sources=(
        Source(
            host="node_7", machine="x86_64", cpus=8, kernels="cpu (fused C, avx2)",
            python="3.12.1", versions={"idim": "0.1.0", "torch": "2.13.0", "numpy": None},
            runs=33, began=("2026-01-02T03:04:05+00:00", "2026-01-03T00:00:00+00:00"),
        ),
    ),
)  # fmt: skip
