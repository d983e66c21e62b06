"""Equal runs of other sweeps are taken from there: the same bits, whole, and nothing damaged."""

import errno
import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from idim.cli import app
from idim.config import SweepSpec, load, parse_overrides
from idim.store import Store
from idim.store.seal import read_sealed, write_sealed
from idim.sweeps import Shared, execute, neighbours, plan, summarise

GRID = "model=digits-mlp d=20,40 seeds=1 lr=0.5 baseline_lr=0.003 steps=12 train_samples=200"
SAID = f"{GRID} structure=said"
# What says when and where, and in how many seconds: the rest of a run is its bits.
ABOUT = {"provenance.json", "metrics.jsonl"}


def planned(words: str):
    return plan(load(SweepSpec, None, parse_overrides(words.split())))


def numbers(out: Path) -> dict:
    """Everything that a sweep says, without times and places."""
    record = summarise(out).to_json()
    return {k: v for k, v in record.items() if k not in ("seconds", "out")}


def trained(out: Path, words: str, **how) -> list[str]:
    """Do a sweep; return the ids of the runs that were trained for it, and not taken."""
    events = []
    execute(planned(words), out, jobs=1, progress=events.append, **how)
    return [e.run.id for e in events if e.kind == "start"]


def contents(out: Path) -> dict[str, bytes]:
    files = (p for p in out.glob("runs/**/*") if p.is_file() and p.name not in ABOUT)
    found = {str(p.relative_to(out)): p.read_bytes() for p in files}
    return {name: _timeless(content) if "result" in name else content
            for name, content in found.items()}  # fmt: skip


def _timeless(content: bytes) -> bytes:
    record = json.loads(content)
    return repr({k: v for k, v in record.items() if k not in ("seconds", "seal")}).encode()


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> Path:
    """DID and SAID, each by itself."""
    place = tmp_path_factory.mktemp("alone")
    for name, words in (("did", GRID), ("said", SAID)):
        execute(planned(words), place / name, jobs=1)
    return place


@pytest.fixture
def beside(stores, tmp_path) -> Path:
    """A folder with the sweep by DID alone, which a test may spoil."""
    shutil.copytree(stores / "did", tmp_path / "did")
    return tmp_path


def test_a_baseline_is_one_run_whatever_the_subspace_is():
    ids = [{s.id for s in planned(words).specs if s.d is None} for words in (GRID, SAID)]
    assert ids[0] == ids[1]


def test_a_second_sweep_does_only_what_is_missing_and_has_the_bits_it_has_alone(stores, beside):
    said = []
    done = trained(beside / "said", SAID, share=neighbours(beside / "said"), tell=said.append)
    (base,) = (s.id for s in planned(SAID).specs if s.d is None)
    assert sorted(done) == sorted(s.id for s in planned(SAID).specs if s.id != base)
    assert [line.partition(" in ")[0] for line in said] == ["1 run of the same id found done"]
    assert numbers(beside / "said") == numbers(stores / "said")
    assert contents(beside / "said") == contents(stores / "said")
    # one file of two names, and each store is a whole without the other
    files = [next((beside / n).glob(f"runs/*/{base}/result.json")) for n in ("did", "said")]
    assert os.path.samefile(*files)
    shutil.rmtree(beside / "did")
    assert trained(beside / "said", SAID) == []
    about = Store(beside / "said").run(next(s for s in planned(SAID).specs if s.d is None))
    assert about.provenance()["taken"]["from"] == str(beside / "did")


def test_an_equal_sweep_in_another_folder_trains_nothing_and_may_be_told_to(beside):
    share = neighbours(beside / "again")
    assert Shared(planned(GRID), beside / "again", share).ahead() == 3
    assert not (beside / "again").exists()
    assert trained(beside / "again", GRID, share=share) == []
    assert contents(beside / "again") == contents(beside / "did")
    assert len(trained(beside / "other", GRID)) == 3


def test_a_search_that_stops_runs_early_takes_them_too_and_counts_each_once(tmp_path):
    """A first quarter and the run that went on from it were two: 26 of at most 24 runs."""
    words = "model=digits-mlp max_runs=9 seeds=1 steps=8 baseline_lr=0.003 train_samples=200"
    first = execute(planned(words), tmp_path / "one", jobs=1)
    quarters = [r.spec() for r in Store(tmp_path / "one").runs() if r.spec().stop_at is not None]
    assert len(quarters) > first.runs.stopped_early > 0  # some went on
    share = neighbours(tmp_path / "two")
    assert Shared(planned(words), tmp_path / "two", share).ahead() == first.runs.total
    assert trained(tmp_path / "two", words, share=share) == []
    assert numbers(tmp_path / "two") == numbers(tmp_path / "one")


