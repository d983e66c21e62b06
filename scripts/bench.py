"""Time and weigh projections and training steps on a CPU, beside what they are measured against.

    python scripts/bench.py                    # all parts, about eight minutes on two cores
    python scripts/bench.py products stack     # some of: products, step, memory, stack
    python scripts/bench.py --record           # append the rows to scripts/bench.csv

Every ratio is of medians taken in turns in one process: of a product over its memory floor
(`torch.add(theta_0, x, out=theta)`), of a step over the fused-AdamW step of the same BERT (six
layers of 384, D = 22.7 M, random weights: time does not depend on their values) on the same batch
of 32 x 64 tokens.  Memory is that of a process of its own.

Two libraries that could stand beside these cannot be installed here: intrinsic-dimensionality 0.1
on the package index is empty, fast-hadamard-transform needs a CUDA compiler.
"""

import argparse
import csv
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import idim
from idim import Subspace, kernels
from idim.machine import cores, cpu_name
from idim.projection import PROJECTIONS, Piece

LEDGER = Path(__file__).with_name("bench.csv")
FIELDS = (
    "date", "part", "case", "D", "d", "dtype", "kernels", "ms", "against", "ratio",
    "bytes_per_parameter", "peak_mib", "cpu", "cores", "torch", "idim",
)  # fmt: skip
D, d = 22_713_986, 1000
KINDS = ("fastfood", "orthogonal", "onehot", "sparse")
BATCH = (32, 64)
Row = dict[str, Any]


def main() -> None:
    """Parse, measure, print; append to the ledger if asked to."""
    parts = {"products": products, "step": steps, "memory": memory, "stack": stack}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help="which parts; all by default")
    parser.add_argument(
        "--record", action="store_true", help="append the rows to scripts/bench.csv"
    )
    parser.add_argument("--weigh", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.weigh:
        print(json.dumps(weigh(given.weigh)))
        return
    unknown = [part for part in given.parts if part not in parts]
    if unknown:
        parser.error(f"unknown part {unknown[0]}; known: {', '.join(parts)}")
    here = machine()
    print(", ".join(f"{k} {v}" for k, v in here.items()))
    rows = []
    for name in given.parts or parts:
        for row in parts[name]():
            rows.append({"part": name, **row, **here})
            print(line(rows[-1]), flush=True)
    if given.record:
        record(rows)


def machine() -> Row:
    """Say what measures."""
    return {
        "date": time.strftime("%Y-%m-%d"), "cpu": cpu_name(), "cores": cores(),
        "torch": torch.__version__, "idim": idim.__version__,
    }  # fmt: skip


def line(row: Row) -> str:
    """Lay one row out for a reader."""
    out = f"{row['part']:9} {row['case']:34} {row.get('dtype', ''):9} {row.get('kernels', ''):10}"
    if "ms" in row:
        out += f" {row['ms']:9.2f} ms"
    if "ratio" in row:
        out += f"  {row['ratio']:6.2f} x {row['against']}"
    if "bytes_per_parameter" in row:
        out += (
            f"  {row['bytes_per_parameter']:5.2f} bytes a parameter, peak {row['peak_mib']:.0f} MiB"
        )
    return out


def record(rows: list[Row]) -> None:
    """Append to the ledger."""
    is_new = not LEDGER.exists()
    with LEDGER.open("a", newline="") as f:
        writer: csv.DictWriter[str] = csv.DictWriter(f, FIELDS, restval="")
        if is_new:
            writer.writeheader()
        for row in rows:
            writer.writerow({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})


def in_turns(repeats: int, *calls: Callable[[], object]) -> list[float]:
    """Return the median milliseconds of each call; they take turns, to meet the same noise."""
    taken: list[list[float]] = [[] for _ in calls]
    for repeat in range(repeats + 2):
        for call, into in zip(calls, taken, strict=True):
            started = time.perf_counter()
            call()
            if repeat >= 2:
                into.append(1e3 * (time.perf_counter() - started))
    return [statistics.median(into) for into in taken]


@contextmanager
def forced(name: str) -> Iterator[None]:
    """Make projections use some kernels."""
    os.environ[kernels.VARIABLE] = name
    try:
        yield
    finally:
        del os.environ[kernels.VARIABLE]


def products() -> Iterator[Row]:
    """Projection (theta = theta_0 + P theta_d) and adjoint (P^T gradient) over the memory floor."""
    for dtype in (torch.float32, torch.bfloat16):
        theta_0, x, theta = (torch.randn(D).to(dtype) for _ in range(3))
        theta_d = torch.randn(d)

        def floor(theta_0: Tensor = theta_0, x: Tensor = x, theta: Tensor = theta) -> None:
            torch.add(theta_0, x, out=theta)

        pieces = [Piece(theta, theta_0, 0, 1.0)]
        for name, repeats in (("cpu", 31), ("reference", 5)):
            for kind in KINDS:
                P = PROJECTIONS[kind](D, d, 0)
                calls = {
                    "projection": lambda P=P, pieces=pieces, x=theta_d: P.write(x, pieces),
                    "adjoint": lambda P=P, x=x: P.rmatvec(x),
                }
                for what, call in calls.items():
                    with forced(name):
                        ms, least = in_turns(repeats, call, floor)
                    yield {
                        "case": f"{kind} {what}", "D": D, "d": d, "dtype": name_of(dtype),
                        "kernels": name, "ms": ms, "against": "memory floor", "ratio": ms / least,
                    }  # fmt: skip


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


class Job:
    """One model on one batch: `step()` is a whole training step."""

    def __init__(self, kind: str, copies: int = 2, dtype: str = "float32") -> None:
        from transformers import BertConfig, BertForSequenceClassification

        torch.manual_seed(0)
        config = BertConfig(
            hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
        )
        self.model = BertForSequenceClassification(config).train()
        self.ids = torch.randint(1000, 30_000, BATCH)
        self.labels = torch.randint(0, 2, BATCH[:1])
        self.sub, self.dtype = None, dtype
        self.largest = self.folded = 0  # bytes of a gradient, and of what is folded at once
        for p in self.model.parameters():
            p.register_post_accumulate_grad_hook(self._look)
        if kind == "full":
            trained: Any = self.model.parameters()
        else:
            self.sub = Subspace(self.model, d=d, projection=kind, copies=copies)
            self._rmatvec = self.sub.projection.rmatvec
            self.sub.projection.rmatvec = self._fold  # type: ignore[method-assign]
            trained = self.sub.parameters()
        self.optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0, fused=True)

    def _look(self, parameter: Tensor) -> None:
        gradient = parameter.grad
        if gradient is not None and self.sub is not None:
            values = gradient.coalesce().values() if gradient.is_sparse else gradient
            self.largest = max(self.largest, values.nbytes)

    def _fold(self, v: Tensor, *rows: int) -> Tensor:
        self.folded = max(self.folded, v.nbytes)
        return self._rmatvec(v, *rows)

    def step(self) -> None:
        """Forward, backward, update."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype == "bfloat16"):
            loss = self.model(input_ids=self.ids, labels=self.labels).loss
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


def steps() -> Iterator[Row]:
    """A whole training step over the fused-AdamW step of the same model."""
    cases = [(kind, 2, "float32") for kind in KINDS]
    cases += [("fastfood", 1, "float32"), ("fastfood", 2, "bfloat16")]
    for kind, copies, dtype in cases:
        full, job = Job("full", dtype=dtype), Job(kind, copies, dtype)
        ms, least = in_turns(11, job.step, full.step)
        yield {
            "case": f"{kind} step, copies={copies}", "D": D, "d": d,
            "dtype": dtype, "kernels": "cpu", "ms": ms, "against": "full AdamW step",
            "ratio": ms / least,
        }  # fmt: skip


def memory() -> Iterator[Row]:
    """Bytes of training state a parameter, and a process's peak, each in a process of its own."""
    for case in ("full", "fastfood 2", "fastfood 1"):
        command = [sys.executable, __file__, "--weigh", case]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        yield json.loads(done.stdout)


