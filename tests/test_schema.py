"""The id of a run is a promise: it moves with what decides bits, and with nothing else."""

import json
from dataclasses import asdict, fields, make_dataclass, replace

import pytest

from idim.config import SCHEMA, RunSpec, current
from idim.errors import IdimError
from idim.store import Store

RUN = RunSpec(model="tiny", task="paraphrase", d=300, lr=0.05, seed=1, threads=1)
# Written once: a change here renames every stored run of every user.
IDS = {
    "paraphrase-tiny-fastfood-d300-s1-2d1e95d61e9f": RUN,
    "paraphrase-tiny-full-s1-903141e7457f": replace(RUN, method="full", d=None),
    "t-x-dense-d3-s0-fde5e633b6f5": RunSpec(
        model="x", task="t", projection="dense", d=3, structure="said"
    ),
}
KNOWN = {f.name for f in fields(RunSpec)}


def test_ids_are_for_ever():
    assert {name: spec.id for name, spec in zip(IDS, IDS.values(), strict=True)} == {
        name: name for name in IDS
    }


def test_equal_values_are_one_run_however_they_are_written():
    assert replace(RUN, lr=1, epochs=2).id == replace(RUN, lr=1.0, epochs=2.0).id


def test_a_field_that_is_added_with_a_default_renames_no_run():
    wider = make_dataclass(
        "Wider", [("sharpness", float, 0.0)], bases=(RunSpec,), frozen=True, kw_only=True
    )
    known = asdict(RUN)
    assert wider(**known).id == RUN.id
    assert wider(**known, sharpness=0.9).id != RUN.id


# A value other than the default for every field that decides bits.
CHANGES = {
    "model": "roberta-base", "task": "mrpc", "projection": "dense", "structure": "said",
    "said_groups": "block", "norm": "tensor", "head": "free", "epochs": 2.0, "steps": 7,
    "batch_size": 9, "max_length": 64, "train_samples": 100, "eval_samples": 50, "select": "eval",
    "weight_decay": 0.1, "warmup": 0.2, "said_lr": 0.5, "head_lr": 0.5, "copies": 1,
    "device": "cpu", "dtype": "bfloat16", "threads": 2, "method": "full", "d": 301, "lr": 0.06,
    "seed": 2, "stop_at": 0.25, "task_name": "storms",
    "model_fingerprint": "m", "data_fingerprint": "r",
    "changed": ("head:2",), "kernels": "triton", "stacked": True, "keep_head": True,
    "optimizer": "sgd", "beta1": 0.8, "beta2": 0.99, "momentum": 0.5, "clip": 1.0,
    "decay_to": "zero", "schedule": "constant", "checkpoint": "best",
}  # fmt: skip


@pytest.mark.parametrize("name", [f.name for f in fields(RunSpec)])
def test_every_field_moves_the_id_but_places_on_disk(name):
    if name == "data":
        assert replace(RUN, data="/elsewhere").id == RUN.id
        return
    if name == "size":  # a subspace's is d
        assert replace(RUN, size=3).id == RUN.id
        return
    assert replace(RUN, **{name: CHANGES[name]}).id != RUN.id


def test_what_is_stored_is_read_back(tmp_path):
    run = Store(tmp_path).run(RUN)
    run.begin(RUN, "test", [])
    assert Store(tmp_path).run(RUN).spec() == RUN
    record = json.loads((run.folder / "spec.json").read_text())
    assert record["schema"] == SCHEMA
    assert (run.folder.parent.name, run.folder.name) == (RUN.id[-12:-10], RUN.id)


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (
            {"schema": SCHEMA, "sharpness": 1},
            "has the key 'sharpness', which this version does not",
        ),
        ({"schema": SCHEMA + 1}, f"written by a newer idim .schema {SCHEMA + 1}.; update idim"),
        ({"schema": "two"}, "no schema that is known"),
        ({"schema": True}, "no schema that is known"),
        ({"schema": 0}, "no schema that is known"),
        ({"sharpness": 1}, "has the key 'sharpness'"),
    ],
)
def test_a_record_of_another_version_is_one_line(record, line):
    with pytest.raises(IdimError, match=line) as e:
        current(record, KNOWN, "'spec.json'")
    assert "\n" not in str(e.value)
