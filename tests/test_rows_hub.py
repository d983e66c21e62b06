"""Rows of hub data sets of any layout: fetched once, pinned, read again without a network."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hubclient import program
from hubserver import Hub, serve
from made_rows import MRPC_LABELS, pairs, write
from makers import write_card

CONVERTED = "refs%2Fconvert%2Fparquet"
LOAD = """
import json, sys
from idim.config import Setup
from idim.errors import IdimError
from idim.problems.tasks import load
found = {}
for path in sys.argv[1:]:
    try:
        read = load(Setup(task=path, select="eval"))
        found[path] = [[row[0] for row in s.inputs] for s in (read.train, read.evaluation)]
    except IdimError as e:
        found[path] = str(e)
print(json.dumps(found))
"""
CARD = """---
configs:
- config_name: en
  data_files:
  - {split: train, path: "english/part-*.csv"}
  - {split: test, path: "english/held.csv.gz"}
- config_name: tabs
  data_files: "tabs.csv"
  sep: "\\t"
---
"""
# Task files: the keys beside columns and labels.
TASKS: dict[str, dict[str, Any]] = {
    "card": {"hub": "o/birds", "config": "en", "evaluation": "test"},
    "slices": {"hub": "o/birds", "config": "en", "train": "train[:50%]",
               "evaluation": "train[50%:]"},
    "sep": {"hub": "o/birds", "config": "tabs", "train": "train[:1]", "evaluation": "train[1:]"},
    "plain": {"hub": "o/plain", "evaluation": "validation"},
    "converted": {"hub": "o/birds@refs/convert/parquet", "config": "en", "evaluation": "test"},
    "no config": {"hub": "o/birds"},
    "wrong config": {"hub": "o/birds", "config": "em"},
    "both converted": {"hub": "o/birds@refs/convert/parquet"},
    "code": {"hub": "o/code"},
    "gated": {"hub": "o/gated"},
    "none": {"hub": "o/none"},
}  # fmt: skip
# And one that the package knows.
GLUE = {"train": pairs(6), "validation": pairs(3, shift=6)}
ROWS = {
    "mrpc": [[row["sentence1"] for row in rows] for rows in GLUE.values()],
    "card": [["a", "b"], ["c"]],
    "slices": [["a"], ["b"]],
    "sep": [["d"], ["e"]],
    "plain": [["f", "g"], ["h"]],
    "converted": [["k", "l"], ["m"]],
}
REFUSALS = {
    "no config": "data set 'o/birds' has several configurations; choose one: en, tabs.",
    "wrong config": "unknown configuration of o/birds 'em'. Known: en, tabs.",
    "both converted": "data set 'o/birds@refs/convert/parquet' has several configurations; choose "
    "one: en, fr.",
    "code": "data set 'o/code' is made by code of its own, which idim never runs; try "
    "'o/code@refs/convert/parquet', the hub's own conversion, or give its rows with --data FOLDER "
    "(.parquet, .arrow, .jsonl, .json, .csv, .tsv).",
    "gated": "data set 'o/gated' is gated: accept its terms at URL/datasets/o/gated and set "
    "HF_TOKEN to your access token.",
    "none": "no data set 'o/none' at URL; if it is private, set HF_TOKEN.",
}


def rows(letters: str) -> list[dict[str, Any]]:
    return [{"text": letter, "label": i % 2} for i, letter in enumerate(letters)]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    import gzip

    sets = tmp_path / "root/datasets/o"
    write(sets / "birds/english/part-0.csv", rows("a"))
    write(sets / "birds/english/part-1.csv", rows("b"))
    held = write(sets / "birds/english/held.csv", rows("c"))
    held.with_name("held.csv.gz").write_bytes(gzip.compress(held.read_bytes()))
    held.unlink()
    write(sets / "birds/french/part-0.csv", rows("x"))
    write(sets / "birds/tabs.tsv", rows("de")).rename(sets / "birds/tabs.csv")
    (sets / "birds/README.md").write_text(CARD)
    write(sets / "plain/train-00000-of-00002.jsonl", rows("f"))
    write(sets / "plain/train-00001-of-00002.jsonl", rows("g"))
    write(sets / "plain/dev.jsonl", rows("h"))
    write(sets / f"birds@{CONVERTED}/en/train/0000.parquet", rows("k"))
    write(sets / f"birds@{CONVERTED}/en/train/0001.parquet", rows("l"))
    write(sets / f"birds@{CONVERTED}/en/test/0000.parquet", rows("m"))
    write(sets / f"birds@{CONVERTED}/fr/train/0000.parquet", rows("x"))
    glue = sets.parent / "nyu-mll/glue"
    for split, its_rows in GLUE.items():
        write(glue / f"mrpc/{split}-00000-of-00001.parquet", its_rows, MRPC_LABELS)
        write(glue / f"rte/{split}-00000-of-00001.parquet", rows("x"))
    write_card(glue, {name: list(GLUE) for name in ("mrpc", "rte")})
    write(sets / "gated/train.csv", rows("y"))
    (sets / "code").mkdir()
    (sets / "code/code.py").write_text("raise SystemExit('run')")
    for name, keys in TASKS.items():
        table = {"columns": ["text"], "labels": ["0", "1"]} | keys
        lines = [f"{k} = {json.dumps(v)}" for k, v in table.items()]
        (tmp_path / f"{name}.toml").write_text("\n".join(lines))
    with serve(tmp_path / "root") as hub:
        hub.gated["o/gated"] = 403
        yield hub


def test_hub_data_sets_of_any_layout_are_read_and_again_without_a_network(hub, tmp_path):
    env = hub.env(tmp_path, HF_TOKEN="hf_abcdefgh")
    paths = {str(tmp_path / f"{name}.toml"): name for name in TASKS} | {"mrpc": "mrpc"}
    done = program(env, LOAD, *paths)
    assert done.returncode == 0, done.stderr
    found = {paths[path]: said for path, said in json.loads(done.stdout).items()}
    refusals = {name: line.replace("URL", hub.url) for name, line in REFUSALS.items()}
    assert found == ROWS | refusals
    fetched = hub.fetched()
    assert not any("french" in name or "rte" in name or name.endswith(".py") for name in fetched)
    assert not (tmp_path / "hf/datasets").exists()  # the library's own cache

    good = [path for path, name in paths.items() if name in ROWS]
    env["HF_ENDPOINT"] = "http://127.0.0.1:9"
    asked = len(hub.requests)
    start = time.monotonic()
    again = program(env, LOAD, *good)
    assert {paths[p]: said for p, said in json.loads(again.stdout).items()} == ROWS
    assert time.monotonic() - start < 40
    assert len(hub.requests) == asked
