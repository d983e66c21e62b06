"""A store that schema 1 wrote is found, estimated and gone on from, and never passes for a new one.

tests/stores/schema1.zip was made by the last version without schemas: grids (DID and SAID digits,
the toy, a local parquet folder), an adaptive search, the same one interrupted in the middle of a
stack with one run failed, and one interrupted run.  schema1.json holds what that version said.
"""

import json
import zipfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from idim import restore
from idim.config import RunSpec, SweepSpec, load, parse_overrides
from idim.errors import IdimError
from idim.estimate import Ends
from idim.results import Summary
from idim.store import Damaged, OlderRun, Run, Store
from idim.sweeps import evidence, execute, plan, plan_run, run, summarise

HOME = Path(__file__).parent / "stores"
SAID = json.loads((HOME / "schema1.json").read_text())
UNSEALED = "an older version stored without checksums"
DIGITS = "model=digits-mlp train_samples=300 steps=60 seeds=2"
INTERRUPTED = f"{DIGITS} d_min=5 d_max=300 baseline_lr=0.01 max_runs=16 tolerance=1.16"


@pytest.fixture
def store(tmp_path, monkeypatch):
    with zipfile.ZipFile(HOME / "schema1.zip") as packed:
        packed.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spec(words: str) -> SweepSpec:
    return load(SweepSpec, None, parse_overrides(words.split()))


def said_then(now, then):
    """Return of what is said now the keys that were there then: later ones are no other numbers."""
    if isinstance(then, dict):
        return {key: said_then(now[key], value) for key, value in then.items()}
    if isinstance(then, list) and len(then) == len(now):
        return [said_then(a, b) for a, b in zip(now, then, strict=True)]
    return now


def without(record, key: str):
    """Return a record without a key, wherever it stands."""
    if isinstance(record, list):
        return [without(part, key) for part in record]
    if not isinstance(record, dict):
        return record
    return {k: without(value, key) for k, value in record.items() if k != key}


def as_then(found: Summary) -> dict[str, Any]:
    """Write a summary by the keys it had: d90 was the smallest d that passes, the fit beside it."""

    def fit(d: int | None, under: int | None, ends: Ends | None) -> tuple[int | None, list[Any]]:
        return under if d is None else d, list(ends or (None, None))

    now, smallest = found.to_json(), found.smallest
    d, ends = fit(found.d90, found.d90_under, found.interval)
    now["fit"] = {"d90": d, "interval": ends, "method": found.estimator}
    over = smallest.bracket[0] if smallest.d is None else None
    now |= {"d90": smallest.d, "d90_over": over, "bracket": list(smallest.bracket)}
    for key, r in (("thresholds", found.thresholds), ("chance_adjusted", found.gain)):
        read = {
            name: {"line": one.line, "d": one.smallest, "fit": at, "interval": within}
            for name, one in (r if isinstance(r, dict) else {"": r} if r else {}).items()
            for at, within in [fit(one.d, one.under, one.interval)]
        }
        now[key] = read if isinstance(r, dict) else read.get("")
    del now["protocol"]["criterion"]
    return now


@pytest.mark.parametrize("name", SAID["estimates"])
def test_an_older_store_is_estimated_to_the_same_numbers(store, name):
    now, then = as_then(summarise(store / name)), deepcopy(SAID["estimates"][name])
    # d90 is said in other words, and what the search does next is today's to say
    for words in ("criterion", "seeds", "lr"):
        del then["protocol"][words]
    del then["search"]["done"], then["search"]["why"]
    then["runs"].pop("total")
    # those of bootstraps are gone, those of the fit pool the noise of more d since
    now, then = without(now, "interval"), without(then, "interval")
    assert UNSEALED in now["notes"][-1]
    assert said_then(now, then) == then | {"notes": now["notes"]}
    later = ("Seeds lie far apart",)  # what is told since
    assert [n for n in now["notes"][:-1] if not n.startswith(later)] == then["notes"]


def test_an_interrupted_search_goes_on_with_what_it_has(store):
    out = store / "digits-interrupted"
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    summary = execute(plan(spec(INTERRUPTED), out), out, jobs=1)
    # what today's search did not ask for is evidence all the same
    known = {Run: set(), OlderRun: set()}
    for r in Store(out).runs():
        if r.result() or r.failure():
            known[type(r)].add((r.spec().d, r.spec().lr, r.spec().seed))
    assert summary.search.done
    assert summary.runs.total == len(known[Run] | known[OlderRun]) > len(known[OlderRun]) >= 8
    assert len(known[Run]) <= 16
    # the older runs are read, never written, and none of them is done again
    assert {p: p.read_bytes() for p in before} == before
    runs = list(Store(out).runs())
    older = {r.spec().id for r in runs if isinstance(r, OlderRun) and r.result()}
    assert not older & {r.id for r in runs if isinstance(r, Run)}


def test_interrupted_runs_of_a_stack_go_on_from_their_checkpoints(store):
    out = store / "digits-interrupted"
    begun = [r for r in Store(out).runs() if r.checkpoint()]
    assert len(begun) == 2  # one of them marked as failed
    for older in begun:
        _, metrics = older.checkpoint()
        run(older.spec(), out)
        assert Store(out).run(older.spec()).last_attempt().metrics()[: len(metrics)] == metrics