def spoilt(run: Path, what: str) -> None:
    """Damage a finished run, or make it one that is not finished, or not made here."""
    if what == "in progress":
        (run / "result.json").unlink()
    elif what == "of another machine":
        path = next(run.glob("attempts/*/provenance.json"))
        record = read_sealed(path, "provenance", run.name)
        write_sealed(path, record | {"host": "elsewhere"}, "provenance", run.name)
    elif what == "without attempts":
        shutil.rmtree(run / "attempts")
    elif what == "a link":
        (run / "rows.safetensors").rename(run / "there")
        (run / "rows.safetensors").symlink_to("there")
    else:
        path = run / what
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


@pytest.mark.parametrize(
    "what",
    ["result.json", "spec.json", "rows.safetensors", "in progress", "of another machine",
     "without attempts", "a link"],
)  # fmt: skip
def test_what_is_not_whole_or_not_of_this_machine_is_never_taken(what, stores, beside):
    base = next(s for s in planned(GRID).specs if s.d is None)
    spoilt(Store(beside / "did").run(base).folder, what)
    done = trained(beside / "again", GRID, share=neighbours(beside / "again"))
    assert done == [base.id]
    assert contents(beside / "again") == contents(stores / "did")


def test_where_files_cannot_be_linked_they_are_copied(beside, monkeypatch):
    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(os, "link", no_links)
    assert trained(beside / "again", GRID, share=neighbours(beside / "again")) == []
    assert contents(beside / "again") == contents(beside / "did")


class Killed(BaseException):
    """The process ends here: nothing catches it."""


@pytest.mark.parametrize("links", [0, 1, 2])
def test_a_kill_between_two_links_leaves_nothing_half_written(links, stores, beside, monkeypatch):
    """Whatever was linked by then, the next sweep ends in the same bits."""
    link, made = os.link, []

    def killed(*paths: Path) -> None:
        if len(made) == links:
            raise Killed
        made.append(paths)
        link(*paths)

    monkeypatch.setattr(os, "link", killed)
    with suppress(Killed):
        execute(planned(GRID), beside / "again", jobs=1, share=neighbours(beside / "again"))
    monkeypatch.undo()
    assert summarise(beside / "again").runs.done == 0
    (beside / "again").rename(alone := beside / "moved")
    assert len(trained(alone, GRID)) == 3  # not one of them counted as done
    assert contents(alone) == contents(stores / "did")


def test_a_run_that_was_begun_here_may_still_be_taken(stores, beside):
    base = next(s for s in planned(GRID).specs if s.d is None)
    run = Store(beside / "again").run(base)
    run.fail(run.begin(base, "here", []), "killed")
    assert trained(beside / "again", GRID, share=neighbours(beside / "again")) == []
    assert contents(beside / "again") == contents(stores / "did")


def test_a_users_own_code_is_not_shared(beside):
    """An id says the name of a projection, not what its code does today."""
    wanted = planned(GRID)
    for other in (
        replace(wanted, problem="objective"),
        replace(wanted, spec=replace(wanted.spec, projection="stripes")),
    ):
        assert Shared(other, beside / "again", neighbours(beside / "again")).roots == []


def test_folders_that_are_no_sweeps_or_of_other_weights_are_passed_over(beside):
    (beside / "empty").mkdir()
    (beside / "odd").mkdir()
    (beside / "odd" / "sweep.json").write_text("{")
    os.mkfifo(beside / "pipe")
    execute(planned("model=toy d=9 seeds=1 lr=5 steps=2"), beside / "toy", jobs=1)
    places = neighbours(beside / "again")
    assert {p.name for p in places} >= {"did", "empty", "odd", "toy"}
    assert [p.name for p in Shared(planned(GRID), beside / "again", places).roots] == ["did"]


def test_the_command_counts_them_takes_them_and_can_be_told_not_to(beside, monkeypatch):
    monkeypatch.chdir(beside)

    def idim(*more: str):
        words = ["sweep", *SAID.split(), "--jobs", "1", "--out", "said", *more]
        return CliRunner().invoke(app, words, prog_name="idim")

    assert json.loads(idim("--dry-run", "--json").stdout)["elsewhere"] == 1
    assert json.loads(idim("--dry-run", "--json", "--no-share").stdout)["elsewhere"] == 0
    assert "at least 1 run of it found done in folders beside" in idim("--dry-run").stdout
    assert "1 run of the same id found done in 'did': linked" in idim().stderr
