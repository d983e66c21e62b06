"""The layouts that `datasets` documents, and a few more, against literal rows.

Literal, since what `datasets` itself would read is what is to be shown.  Each case is a small copy
of one in its "Structure your repository" and "Data files configuration", or of a layout that the
hub, `save_to_disk` or a published data set has.
"""

import gzip
import json
from pathlib import Path

import pytest

from idim.config import Setup
from idim.errors import IdimError
from idim.problems.tasks import load

# Files to the texts in them; label 1 where a text begins with a capital.
A, B, C, D = "Ants", "bees", "Crows", "dogs"
ONE_CONFIG = """configs:
- config_name: default
  data_files:
  - split: train
    path: "data.csv"
  - split: test
    path: "holdout/*.csv"
"""
LISTS = """configs:
- config_name: default
  data_files:
  - split: train
    path:
    - "data/abc.csv"
    - "data/def.csv"
  - split: test
    path: "holdout/**/*.csv"
"""
TWO_CONFIGS = """configs:
- config_name: main_data
  data_files: "main/train.csv"
- config_name: additional_data
  data_files:
  - {split: train, path: "extra/[a-m]*.csv"}
  - {split: test, path: ["extra/x.csv"]}
  default: true
"""
DATA_DIRS = """configs:
- config_name: main_data
  data_dir: main_data
- config_name: other
  data_dir: other
"""
TABS = """configs:
- config_name: tab
  data_files: [{split: train, path: main.csv}, {split: test, path: t.csv}]
  sep: "\\t"
- config_name: comma
  data_files: other.csv
"""
# name: (files, card, config, rows to learn from, rows to report on)
LAYOUTS = {
    "train.csv, test.csv": ({"train.csv": [A, B], "test.csv": [C]}, "", None, [A, B], [C]),
    "data folder": ({"data/train.csv": [A], "data/test.csv": [C, D]}, "", None, [A], [C, D]),
    "folders called as splits": (
        {"train/bees.csv": [B], "train/ants.csv": [A], "test/more.csv": [D]},
        "", None, [A, B], [D],
    ),
    "data, folders called as splits": (
        {"data/train/0.csv": [A], "data/train/1.csv": [B], "data/test/0.csv": [C]},
        "", None, [A, B], [C],
    ),
    "folders one level deeper": (
        {"data/train/en/a.csv": [A], "data/train/fr/b.csv": [B], "data/test/en/c.csv": [C]},
        "", None, [A, B], [C],
    ),
    "words in file names": (
        {"my_train_file_1.csv": [A], "my_train_file_2.csv": [B], "my-test.file.csv": [D]},
        "", None, [A, B], [D],
    ),
    "words in folder names": (
        {"x-training 1/a.csv": [A], "the.eval_set/c.csv": [C]}, "", None, [A], [C],
    ),
    "shards": (
        {"data/train-00001-of-00002.csv": [B], "data/train-00000-of-00002.csv": [A],
         "data/test-00000-of-00001.csv": [C]},
        "", None, [A, B], [C],
    ),
    "shards with hashes": (
        {"data/train-00000-of-00001-0a1b2c3d.csv": [A], "data/test-00000-of-00001-ff.csv": [C]},
        "", None, [A], [C],
    ),
    "hidden ones are none": (
        {"train.csv": [A], "test.csv": [C], ".train/x.csv": [D], "__pycache__/train.csv": [D]},
        "", None, [A], [C],
    ),
    "card: one configuration": (
        {"data.csv": [A, B], "holdout/c.csv": [C], "holdout/d.csv": [D]},
        ONE_CONFIG, None, [A, B], [C, D],
    ),
    "card: lists and **": (
        {"data/def.csv": [B], "data/abc.csv": [A], "data/not.csv": [D], "holdout/x/y/c.csv": [C]},
        LISTS, None, [A, B], [C],
    ),
    "card: several, the default": (
        {"main/train.csv": [D], "extra/a.csv": [A], "extra/b.csv": [B], "extra/x.csv": [C]},
        TWO_CONFIGS, None, [A, B], [C],
    ),
    "card: data_dir": (
        {"main_data/train.csv": [A], "main_data/test.csv": [C], "other/train.csv": [D]},
        DATA_DIRS, "main_data", [A], [C],
    ),
    "card: sep": ({"main.csv": [A], "t.csv": [C], "other.csv": [D]}, TABS, "tab", [A], [C]),
    "a configuration is a folder": (
        {"en/train.csv": [A], "en/test.csv": [C], "fr/train.csv": [D], "fr/test.csv": [D]},
        "", "en", [A], [C],
    ),
    "the hub's converted parquet": (
        {"en/train/0000.parquet": [A], "en/train/0001.parquet": [B], "en/test/0000.parquet": [C],
         "fr/train/0000.parquet": [D]},
        "", "en", [A, B], [C],
    ),
    "several formats of one split": (
        {"train.csv": [D], "train.parquet": [A], "test.tsv": [D], "test.jsonl": [C]},
        "", None, [A], [C],
    ),
    "json, jsonl and gz": (
        {"train.json": [A, B], "test.jsonl.gz": [C]}, "", None, [A, B], [C],
    ),
    "csv and tsv in gz": ({"train.csv.gz": [A], "test.tsv.gz": [C]}, "", None, [A], [C]),
}  # fmt: skip