def weigh(case: str) -> Row:
    """Take three steps; count what lives between them, and the largest of what lives within."""
    kind, _, copies = case.partition(" ")
    job = Job(kind, int(copies or 2))
    for _ in range(3):
        job.step()
    if job.sub is not None:
        job.optimizer.zero_grad(set_to_none=True)
    gc.collect()
    held: dict[int, int] = {}
    for found in gc.get_objects():
        if issubclass(type(found), Tensor) and not found.is_sparse:
            storage = found.untyped_storage()
            held[storage.data_ptr()] = storage.nbytes()
    # autograd's own references are not Python objects: gradients of a full step are its parameters'
    for p in job.model.parameters():
        if p.grad is not None:
            held[p.grad.untyped_storage().data_ptr()] = p.grad.nbytes
    state = sum(held.values()) + job.largest + job.folded
    return {
        "case": "full AdamW" if kind == "full" else f"{kind}, copies={copies}",
        "D": D, "d": d, "dtype": "float32", "kernels": "cpu", "bytes_per_parameter": state / D,
        "peak_mib": peak_mib(),
    }  # fmt: skip


def peak_mib() -> float:
    """Return the most memory this process has had (getrusage would count its parent's too)."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) for x in status if x.startswith("VmHWM")) / 1024


def stack() -> Iterator[Row]:
    """A grid of digits runs as stacks, over the same runs trained one after another."""
    from idim import launch, sweeps
    from idim.config import SweepSpec
    from idim.training.loop import train

    class Quiet:
        def started(self, spec: object) -> None: ...
        def tick(self) -> None: ...
        def ended(self, spec: object, failure: str | None) -> None: ...

    specs = sweeps.plan(SweepSpec(model="digits-mlp", device="cpu", search="grid", seeds=12)).specs
    sample = [replace(s, stacked=False) for s in specs[:: max(1, len(specs) // 24)]]
    list(train(sample[:1], [None]))
    started = time.perf_counter()
    for spec in sample:
        list(train([spec], [None]))
    alone = (time.perf_counter() - started) / len(sample)
    for jobs in (1, cores()):
        with tempfile.TemporaryDirectory() as out:
            started = time.perf_counter()
            with launch.start(jobs) as workers:
                workers.run_all(specs, Path(out), Quiet())
            each = (time.perf_counter() - started) / len(specs)
        yield {
            "case": f"{len(specs)} digits runs, {jobs} job{'s' * (jobs > 1)}", "D": 17_610,
            "dtype": "float32", "kernels": "cpu", "ms": 1e3 * each,
            "against": "one after another", "ratio": each / alone,
        }  # fmt: skip


if __name__ == "__main__":
    main()
