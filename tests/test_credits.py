"""What each evaluation row adds to a run's score, from real stores."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_rows import write
from torch import nn

import idim
from idim import sweeps
from idim.config import SweepSpec
from idim.errors import RunFailed
from idim.problems.tasks.jackknife import credits
from idim.store import Damaged, Result, Store
from idim.store.seal import write_tensors
from idim.sweeps import credits_of
from idim.sweeps.outcomes import outcomes, space_of

DIGITS = SweepSpec(
    model="digits-mlp", d=(5,), seeds=2, lr=(0.5,), baseline_lr=(0.01,), steps=20,
    train_samples=300,
)  # fmt: skip
OLDER = Path(__file__).parent / "stores" / "schema1.zip"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("digits")
    sweeps.execute(sweeps.plan(DIGITS), out, jobs=1)
    return out


@pytest.fixture
def out(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "out"))


def read(out):
    """Return what finds the credits of a store's runs, and its runs."""
    store = Store(out)
    sweep = store.sweep()
    ended = outcomes(store, space_of(sweep))
    return credits_of(store, ended, sweep["metric"]), list(ended.values())


def asked(found, outcome):
    return found(outcome.run.measure, outcome.run.lr, outcome.run.seed)


def rows_file(out, outcome):
    return Store(out).run(outcome.run).folder / "rows.safetensors"


def test_their_mean_is_the_stored_score_and_each_is_whether_its_row_is_right(made):
    found, ended = read(made)
    assert len(ended) == 4
    assert {o.run.measure for o in ended} == {None, 5}
    for outcome in ended:
        rows = Store(made).run(outcome.run).rows()
        each = asked(found, outcome)
        assert each.mean() == pytest.approx(outcome.result.score["accuracy"], abs=1e-12)
        assert each.tolist() == (rows["prediction"] == rows["target"]).tolist()
    assert len({len(asked(found, o)) for o in ended}) == 1
    assert len({asked(found, o).tobytes() for o in ended}) > 1


def test_only_the_file_that_is_asked_for_is_read_and_once(out):
    found, (first, second, *others) = read(out)
    for outcome in others:
        rows_file(out, outcome).write_bytes(b"no tensors")
    assert asked(found, first) is not None
    rows_file(out, first).unlink()
    assert asked(found, first) is not None
    with pytest.raises(Damaged, match=r"rows\.safetensors"):
        asked(found, others[0])
    rows_file(out, second).unlink()
    assert asked(found, second) is None


def test_what_did_not_end_with_a_score_has_none(out):
    early = replace(DIGITS, baseline_lr=(0.02,))
    spec = sweeps.plan(early).space.run(None, 0.02, 0, None).early_stop
    found, ended = read(out)
    assert found(None, 0.02, 0) is None
    assert found(7, 0.5, 0) is None
    sweeps.run(sweeps.plan_run(spec), out)
    again, more = read(out)
    assert len(more) == len(ended) + 1
    assert again(None, 0.02, 0) is None


def test_rows_of_another_order_are_refused(out):
    """Their ids hold the fingerprint of the rows: only a fault can bring this about."""
    found, (first, second, *_) = read(out)
    rows = Store(out).run(second.run).rows()
    turned = {name: side.flip(0).contiguous() for name, side in rows.items()}
    write_tensors(rows_file(out, second), turned, "rows", second.run.id)
    assert asked(found, first) is not None
    with pytest.raises(RunFailed, match="scored on different rows"):
        asked(found, second)


def test_a_score_of_no_rows_has_none(tmp_path):
    """The toy and a module store one row, which stands for none; an objective stores nothing."""
    few = {"d": [5], "lr": [0.1], "baseline": 0.5, "seeds": 1}
    toy = SweepSpec(model="toy", steps=2, d=(5,), lr=(0.1,), baseline=0.5, seeds=1)
    sweeps.execute(sweeps.plan(toy), tmp_path / "toy", jobs=1)
    idim.measure(lambda trial: 0.5 + trial.d / 100, D=50, out=tmp_path / "function", **few)
    idim.measure(
        module=lambda: nn.Linear(9, 1),
        loss=lambda net: net(torch.ones(1, 9)).square().mean(),
        evaluate=lambda net: float(net.bias),
        out=tmp_path / "module", steps=2, **few,
    )  # fmt: skip
    for name in ("toy", "function", "module"):
        found, ended = read(tmp_path / name)
        assert isinstance(ended[0].result, Result)
        assert asked(found, ended[0]) is None, name


def test_values_are_kept_as_exactly_as_classes(tmp_path):
    rows = [{"text": f"day {i}", "label": i / 8} for i in range(60)]
    write(tmp_path / "rows" / "train.csv", rows)
    task = tmp_path / "days.toml"
    task.write_text('data = "rows"\ncolumns = ["text"]\nmetric = "pearson"\n')
    few = {"d": (5,), "lr": (0.1,), "baseline": 0.9, "seeds": 1, "steps": 1, "batch_size": 4}
    plan = sweeps.plan(SweepSpec(model="tiny", task=str(task), **few))
    sweeps.execute(plan, tmp_path / "out", jobs=1)
    found, (only,) = read(tmp_path / "out")
    kept = Store(tmp_path / "out").run(only.run).rows()
    sides = kept["prediction"].numpy(), kept["target"].numpy()
    assert plan.metric == "pearson"
    assert np.array_equal(asked(found, only), credits("pearson", *sides))


def test_an_older_version_kept_no_rows_and_a_killed_try_has_none_for_it(tmp_path):
    with zipfile.ZipFile(OLDER) as packed:
        packed.extractall(tmp_path, [n for n in packed.namelist() if n.startswith("digits-did/")])
    out = tmp_path / "digits-did"
    found, ended = read(out)
    assert ended
    assert all(asked(found, outcome) is None for outcome in ended)
    file = rows_file(out, ended[0])
    file.parent.mkdir(parents=True)
    other = {"prediction": torch.tensor([1, 0]), "target": torch.tensor([0, 1])}
    write_tensors(file, other, "rows", ended[0].run.id)
    assert Store(out).run(ended[0].run).rows() is not None
    found, _ = read(out)
    assert asked(found, ended[0]) is None
