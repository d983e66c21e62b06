"""Tasks: the table, which rows a run uses, their fingerprint and their chance level."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_rows import MRPC_LABELS, mrpc_folder, pairs, write

from idim.config import Setup
from idim.errors import IdimError
from idim.problems import kinds, tasks
from idim.problems.tasks import TASKS, Split, TaskData, data, info, load
from idim.problems.tasks.metrics import METRICS

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return mrpc_folder(tmp_path / "my data's")


def mrpc(place: Path, **settings) -> TaskData:
    return load(Setup(task="mrpc", data=str(place), **settings))


def rows_of(split: Split) -> list[tuple]:
    return [
        (*row, target) for row, target in zip(split.inputs, split.targets.tolist(), strict=True)
    ]


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_row_of_the_table_is_consistent(task):
    assert set(task.metrics) <= set(METRICS)
    assert set(task.rows) <= {*task.train, *task.evaluation}
    assert len(set(task.labels)) == len(task.labels) != 1
    assert "f1" not in task.metrics or len(task.labels) == 2
    assert task.kind != "text" or (
        bool(task.hub) != task.is_generated and len(task.columns) in (1, 2)
    )
    assert task == info(task.name)
    hash(task)  # the cache of `load` needs it


def test_an_unknown_task_names_the_nearest_and_the_other_way():
    with pytest.raises(IdimError, match=r"did you mean 'mrpc'.*\.toml file"):
        info("mrcp")


def test_select_is_held_out_of_train_and_nothing_is_lost(folder):
    split, whole = mrpc(folder), mrpc(folder, select="eval")
    assert split.select is not None
    assert whole.select is None
    assert len(split.select) == 32  # the floor: a tenth of 90 is 9
    held, kept = rows_of(split.select), rows_of(split.train)
    assert sorted(held + kept) == sorted(rows_of(whole.train))
    assert rows_of(split.evaluation) == rows_of(whole.evaluation)
    assert split.fingerprint != whole.fingerprint


@settings(deadline=None)
@given(n=st.integers(2, 30_000))
def test_the_held_out_share_keeps_its_bounds(n):
    whole = Split(np.arange(n, dtype=np.float32)[:, None], np.zeros(n, np.int64))
    train, select = tasks._hold_out(info("digits"), whole)
    held = len(select)
    assert held == min(max(n // 10, 32), 2000, n // 2)
    everything = np.concatenate([train.inputs, select.inputs])[:, 0]
    assert np.array_equal(np.sort(everything), np.arange(n))


def test_one_training_row_cannot_be_split(tmp_path):
    for split in ("train", "validation"):
        write(tmp_path / f"{split}.jsonl", pairs(1))
    with pytest.raises(IdimError, match="use --select eval"):
        mrpc(tmp_path)
    assert len(mrpc(tmp_path, select="eval").train) == 1


def test_samples_are_nested_fixed_and_counted_before_the_split(folder):
    few, more = (mrpc(folder, select="eval", train_samples=n) for n in (20, 50))
    assert set(rows_of(few.train)) < set(rows_of(more.train))
    assert rows_of(few.train) == sorted(rows_of(few.train), key=lambda row: int(row[0].split()[-1]))
    both = mrpc(folder, train_samples=50, eval_samples=7)
    assert both.select is not None
    assert (len(both.train), len(both.select), len(both.evaluation)) == (25, 25, 7)
    assert set(rows_of(both.train) + rows_of(both.select)) == set(rows_of(more.train))


def test_asking_for_more_rows_than_there_are_takes_all_and_says_so(folder):
    read = mrpc(folder, train_samples=1000, eval_samples=30)
    assert read.fingerprint == mrpc(folder).fingerprint
    assert "1000 training rows were asked for; there are 90, all used." in read.notes


def test_row_counts_other_than_the_published_are_noted(folder):
    assert any("validation has 30 rows, the published mrpc 408" in n for n in mrpc(folder).notes)


def test_a_class_without_a_training_row_is_noted(folder):
    write(folder / "train.parquet", [row | {"label": 0} for row in pairs(70)], MRPC_LABELS)
    read = mrpc(folder)
    assert "no training row is labelled equivalent." in read.notes
    # F1 is of class 1, whatever the training rows say
    assert read.chance == {"accuracy": pytest.approx(2 / 3), "f1": pytest.approx(0.5)}


def test_chance_is_the_training_majority_scored_on_evaluation(folder):
    chance = mrpc(folder).chance
    # always 1 is right in 10 of 30 rows, and finds all 10
    assert chance == {"accuracy": pytest.approx(20 / 30), "f1": pytest.approx(2 * 10 / (30 + 10))}


def test_the_last_load_is_kept_until_a_file_changes(folder):
    first = mrpc(folder)
    assert mrpc(folder) is first
    write(folder / "validation.parquet", pairs(29, shift=90), MRPC_LABELS)
    assert len(mrpc(folder).evaluation) == 29


words = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), min_size=1, max_size=6)


@settings(deadline=None)
@given(rows=words, place=st.integers(0, 5), other=st.tuples(st.text(max_size=5), st.text()))
def test_the_fingerprint_changes_with_any_row_or_label(rows, place, other):
    place %= len(rows)
    split = Split(rows, np.zeros(len(rows), np.int64))
    relabelled = Split(rows, np.eye(len(rows), dtype=np.int64)[place])
    changed = Split([*rows[:place], other, *rows[place + 1 :]], split.targets)
    task = info("mrpc")
    prints = [data.fingerprint(task, (s, None, split)) for s in (split, relabelled, changed)]
    assert prints[0] != prints[1]
    assert (prints[0] == prints[2]) == (rows[place] == other)


def test_the_fingerprint_tells_splits_labels_and_metrics_apart():
    split, empty = Split([("a", "b")], np.zeros(1, np.int64)), Split([], np.zeros(0, np.int64))
    named = {
        data.fingerprint(info("mrpc"), (split, None, split)),
        data.fingerprint(info("mrpc"), (split, empty, split)),
        data.fingerprint(info("mrpc"), (split, split, empty)),
        data.fingerprint(info("wnli"), (split, None, split)),
        data.fingerprint(info("rte"), (split, None, split)),
    }
    assert len(named) == 5


def test_digits_are_split_by_class_and_always_alike():
    read = load(Setup(task="digits", select="eval"))
    assert read.train.inputs.shape == (1438, 64)
    assert read.evaluation.inputs.shape == (359, 64)
    assert 0 <= read.train.inputs.min() < read.train.inputs.max() == 1.0
    counts = np.bincount(read.evaluation.targets)
    assert counts.min() >= 34
    assert counts.max() <= 37
    # The rows must never change, on no machine and with no version of numpy: results name them.
    assert read.fingerprint == load(Setup(task="digits", select="eval")).fingerprint
    assert read.fingerprint == "9b41edc52c487692"


def test_the_toy_has_no_data_and_nothing_to_select_on():
    problem = kinds.load(Setup(model="toy", task="toy", train_samples=5, eval_samples=5))
    assert problem.select is None
    assert problem.train.inputs.shape == (1, 1)
    assert problem.train.targets.tolist() == [0.0]
    assert (problem.chance, problem.notes) == ({"performance": 0.0}, ())
    assert problem.data_fingerprint == "e4b84513ea1c4067"


# Real data, where it is


def shared(name: str) -> str:
    if not (SHARED / name).is_dir():
        pytest.skip(f"real data is not on this machine: {SHARED / name}")
    return str(SHARED / name)


def test_mrpc_has_its_published_rows_and_majority():
    read = load(Setup(task="mrpc", data=shared("mrpc"), select="eval"))
    assert (len(read.train), len(read.evaluation), read.notes) == (3668, 408, ())
    assert read.chance["accuracy"] == pytest.approx(0.684, abs=5e-4)
    assert read.chance["f1"] == pytest.approx(0.812, abs=5e-4)


def test_sst2_has_its_published_rows():
    read = load(Setup(task="sst2", data=shared("sst2"), train_samples=4000))
    assert read.select is not None
    assert (len(read.train), len(read.select), len(read.evaluation)) == (3600, 400, 872)
    assert read.notes == ()


def test_mnist_has_its_published_shape():
    read = load(Setup(task="mnist", data=shared("mnist"), select="eval"))
    assert read.train.inputs.shape == (60_000, 1, 28, 28)
    assert read.evaluation.inputs.shape == (10_000, 1, 28, 28)
    assert read.notes == ()


def test_cifar10_has_its_published_shape():
    files = dict(tasks.files.find(info("cifar10"), Path(shared("cifar10_jpeg"))).splits)
    assert pq.read_metadata(files["train"][0]).num_rows == 50_000
    test = tasks.vision.images(info("cifar10"), files["test"])  # all of train takes ten seconds
    assert test.inputs.shape == (10_000, 3, 32, 32)
    assert np.bincount(test.targets).tolist() == [1000] * 10


def test_evaluation_rows_that_were_trained_on_are_counted(tmp_path):
    rows = [f'{{"text": "row {i}", "label": {i % 2}}}' for i in range(80)]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    held = [*rows, '{"text": "row 3", "label": 0}', '{"text": "row 3 ", "label": 1}']
    (tmp_path / "validation.jsonl").write_text("\n".join(held))
    (tmp_path / "task.toml").write_text(
        'name = "own"\ndata = "."\ncolumns = ["text"]\nlabels = ["a", "b"]\n'
    )
    read = load(Setup(task=str(tmp_path / "task.toml")))
    assert read.notes == (
        "81 of 82 evaluation rows stand in the training set too, 1 of them with another label: "
        "the score counts them.",
    )
