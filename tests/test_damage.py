"""The store believes only what it wrote: damage is refused or set aside, never a number.

Every file of a small store is damaged in every way: one bit of every byte, cut off at every 64
bytes, emptied, swapped with a sibling's, other valid JSON in its place.  `estimate` then gives the
true numbers or one line that names a file; `sweep` always ends in the true numbers, and is stuck on
nothing.  IDIM_DAMAGES says how many are tried, drawn by chance of all.
"""

import os
import random
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hurried import hurried
from made_results import RUNS, SEARCH

from idim.api.restored import restore
from idim.config import SweepSpec, load, parse_overrides
from idim.errors import IdimError
from idim.results import Summary
from idim.store import Damaged, Store, alone
from idim.sweeps import execute, plan, run, summarise

WORDS = "model=toy d=9,10 seeds=1 lr=5 baseline_lr=0.1 steps=20"
SAMPLE = int(os.environ.get("IDIM_DAMAGES", "60"))
OTHERS = (b"null", b"5", b"[]", b"{}", b'"x"', b'{"score": {"performance": 0.1}}', b"[" * 3000)
# Written for people, read by nobody: `sweep` makes them anew.
UNREAD = {"summary.json", "points.csv", "curve.png", "curve.svg"}


def planned():
    return plan(load(SweepSpec, None, parse_overrides(WORDS.split())))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, Summary]:
    """A store with finished runs, one stopped early, and one that was killed after a checkpoint."""
    out = tmp_path_factory.mktemp("whole")
    wanted = planned()
    first = wanted.specs[-1]
    run(first.early_stop, out)
    truth = summary(execute(wanted, out / "truth", jobs=1))
    shutil.rmtree(out / "truth")
    with hurried(), suppress(KeyboardInterrupt):
        run(wanted.specs[0], out, stop_at_step(10))
    for spec in wanted.specs[1:-1]:
        run(spec, out)
    Store(out).claim({**Store(claimed(out)).held()})
    shutil.rmtree(claimed(out))
    return out, truth


def claimed(out: Path) -> Path:
    """Return a folder that holds the same sweep."""
    beside = out.with_name(f"{out.name}-claimed")
    if not beside.exists():
        execute(planned(), beside, jobs=1)
    return beside


def stop_at_step(step: int):
    def stop(event):
        if event.kind == "step" and event.step >= step:
            raise KeyboardInterrupt

    return stop


def summary(found: Summary) -> Summary:
    """Return the numbers of a summary: what a reader would take from it."""
    return replace(found, seconds=0.0, out=Path(), runs=RUNS, search=SEARCH)


def damages(root: Path) -> Iterator[tuple[Path, bytes]]:
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.name not in UNREAD)
    for path in files:
        content = path.read_bytes()
        for at in range(len(content)):
            flipped = bytearray(content)
            flipped[at] ^= 1 << (at % 8)
            yield path, bytes(flipped)
        for end in range(0, len(content), 64):
            yield path, content[:end]
        yield from ((path, other) for other in OTHERS)
        siblings = [p for p in files if p.name == path.name and p != path]
        yield from ((path, p.read_bytes()) for p in siblings)
        yield from ((path, p.read_bytes()) for p in path.parent.iterdir() if p.is_file())


def is_complete(out: Path) -> bool:
    """Whether every run has all that is to be kept of it, and whole."""
    for stored in Store(out).runs():
        spec = stored.spec()
        kept = stored.rows() is not None
        if spec.method == "subspace" and spec.stop_at is None:
            kept = kept and stored.trained() is not None
        if not kept:
            return False
    return True


def refused_by_estimate(out: Path, truth: Summary) -> str | None:
    """Return the line that refuses a store; None where its numbers are the true ones."""
    try:
        found = summarise(out)
    except IdimError as e:
        return str(e)
    assert summary(found) == truth
    return None


def test_no_damage_to_a_store_gives_a_wrong_number(whole, tmp_path):
    root, truth = whole
    states = {p.name for p in root.rglob("*.safetensors")}
    assert states >= {"state.safetensors", "paused.safetensors", "rows.safetensors"}
    every = list(damages(root))
    chosen = random.Random(0).sample(every, min(SAMPLE, len(every)))
    chosen += [(p, c) for p, c in every if p.suffix == ".json" and c in OTHERS][:: 1 + len(OTHERS)]
    chosen += [(root / "sweep.json", other) for other in OTHERS]
    estimated, left = summary(summarise(root)), planned()
    refused = redone = 0
    for n, (path, content) in enumerate(chosen):
        out = tmp_path / str(n)
        shutil.copytree(root, out)
        (out / path.relative_to(root)).write_bytes(content)
        refusal = refused_by_estimate(out, estimated)
        if refusal is not None:
            refused += 1
            assert str(out) in refusal, (path, refusal)
            assert "\n" not in refusal, (path, refusal)
        said = []
        assert summary(execute(left, out, jobs=1, tell=said.append)) == truth, (path, n)
        assert is_complete(out), (path, n)
        redone += bool(said)
        assert Store(out).mend() == []  # for good
        shutil.rmtree(out)
    print(f"{len(chosen)} damages of {len(every)}: {refused} refused by estimate, {redone} redone")
    assert refused
    assert redone