def put(folder: Path, files: dict[str, list[str]], tabs: tuple[str, ...] = ()) -> None:
    for name, texts in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"text": text, "label": int(text[0].isupper())} for text in texts]
        bare = name.removesuffix(".gz")
        if bare.endswith(".parquet"):
            from datasets import Dataset

            Dataset.from_list(rows).to_parquet(path)
            continue
        if bare.endswith(".json"):
            content = json.dumps(rows)
        elif bare.endswith(".jsonl"):
            content = "\n".join(map(json.dumps, rows))
        else:
            sep = "\t" if bare.endswith(".tsv") or name in tabs else ","
            lines = [("text", "label"), *((r["text"], str(r["label"])) for r in rows)]
            content = "\n".join(map(sep.join, lines))
        packed = gzip.compress(content.encode()) if bare != name else content.encode()
        path.write_bytes(packed)


def task(folder: Path, **keys: object) -> str:
    path = folder.parent / "birds.toml"
    table = {"data": folder.name, "columns": ["text"], "labels": ["no", "yes"]} | keys
    path.write_text("\n".join(f"{k} = {json.dumps(v)}" for k, v in table.items() if v is not None))
    return str(path)


def rows_of(split) -> list[tuple[str, int]]:
    return [(row[0], int(c)) for row, c in zip(split.inputs, split.targets, strict=True)]


def coded(texts: list[str]) -> list[tuple[str, int]]:
    return [(text, {A: 1, B: 0, C: 1, D: 0}[text]) for text in texts]


@pytest.mark.parametrize(
    ("files", "card", "config", "learned", "reported"), LAYOUTS.values(), ids=LAYOUTS
)
def test_a_documented_layout_gives_its_rows(tmp_path, files, card, config, learned, reported):
    folder = tmp_path / "set"
    put(folder, files, tabs=("main.csv", "t.csv"))
    if card:
        (folder / "README.md").write_text(f"---\nlicense: mit\n{card}---\n# Birds\n")
    before = sorted(folder.rglob("*"))
    read = load(Setup(task=task(folder, config=config, evaluation="test"), select="eval"))
    assert rows_of(read.train) == coded(learned)
    assert rows_of(read.evaluation) == coded(reported)
    assert sorted(folder.rglob("*")) == before  # nothing is written beside the rows


def test_what_save_to_disk_wrote_is_read_with_its_class_names(tmp_path):
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    kinds = Features(text=Value("string"), label=ClassLabel(names=["yes", "no"]))
    parts = {"train": [(A, 0), (B, 1)], "test": [(C, 0)]}
    saved = DatasetDict({
        name: Dataset.from_list([{"text": t, "label": c} for t, c in rows], features=kinds)
        for name, rows in parts.items()
    })  # fmt: skip
    saved.save_to_disk(tmp_path / "set", num_shards={"train": 2, "test": 1})
    (tmp_path / "set/train/cache-0123.arrow").write_bytes(b"what map() left")
    read = load(Setup(task=task(tmp_path / "set", evaluation="test"), select="eval"))
    assert rows_of(read.train) == [(A, 1), (B, 0)]  # by name: the file orders them otherwise
    assert rows_of(read.evaluation) == [(C, 1)]