def test_an_older_runs_file_restores_its_model(store):
    folder = next(store.glob("animals-tiny/runs/*d100-s0*"))
    with pytest.warns(UserWarning, match="theta_0"):
        module = restore(folder)
    assert sum(p.numel() for p in module.parameters()) == 446_498


def test_an_interrupted_run_goes_on_from_its_checkpoint(store):
    words = "model=tiny task=animals.toml d=30 lr=0.3 steps=40 batch_size=8 max_length=32"
    wanted = plan_run(load(RunSpec, None, parse_overrides(words.split())))
    before = Store(store / "one").run(wanted)
    state, metrics = before.checkpoint()
    assert 0 < int(state["step"]) < 40
    result = run(wanted, store / "one")
    assert before.last_attempt().metrics()[: len(metrics)] == metrics
    then = SAID["one"]
    assert result.loss == pytest.approx(then["loss"], rel=0.02)
    assert (result.steps, result.trainable, result.D) == (40, 30, then["D"])


def test_where_a_behaviour_has_changed_an_older_sweep_is_read_and_not_gone_on_with(store):
    """Its baseline trained in the plain loop; today's trains as a stack, with other bits."""
    out = store / "digits-said"
    words = f"{DIGITS} d=20,40 lr=0.3,1 baseline_lr=0.003,0.01 structure=said"
    with pytest.raises(IdimError, match=r"older version.*full_stacked.*choose another --out"):
        execute(plan(spec(words), out), out, jobs=1)
    done = {r.spec() for r in Store(out).runs() if r.spec().method == "full"}
    assert {s.stacked for s in done} == {False}
    plain, stacked = ({s.id for s in done}, {r.id for r in plan(spec(words)).specs})
    assert not plain & stacked


def test_a_whole_older_sweep_is_not_done_again(store):
    for name, words in {
        "digits-did": f"{DIGITS} d=5,40 lr=0.3,1 baseline_lr=0.003,0.01",
        "toy": "model=toy d=9,10 seeds=2 lr=5,20 baseline_lr=0.1 steps=200",
    }.items():
        events = []
        planned = plan(spec(words), store / name)
        execute(planned, store / name, jobs=1, progress=events.append)
        assert {e.kind for e in events} == {"skipped"}


def test_another_runs_spec_is_not_believed_in_an_older_store(store):
    one, two = sorted((store / "toy/runs").iterdir())[:2]
    (one / "spec.json").write_bytes((two / "spec.json").read_bytes())
    with pytest.raises(IdimError, match=f"{one.name}/spec.json' is damaged"):
        summarise(store / "toy")


RESULTS = [
    {"score": {"accuracy": True}}, {"score": {"accuracy": 7.5}}, {"score": {"accuracy": -5}},
    {"score": {"accuracy": "0.9"}}, {"score": {"accuracy": [1]}}, {"score": {"accuracy": 10**400}},
    {"score": {}}, {"score": None}, {"select": "x"}, {"select": [1]}, {"select": {"f1": None}},
    {"seconds": None}, {"seconds": "x"}, {"steps": "x"}, {"steps": None}, {"steps": -1},
    {"trainable": 1.5}, {"loss": None}, {"error": 5},
]  # fmt: skip
SPECS = [{"keep_head": True}, {"threads": 2}, {"stacked": True}, {"lr": 7.0}, {"d": "x"}]
SWEEPS = [
    {"chance": "x"}, {"notes": 5}, {"notes": [5]}, {"metric": 5}, {"D": "x"}, {"D": True},
    {"steps": None}, {"keep_head": True}, {"seeds": "x"}, {"d": 5}, {"tensors": "x"},
    {"data_fingerprint": 3},
]  # fmt: skip
PROVENANCES = [{"utc": 5}, {"kernels": ["a"]}, {"versions": None}, None]


@pytest.mark.parametrize(
    ("file", "change"),
    [(name, c) for name, cs in {"result": RESULTS, "spec": SPECS, "sweep": SWEEPS}.items()
     for c in cs],
    ids=str,
)  # fmt: skip
def test_what_schema_1_cannot_have_written_is_no_number_and_stops_nothing(store, file, change):
    out = store / "digits-did"
    path = out / "sweep.json" if file == "sweep" else next(out.glob(f"runs/*d40*/{file}.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(Damaged, match=rf"{file}\.json' is damaged"):
        summarise(out)
    if file != "sweep":
        assert len(Store(out).mend()) == 1
        assert Store(out).mend() == []


@pytest.mark.parametrize("content", PROVENANCES, ids=str)
def test_an_odd_older_provenance_says_nothing(store, content):
    out = store / "digits-did"
    for path in out.glob("runs/*/provenance.json"):
        whole = json.loads(path.read_text())
        path.write_text(json.dumps({} if content is None else whole | content))
    assert evidence(out).sources == ()


def test_a_metric_that_the_runs_were_not_scored_by_is_refused(store):
    path = store / "digits-did" / "sweep.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metric": "f1"}))
    with pytest.raises(IdimError, match=r"was not scored by f1, the metric of its sweep"):
        summarise(store / "digits-did")