def test_a_wrong_number_is_refused_wherever_it_comes_from(whole, tmp_path):
    """A result, spec, checkpoint or theta_d of another run is whole, and not this run's."""
    root, _ = whole
    for name in ("result.json", "spec.json", "subspace.safetensors", "rows.safetensors"):
        out = tmp_path / name
        shutil.copytree(root, out)
        one, two = sorted(out.rglob(name))[:2]
        one.write_bytes(two.read_bytes())
        if one.suffix == ".json":
            with pytest.raises(Damaged, match="it is of something else"):
                summarise(out)
        said = Store(out).mend()
        assert len(said) == 1
        assert "it is of something else" in said[0]
    folder = next(p.parent for p in root.rglob("subspace.safetensors"))
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved / folder.parent.name / folder.name)
    copy = moved / folder.parent.name / folder.name
    (copy / "subspace.safetensors").write_bytes(b"x")
    with pytest.raises(Damaged, match=r"subspace\.safetensors"):
        restore(copy)


def test_what_is_no_file_is_damage_too_and_nothing_waits_for_it(whole, tmp_path):
    root, truth = whole
    left = planned()
    for n, path in enumerate(sorted(p for p in root.rglob("*") if p.is_file())):
        if path.name in UNREAD:
            continue
        for kind in ("gone", "fifo", "folder", "loop"):
            out = tmp_path / f"{n}-{kind}"
            shutil.copytree(root, out)
            here = out / path.relative_to(root)
            here.unlink()
            if kind == "fifo":
                os.mkfifo(here)
                assert stat.S_ISFIFO(here.stat().st_mode)
            elif kind == "folder":
                here.mkdir()
            elif kind == "loop":
                here.symlink_to(here)
            assert summary(execute(left, out, jobs=1)) == truth, (path, kind)


def test_a_result_without_its_spec_is_refused_and_not_left_out(whole, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(whole[0], out)
    spec = next(p.parent for p in out.rglob("result.json")) / "spec.json"
    spec.unlink()
    with pytest.raises(Damaged, match=r"spec\.json' is damaged \(it is missing\)"):
        summarise(out)


def test_a_run_whose_trained_part_is_gone_says_so(whole, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(whole[0], out)
    file = next(out.rglob("subspace.safetensors"))
    file.unlink()
    with pytest.raises(IdimError, match=r"has no subspace\.safetensors any more; remove"):
        restore(file.parent)


def test_a_renamed_run_is_not_dropped_in_silence(whole, tmp_path):
    root, truth = whole
    out = tmp_path / "out"
    shutil.copytree(root, out)
    folder = next(p.parent for p in out.rglob("result.json"))
    folder.rename(folder.with_name(folder.name[:-1] + ("0" if folder.name[-1] != "0" else "1")))
    with pytest.raises(Damaged, match="it is of something else"):
        summarise(out)
    shard = out / "runs" / "zz"
    folder.parent.rename(shard)
    with pytest.raises(Damaged, match=r"zz' is damaged"):
        summarise(out)
    assert summary(execute(planned(), out, jobs=1)) == truth


def test_parts_of_killed_processes_go_and_those_of_live_ones_stay(whole, tmp_path):
    from idim.store import files

    out = tmp_path / "out"
    shutil.copytree(whole[0], out)
    host, me = files._host(), os.getpid()
    start = files._start(me)
    dead = [
        f".result.json.{host}.{2**22 + 1}.1.aa.part",  # no such process
        f".result.json.{host}.{me}.{int(start) + 1}.aa.part",  # its number went to another
    ]
    live = [
        f".result.json.{host}.{me}.{start}.aa.part",
        ".result.json.elsewhere.1.1.aa.part",  # of another machine, and new
    ]
    for name in dead + live:
        (out / name).touch()
    old = out / ".sweep.json.elsewhere.1.2.bb.part"
    old.touch()
    os.utime(old, (0, 0))
    execute(planned(), out, jobs=1)
    assert {p.name for p in out.rglob("*.part")} == set(live)


def test_whatever_stands_in_an_attempts_place_is_set_aside(whole, tmp_path):
    root, truth = whole
    for n, (name, kind) in enumerate(product(("attempts", "attempts/2"), ("file", "fifo", "link"))):
        out = tmp_path / str(n)
        shutil.copytree(root, out)
        folder = next(p.parent for p in out.rglob("result.json"))
        (folder / "result.json").unlink()
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        if kind == "file":
            place.write_text("")
        elif kind == "fifo":
            os.mkfifo(place)
        else:
            place.symlink_to(tmp_path / "nowhere")
        said = []
        assert summary(execute(planned(), out, jobs=1, tell=said.append)) == truth, (name, kind)
        assert "is damaged (not a folder)" in said[0]


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    mine = {"runs/mine/deep/x": "1", "sweep.json": '{"mine": 1}', "points.csv": "a,b"}
    for n, (name, text) in enumerate(mine.items()):
        out = tmp_path / str(n)
        path = out / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        with pytest.raises(IdimError, match=r"which no sweep wrote; choose another --out"):
            execute(planned(), out, jobs=1)
        assert [p for p in out.rglob("*") if p.is_file()] == [path]
        assert path.read_text() == text


def test_a_file_where_damaged_ones_go_is_told(whole, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(whole[0], out)
    (out / "damaged").write_text("")
    next(out.rglob("result.json")).write_text("{}")
    with pytest.raises(IdimError, match=r"damaged' is no folder; remove it"):
        execute(planned(), out, jobs=1)


def test_two_processes_in_one_folder_do_not_meet(tmp_path):
    wanted = planned()
    with alone(tmp_path), pytest.raises(IdimError, match="another idim is at work in"):
        execute(wanted, tmp_path, jobs=1)
    assert not (tmp_path / "sweep.json").exists()
    spec = wanted.specs[0]
    with alone(Store(tmp_path).run(spec).folder), pytest.raises(IdimError, match="another idim"):
        run(spec, tmp_path)
    assert run(spec, tmp_path).steps == 20