def test_a_card_may_name_the_classes_of_csv_files(tmp_path):
    put(tmp_path / "set", {"train.csv": [A, B], "test.csv": [C]})
    names = "{class_label: {names: {'0': yes, '1': no}}}"
    (tmp_path / "set/README.md").write_text(
        f"---\ndataset_info:\n  features:\n  - {{name: label, dtype: {names}}}\n---\n".replace(
            "yes", "'yes'"
        ).replace("no}", "'no'}")
    )
    read = load(Setup(task=task(tmp_path / "set", evaluation="test"), select="eval"))
    assert rows_of(read.train) == [(A, 0), (B, 1)]


@pytest.mark.parametrize(
    ("train", "evaluation", "learned", "reported"),
    [
        ("train[:50%]", "train[50%:]", [A, B], [C, D]),
        ("train[:-1]", "train[-1:]", [A, B, C], [D]),
        ("train[3:]+train[:2]", "train[2:3]", [D, A, B], [C]),
        (["train[:1]", "train[2:3]"], "train[3:4]", [A, C], [D]),
        ("a.csv[:2]", "a.csv[2:]", [A, B], [C, D]),
    ],
)
def test_slices_are_those_of_datasets(tmp_path, train, evaluation, learned, reported):
    put(tmp_path / "set", {"train.csv": [A, B, C, D], "a.csv": [A, B, C, D]})
    keys = {"train": train, "evaluation": evaluation}
    read = load(Setup(task=task(tmp_path / "set", **keys), select="eval"))
    assert rows_of(read.train) == coded(learned)
    assert rows_of(read.evaluation) == coded(reported)


@pytest.mark.parametrize(
    ("train", "evaluation", "message"),
    [
        ("train[:60%]", "train[50%:]", "'train[:60%]' and 'train[50%:]' share 1 rows; scores"),
        ("train", "train[3:]", "'train' and 'train[3:]' share 2 rows; scores need unseen rows"),
        ("train[x]", "test", "'train[x]' is no slice; write it as train, train[:10%]"),
        ("train[:200%]", "test", "'train[:200%]' is no slice"),
        ("train[9:]", "test", "'train[9:]' has no rows; 5 are there"),
        ("train[", "test", "'train[' is no slice"),
        ("train[:2]test", "test", "'train[:2]test' is no slice"),
    ],
)
def test_a_slice_that_leaks_or_is_none_is_refused(tmp_path, train, evaluation, message):
    put(tmp_path / "set", {"train.csv": [A, B, C, D, A], "test.csv": [C]})
    with pytest.raises(IdimError) as error:
        load(Setup(task=task(tmp_path / "set", train=train, evaluation=evaluation)))
    assert str(error.value).startswith(message)


def test_a_missing_evaluation_split_is_held_out_by_a_stated_rule(tmp_path):
    names = [f"{'Ab'[i % 2]}{i:03}" for i in range(400)]
    put(tmp_path / "set", {"train.csv": names, "test.csv": ["unread"]})
    read = load(Setup(task=task(tmp_path / "set"), select="eval"))
    held = [row[0] for row in read.evaluation.inputs]
    assert (len(read.train), len(held)) == (320, 80)
    assert held[:8] == ["A006", "b011", "b013", "A014", "A024", "b025", "A034", "b047"]
    assert sorted([*held, *(row[0] for row in read.train.inputs)]) == sorted(names)
    assert read.notes == (
        "there is no split 'validation': 80 of the 400 training rows are held out in its place, "
        "the same whatever the seed (a fifth, at least 32 and at most 5,000, never over half).",
    )
    named = task(tmp_path / "set", evaluation="validation")
    with pytest.raises(IdimError, match="no file for split 'validation'"):
        load(Setup(task=named))  # who names it is told that it is not there


def test_several_configurations_without_a_default_are_asked_for(tmp_path):
    put(tmp_path / "set", {"main_data/train.csv": [A], "other/train.csv": [D]})
    (tmp_path / "set/README.md").write_text(f"---\n{DATA_DIRS}---\n")
    with pytest.raises(IdimError, match="several configurations; choose one: main_data, other"):
        load(Setup(task=task(tmp_path / "set", evaluation="test")))
    with pytest.raises(IdimError, match=r"unknown configuration of .*'main'; did you mean 'main_d"):
        load(Setup(task=task(tmp_path / "set", evaluation="test", config="main")))
