"""Which rows are learned from, selected on and scored: the same for ever, and none of one kind."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from idim.config import Setup
from idim.problems import tasks
from idim.problems.tasks import TASKS, Split, info, load

# Stored runs were trained and scored on these rows: another choice would be another task.
CHOSEN = [
    ({"task": "digits"}, "613e9c031d3f150f", (1295, 143, 359)),
    ({"task": "digits", "train_samples": 300, "eval_samples": 100}, "522c1a56ad1d9578",
     (268, 32, 100)),
    ({"task": "paraphrase"}, "15477961424787fa", (2700, 300, 1000)),
    ({"task": "sentiment", "train_samples": 200, "eval_samples": 50, "select": "eval"},
     "15013be055104de8", (200, None, 50)),
]  # fmt: skip


@pytest.mark.parametrize(("words", "fingerprint", "sizes"), CHOSEN, ids=str)
def test_the_rows_of_a_setting_are_always_the_same(words, fingerprint, sizes):
    read = load(Setup(**words))
    select = None if read.select is None else len(read.select)
    assert (len(read.train), select, len(read.evaluation)) == sizes
    assert read.fingerprint == fingerprint


def numbered(n: int) -> Split:
    return Split(np.arange(n, dtype=np.float32)[:, None], np.zeros(n, np.int64))


def places(split: Split) -> np.ndarray:
    return np.asarray(split.inputs)[:, 0].astype(int)


@settings(max_examples=50, deadline=None)
@given(st.integers(60, 3000), st.integers(1, 30), st.sampled_from([1, 2]))
def test_the_rows_kept_are_the_first_of_one_shuffle_in_the_order_of_the_file(n, count, seed):
    kept = places(tasks._keep(numbered(n), count, seed, "training", []))
    assert list(kept) == sorted(np.random.RandomState(seed).permutation(n)[:count])


@settings(max_examples=50, deadline=None)
@given(st.integers(400, 30_000))
def test_rows_held_out_are_spread_over_the_file_and_depend_on_no_other_choice(n):
    """A file sorted by class must not give a selection set of one class."""
    train, select = tasks._hold_out(info("digits"), numbered(n))
    held = places(select)
    assert not set(held) & set(places(train))
    assert held.mean() / n == pytest.approx(0.5, abs=5 / np.sqrt(12 * len(held)))
    for seed in (1, 2):  # of the rows kept of the training and of the evaluation set
        others = np.random.RandomState(seed).permutation(n)[: len(held)]
        # so many in common by chance, and five standard deviations
        expected = len(held) ** 2 / n
        assert abs(len(set(held) & set(others)) - expected) <= 5 * np.sqrt(expected + 1)


def test_chance_is_the_training_sets_favourite_scored_on_the_evaluation_set(tmp_path):
    """The favourites differ, and so do their shares: no other reading gives these numbers."""
    sides = {"train": [1] * 70 + [0] * 30, "validation": [1] * 8 + [0] * 32}
    for name, labels in sides.items():
        rows = [{"sentence1": f"{name} {i}", "sentence2": "x", "label": label}
                for i, label in enumerate(labels)]  # fmt: skip
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text)
    chance = load(Setup(task="mrpc", data=str(tmp_path))).chance
    truth, constant = sides["validation"], [1] * 40
    assert chance == {
        "accuracy": pytest.approx(0.2),
        "f1": pytest.approx(sk.f1_score(truth, constant)),
    }


# The order on the cards of the hub's data sets: code 0 first.
ORDERS = {
    "mrpc": "not_equivalent equivalent",
    "qqp": "not_duplicate duplicate",
    "sst2": "negative positive",
    "mnli": "entailment neutral contradiction",
    "anli": "entailment neutral contradiction",
    "rte": "entailment not_entailment",
    "qnli": "entailment not_entailment",
    "wnli": "not_entailment entailment",
    "cola": "unacceptable acceptable",
    "stsb": "",
    "yelp_polarity": "negative positive",
    "digits": "0 1 2 3 4 5 6 7 8 9",
    "mnist": "0 1 2 3 4 5 6 7 8 9",
    "cifar10": "airplane automobile bird cat deer dog frog horse ship truck",
}


@pytest.mark.parametrize("task", ORDERS)
def test_the_codes_of_a_published_task_are_those_of_its_card(task):
    assert TASKS[task].labels == tuple(ORDERS[task].split())


def test_a_pictures_channels_are_red_green_blue(tmp_path):
    from PIL import Image

    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[..., 0], pixels[..., 1], pixels[0, 1, 2] = 255, 51, 102
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    rows = [{"image": {"bytes": out.getvalue(), "path": None}, "label": i % 10} for i in range(4)]
    for split in ("train", "test"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{split}.parquet")
    read = load(Setup(task="cifar10", data=str(tmp_path), select="eval"))
    expected = pixels.transpose(2, 0, 1).astype(np.float32) / 255
    np.testing.assert_allclose(read.evaluation.inputs[0], expected, rtol=1e-6)
