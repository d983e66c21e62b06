"""A user's own task: ten lines of TOML, and what a wrong line answers."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from made_rows import write

from idim.config import Setup, SweepSpec, with_recipe
from idim.errors import IdimError
from idim.problems.tasks import info, load, own_name
from idim.store import Store
from idim.sweeps import default_out, execute, plan, plan_run, summarise

ROOT = Path(__file__).resolve().parents[1]


def own(tmp_path: Path, **keys) -> Path:
    path = tmp_path / "boats.toml"
    table = {"data": "rows", "columns": ["text"], "labels": ["calm", "storm"]} | keys
    lines = [f"{k} = {json.dumps(v)}" for k, v in table.items() if v is not None]
    path.write_text("\n".join(lines))
    return path


def weather(n: int) -> list[dict]:
    return [
        {"text": f"log of day {i}", "kind": ["calm", "storm"][i % 2], "label": i % 2}
        for i in range(n)
    ]


def test_ten_lines_make_a_task_and_data_is_beside_them(tmp_path):
    write(tmp_path / "rows" / "train.csv", weather(40))
    write(tmp_path / "rows" / "other days.jsonl", weather(8))
    keys = {"label": "kind", "metric": ["mcc", "f1"], "evaluation": "other days.jsonl"}
    read = load(Setup(task=str(own(tmp_path, **keys))))
    assert (read.info.name, read.info.metrics) == ("boats", ("mcc", "f1"))
    assert (len(read.train), len(read.evaluation)) == (20, 8)
    assert read.evaluation.targets.tolist() == [0, 1] * 4


def test_the_shipped_example_loads_and_data_overrides_its_hub(tmp_path):
    path = ROOT / "configs" / "task_example.toml"
    assert len(path.read_text().splitlines()) <= 10
    assert tomllib.loads(path.read_text())["hub"] == info(str(path)).hub
    for split in ("train", "validation"):
        write(tmp_path / f"{split}.parquet", weather(40), ["neg", "pos"])
    read = load(Setup(task=str(path), data=str(tmp_path)))
    assert read.chance == {"accuracy": 0.5}


def test_labels_one_to_five_stars_are_names_not_positions(tmp_path):
    rows = [{"text": f"page {i}", "label": i % 5 + 1} for i in range(40)]
    for split in ("train", "validation"):
        write(tmp_path / "rows" / f"{split}.jsonl", rows)
    read = load(Setup(task=str(own(tmp_path, labels=list("12345")))))
    assert read.evaluation.targets.tolist() == [i % 5 for i in range(40)]


def storms(tmp_path: Path, **keys) -> SweepSpec:
    write(tmp_path / "rows" / "train.csv", weather(40))
    task = own(tmp_path, label="kind", **keys)
    return SweepSpec(task=str(task), d=(5,), lr=(0.1,), seeds=1, steps=1, baseline=1.0)


def test_a_sweep_goes_by_the_name_in_its_tasks_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = storms(tmp_path, name="Storms / gales")
    out = default_out(with_recipe(spec))
    assert out == Path("idim-out/storms-gales-tiny-fastfood-did")
    summary = execute(plan(spec, out), out, jobs=1)
    assert summary.task == "storms-gales"
    (run,) = (stored.spec() for stored in Store(out).runs())
    assert run.id.startswith("storms-gales-tiny-")
    assert run.task == spec.task
    assert summarise(out).runs.done == 1
    # a run by itself is the same one
    assert plan_run(replace(run, task_name="")).id == run.id


@pytest.mark.parametrize(
    ("name", "called"),
    [("Storms", "storms"), ("a/b", "a-b"), ("two words", "two-words"), ("\u6d77", ""), ("..", "")],
)
def test_a_name_is_written_as_ids_are(tmp_path, name, called):
    assert own_name(str(own(tmp_path, name=name))) == called


def test_a_folder_keeps_the_name_it_was_made_under(tmp_path, monkeypatch):
    """Before `name` counted, a sweep went by its file's name: it is found, and not done again."""
    monkeypatch.chdir(tmp_path)
    spec = storms(tmp_path)
    out = default_out(with_recipe(spec))
    assert out == Path("idim-out/boats-tiny-fastfood-did")
    execute(plan(spec, out), out, jobs=1)
    named = storms(tmp_path, name="storms")
    assert default_out(with_recipe(named)) == out
    summary = execute(plan(named, out), out, jobs=1)
    assert (summary.task, summary.runs.done, len(list(Store(out).runs()))) == ("boats", 1, 1)
    with pytest.raises(IdimError, match="holds another sweep"):
        execute(plan(replace(named, d=(6,)), out), out, jobs=1)


BAD_TASKS = {
    "key": ({"colums": "text"}, "unknown key 'colums'; did you mean 'columns'"),
    "columns": ({"columns": None}, "columns is missing: name the text column"),
    "type": ({"labels": [0, 1]}, r"labels: expected a text or a list of texts, got \[0, 1\]"),
    "metric": ({"metric": "acuracy"}, "unknown metric 'acuracy'; did you mean 'accuracy'"),
    "regression": ({"metric": "pearson"}, "pearson is for regression: leave out labels"),
    "both": ({"labels": None, "metric": ["accuracy", "rmse"]}, "rmse is for regression"),
    "rmse": ({"labels": None, "metric": "rmse"}, "needs a metric that rises: put pearson or spear"),
    "one class": ({"labels": ["calm"]}, "two or more different class names"),
    "f1 of 3": ({"labels": list("abc"), "metric": "f1"}, "f1 is for two classes, got 3"),
    "long": ({"name": 101 * "a"}, "100 characters at most"),
    "two places": ({"hub": "a/b"}, "give hub or data, not both"),
    "leak": ({"evaluation": "train"}, "'train' is in train and in evaluation"),
    "answer": ({"label": "text"}, "label is one of the text columns"),
    "two at once": ({"labels": ["x"], "columns": None}, "columns is missing.* two or more"),
}


@pytest.mark.parametrize(("keys", "message"), BAD_TASKS.values(), ids=BAD_TASKS)
def test_a_bad_task_file_says_what_would_be_right(tmp_path, keys, message):
    with pytest.raises(IdimError, match=message) as error:
        info(str(own(tmp_path, **keys)))
    assert str(tmp_path / "boats.toml") in str(error.value)


def test_a_task_file_that_is_missing_malformed_or_placeless_is_one_line(tmp_path):
    with pytest.raises(IdimError, match=r"cannot read task file .*: No such file"):
        info(str(tmp_path / "none.toml"))
    (tmp_path / "bad.toml").write_text("columns = [")
    with pytest.raises(IdimError, match="is not valid TOML"):
        info(str(tmp_path / "bad.toml"))
    with pytest.raises(IdimError, match=r"task 'boats' reads local files; give .* --data DIR"):
        load(Setup(task=str(own(tmp_path, data=None))))
    (tmp_path / "rows").mkdir()
    with pytest.raises(IdimError, match=r"has no file 'absent.csv', which task 'boats' names"):
        load(Setup(task=str(own(tmp_path, train="absent.csv"))))
