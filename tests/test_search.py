"""The grid: the papers' spacing, matched learning rates, every run once; where new d go."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idim.config import RunSpec, SweepSpec, load, with_recipe
from idim.errors import IdimError
from idim.estimate import Score, Target, fit, point
from idim.search import Space, next_runs, paper_grid
from idim.search.interval import next_ds
from idim.search.strategy import together

# Aghajanyan et al. 2020, Table 1, without the one entry off the grid (RoBERTa-base DID MRPC, 1000)
TABLE_1 = {1608, 1037, 896, 207, 8030, 1200, 774, 1861, 2493, 322, 9295, 1389}
PRINTS = {"model_fingerprint": "m", "data_fingerprint": "r"}


def test_the_grid_holds_every_entry_of_the_papers_table():
    assert set(paper_grid(100, 10_000, 999)) >= TABLE_1


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(1, 60))
def test_a_thinned_grid_keeps_its_ends_and_its_order(a, b, points):
    whole, thin = paper_grid(min(a, b), max(a, b), 999), paper_grid(min(a, b), max(a, b), points)
    assert len(thin) == min(points, len(whole))
    assert list(thin) == sorted(set(thin))
    assert thin[-1] == whole[-1]
    assert set(thin) <= set(whole)


def test_default_rates_match_the_length_of_full_steps():
    spec = with_recipe(SweepSpec(model="x", task="mrpc", lr_multiples=(1.0, 16.0)))
    # anchor 9.49e-5, the geometric middle of 3e-5 and 3e-4; sqrt(D/d) = 100
    rates = Space(spec, 10**7, 49, PRINTS).rates(1000)
    assert rates == pytest.approx((0.00949, 0.152), rel=1e-2)
    tensor = with_recipe(SweepSpec(model="x", task="mrpc", lr_multiples=(1.0,), norm="tensor"))
    rates = Space(tensor, 10**7, 49, PRINTS).rates(1000)
    assert rates == pytest.approx((0.00949 / 7,), rel=1e-2)


def test_every_run_has_its_own_id_and_the_baseline_comes_first():
    spec = with_recipe(SweepSpec(model="digits-mlp", d=(10, 20), lr=(0.1, 1.0), seeds=3))
    runs = next_runs(Space(spec, 17_610, 6, PRINTS), {})
    assert [r.method for r in runs[:9]] == ["full"] * 9
    assert len({r.id for r in runs}) == len(runs) == 9 + 2 * 2 * 3


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ({"lr": 0.2}, True), ({"seed": 1}, True), ({"d": 11}, True), ({"norm": "tensor"}, True),
        ({"data_fingerprint": "y"}, True), ({"data": "/elsewhere"}, False),
        ({"model": "folder/x"}, False),
    ],
)  # fmt: skip
def test_the_id_follows_what_decides_the_result_and_nothing_else(change, moves):
    spec = {"model": "x", "task": "mrpc", "d": 10, "data_fingerprint": "r"}
    assert (RunSpec(**(spec | change)).id != RunSpec(**spec).id) is moves


def test_a_baseline_is_shared_by_all_subspaces():
    one = RunSpec(model="x", task="t", method="full")
    other = RunSpec(model="x", task="t", method="full", projection="dense", structure="said")
    assert one.id == other.id


def test_a_file_yields_to_what_is_given_and_every_mistake_is_named_at_once(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('model = "toy"\nseeds = 7\nlr = [0.1, 1]\n')
    spec = load(SweepSpec, file, {"seeds": "2"})
    assert (spec.model, spec.seeds, spec.lr) == ("toy", 2, (0.1, 1))
    file.write_text('modle = "toy"\nseed = 1\n')
    with pytest.raises(IdimError, match=r"'modle'; did you mean 'model'.*'seed'; did you mean"):
        load(SweepSpec, file, {})
    file.write_text("seeds = 'many'\nnorm = 'l2'\nlr = [-1]\n")
    with pytest.raises(IdimError, match=r"norm.*seeds: expected int.*lr must be above 0") as e:
        load(SweepSpec, file, {})
    assert "\n" not in str(e.value)
    with pytest.raises(IdimError, match=r"d: expected int, got 'many'.*unknown key 'lrs'"):
        load(SweepSpec, None, {"d": "10,many", "lrs": "3"})


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"d": "0"}, "d must be at least 1, got 0"),
        ({"d": "10", "d_min": "3"}, "give d, or d_min / d_max / points, not both"),
        ({"d_min": "30", "d_max": "3"}, "d_min 30 exceeds d_max 3"),
        ({"epochs": "1", "steps": "1"}, "give epochs or steps, not both"),
        ({"baseline": "mine"}, "baseline must be 'own' or a number, got 'mine'"),
        ({"warmup": "2"}, "at most 1"),
        ({"tolerance": "1"}, "tolerance must be above 1, got 1"),
        ({"search": "adaptive", "points": "3"}, "an adaptive search chooses d itself"),
        ({"lr": "nan"}, "lr must be above 0, got nan"),
    ],
)
def test_values_out_of_range_are_told(given, line):
    with pytest.raises(IdimError, match=line):
        load(SweepSpec, None, given)


# --- where the next runs go -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("means", "interval", "new"),
    [
        # beside the crossing first: two d in a wide gap, one in a narrow one
        ({10: 0.1, 40: 0.5, 160: 0.95}, (None, None), [63, 101]),
        ({10: 0.1, 80: 0.5, 160: 0.95}, (81, 160), [113]),
        # then beyond an open end, on either side
        ({10: 0.1, 100: 0.8, 120: 0.95}, (None, None), [400]),
        ({40: 0.5, 50: 0.95}, (None, 50), [10]),
        ({40: 0.5, 50: 0.95}, (None, None), [10, 100]),
        # then the widest gap of a closed interval
        ({10: 0.1, 50: 0.8, 120: 0.85, 150: 0.95, 160: 0.96}, (51, 160), [77]),
        # a crossing beyond all d
        ({10: 0.1, 40: 0.5}, (None, None), [100]),
        ({40: 0.95, 100: 0.97}, (None, None), [10, 400]),
        # seeds are worth more
        ({100: 0.8, 104: 0.82, 108: 0.85, 112: 0.87, 116: 0.91, 120: 0.95}, (101, 120), []),
    ],
)
def test_new_d_go_beside_the_crossing_then_beyond_open_ends_then_into_gaps(means, interval, new):
    points = [point([Score(d, 0.1, 0, d, None, m)]) for d, m in means.items()]
    found = replace(fit(1.0, points, Target(0.9)), interval=interval)
    assert next_ds(found, points, [10, 100, 400], list(means)) == new


def asking(name: str, counts: list[int], log: list[tuple[str, list[str]]]):
    for i, count in enumerate(counts):
        found = yield [f"{name}{i}.{k}" for k in range(count)]
        log.append((name, found))


def test_parts_that_go_together_have_one_batch_and_each_its_own_scores():
    log: list[tuple[str, list[str]]] = []
    both = together(asking("a", [1, 2], log), asking("b", [2], log), asking("c", [], log))
    assert next(both) == ["a0.0", "b0.0", "b0.1"]
    assert both.send(["A", "B", "C"]) == ["a1.0", "a1.1"]
    assert log == [("a", ["A"]), ("b", ["B", "C"])]
    with pytest.raises(StopIteration):
        both.send(["D", "E"])
    assert log[-1] == ("a", ["D", "E"])
    assert list(together()) == []
