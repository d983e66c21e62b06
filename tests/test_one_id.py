"""One id, one result: a spec is run along every path there is, and the bytes are compared."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from hurried import hurried
from makers import make_mrpc, make_tiny_bert
from safetensors.torch import load_file, save_file

from idim import launch
from idim.config import RunSpec, SweepSpec
from idim.launch.worker import run_stack, stacks
from idim.store import Result, Store
from idim.sweeps import execute, plan, plan_run

NET = {"model": "digits-mlp", "train_samples": 300, "steps": 30}
TEXT = {"model": "tiny", "train_samples": 64, "eval_samples": 32, "steps": 12, "batch_size": 8}
SPECS = {
    "stacked subspace": RunSpec(**NET, d=40, lr=0.5),
    "stacked full": RunSpec(**NET, method="full", lr=0.01),
    "said": RunSpec(**NET, d=40, lr=0.5, structure="said"),
    "free head": RunSpec(**NET, d=40, lr=0.5, head="free"),
    "text": RunSpec(**TEXT, d=40, lr=0.1, threads=1),
    "text, one copy": RunSpec(**TEXT, d=40, lr=0.1, threads=1, copies=1),
    "text, two threads": RunSpec(**TEXT, d=40, lr=0.1, threads=2),
    "text full, two threads": RunSpec(**TEXT, method="full", lr=1e-3, threads=2),
}


def content(out: Path, spec: RunSpec) -> dict[str, object]:
    """Return everything that a run leaves which could differ, its duration apart."""
    run = Store(out).run(spec)
    result = run.result()
    assert isinstance(result, Result)
    result = replace(result, seconds=0.0)
    files = ("subspace.safetensors", "rows.safetensors")
    kept = {f: (run.folder / f).read_bytes() for f in files if (run.folder / f).exists()}
    return {"result": result, "metrics": run.last_attempt().metrics(), **kept}


def alone(spec: RunSpec, out: Path) -> None:
    assert run_stack([spec], out) == [None]


def ambient_threads(spec: RunSpec, out: Path) -> None:
    """As where OMP_NUM_THREADS or another library set another number."""
    torch.set_num_threads(1 if torch.get_num_threads() == 2 else 2)
    alone(spec, out)


def in_company(spec: RunSpec, out: Path) -> None:
    """With runs that share its stack, in another order."""
    company = [replace(spec, seed=7), replace(spec, lr=spec.lr / 3), spec, replace(spec, seed=9)]
    for stack in stacks(company, out, 1):
        assert run_stack(stack, out) == [None] * len(stack)


def in_a_pool(spec: RunSpec, out: Path) -> None:
    class Silent:
        def started(self, spec): ...
        def tick(self): ...
        def ended(self, spec, failure):
            assert failure is None

    with launch.start(2) as workers:
        workers.run_all([spec, replace(spec, seed=5)], out, Silent())


def resumed(spec: RunSpec, out: Path) -> None:
    seen = []

    def stop():
        seen.append(1)
        if len(seen) > 1:
            raise KeyboardInterrupt

    with hurried(), pytest.raises(KeyboardInterrupt):
        run_stack([spec], out, stop)
    assert Store(out).run(spec).checkpoint() is not None
    alone(spec, out)


def from_its_first_quarter(spec: RunSpec, out: Path) -> None:
    alone(spec.early_stop, out)
    assert Store(out).run(spec.early_stop).pause() is not None
    alone(spec, out)


PATHS = [ambient_threads, in_company, resumed, from_its_first_quarter]


@pytest.mark.parametrize("name", SPECS)
def test_a_run_has_the_same_bytes_along_every_path(name, tmp_path):
    spec = plan_run(SPECS[name])
    alone(spec, tmp_path / "alone")
    expected = content(tmp_path / "alone", spec)
    for path in PATHS + [in_a_pool] * (name in ("stacked subspace", "text, two threads")):
        out = tmp_path / path.__name__
        path(spec, out)
        assert content(out, spec) == expected, path.__name__


def test_what_decides_bits_is_in_the_id():
    """Threads decide the order of sums in a transformer; so two numbers of them are two runs."""
    one, two = (plan_run(replace(SPECS["text"], threads=n)) for n in (1, 2))
    assert one.id != two.id
    assert plan_run(replace(SPECS["text"], threads=None)).id == one.id


def test_kernels_that_add_in_another_order_are_another_run(monkeypatch):
    subspace, full = (plan_run(SPECS[name]) for name in ("stacked subspace", "stacked full"))
    monkeypatch.setenv("IDIM_KERNELS", "reference")
    other = plan_run(SPECS["stacked subspace"])
    assert other.kernels == "reference"
    assert (other.id == subspace.id) is (subspace.kernels == "reference")
    assert plan_run(SPECS["stacked full"]).id == full.id  # has no P


@pytest.mark.parametrize("apart", [{"structure": "said"}, {"head": "free"}, {"copies": 1}])
def test_sweeps_that_share_a_baseline_share_its_bytes(apart, tmp_path):
    shared = {**NET, "d": (40,), "seeds": 1, "lr": (0.5,), "baseline_lr": (0.01,)}
    plans = [plan(SweepSpec(**shared, **more)) for more in ({}, apart)]
    found = []
    for n, planned in enumerate(plans):
        execute(planned, tmp_path / str(n), jobs=1)
        (full,) = [s for s in planned.specs if s.method == "full"]
        found.append((full.id, content(tmp_path / str(n), full)))
    assert found[0] == found[1]


def test_a_sweep_goes_on_with_the_threads_it_began_with(tmp_path):
    spec = SweepSpec(**TEXT, d=(40,), seeds=1, lr=(0.1,), baseline=0.5)
    first = plan(replace(spec, threads=2), tmp_path)
    execute(first, tmp_path, jobs=1)
    again = plan(spec, tmp_path)
    assert again.spec.threads == 2
    assert [s.id for s in again.specs] == [s.id for s in first.specs]


def test_files_that_change_while_a_sweep_runs_stop_it(tmp_path):
    """Else the numbers of other rows, or of another model, would lie under the id of these."""
    model, rows = make_tiny_bert(tmp_path / "bert"), make_mrpc(tmp_path / "glue")
    words = {"model": str(model), "task": "mrpc", "data": str(rows), "steps": 2, "seeds": 1}
    wanted = plan(SweepSpec(**words, d=(20, 30), lr=(0.1,), baseline_lr=(1e-3,)))
    weights = model / "model.safetensors"
    for path, what in ((next(rows.glob("**/train*")), "rows"), (weights, "model")):
        whole = path.read_bytes()
        out = tmp_path / what

        def spoil(event, path=path, whole=whole):
            if event.kind == "done" and path.read_bytes() == whole:
                if path.suffix == ".safetensors":
                    tensors = load_file(path)
                    save_file({n: t * 0.5 for n, t in tensors.items()}, path, {"format": "pt"})
                else:
                    table = pq.read_table(path)
                    pq.write_table(table.slice(1), path)

        found = execute(wanted, out, jobs=1, progress=spoil)
        assert (found.runs.done, found.runs.failed) == (1, 2)
        said = {r.failure() for r in Store(out).runs()} - {None}
        assert said == {
            f"the files of the {what} were changed after this run was planned; put them back, or "
            "choose another --out"
        }
        path.write_bytes(whole)
        assert execute(wanted, out, jobs=1).runs.done == 3
