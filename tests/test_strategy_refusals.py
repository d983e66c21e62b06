"""A strategy is anyone's code: what it asks for is checked where it comes in, and named."""

import math
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from idim.cli import app
from idim.config import SweepSpec, load
from idim.errors import CodeFailed, IdimError, Misled
from idim.estimate import Score
from idim.report import table
from idim.search import STRATEGIES, Done, Strategy
from idim.search.asked import MOST_IDLE
from idim.store import Store
from idim.sweeps import execute, plan, summarise, write

WORDS = {"model": "toy", "baseline": 1.0, "steps": 20, "seeds": 1, "search": "mine"}
AGAIN = f"strategy 'mine' asked for nothing new {MOST_IDLE} times in a row; it must return why"


@pytest.fixture
def enter():
    """Enter a generator function as the runs of a strategy, and plan a sweep by it."""

    def planned(runs, **more):
        STRATEGIES["mine"] = type("Mine", (Strategy,), {"runs": runs})
        return plan(load(SweepSpec, None, {**WORDS, **more}))

    yield planned
    if "mine" in STRATEGIES:
        del STRATEGIES["mine"]


def yields(make):
    """Return a strategy that asks for one batch."""

    def runs(self):
        yield make(self.space)
        return "it is over"

    return runs


def same_for_ever(self):
    while True:
        yield [self.space.run(5, 0.1, 0)]


def nothing_for_ever(self):
    while True:
        yield []


def turns_for_ever(self):
    while True:
        for d in (5, 6):
            yield [self.space.run(d, 0.1, 0)] * 2


def raises_at_once(self):
    raise ValueError("oh no\nand more")
    yield


def raises_later(self):
    yield [self.space.run(5, 0.1, 0)]
    raise KeyError("gone")


def leaves(self):
    yield [self.space.run(5, 0.1, 0)]
    raise SystemExit(0)


def changed(**fields):
    return yields(lambda space: [space.run(5, 0.1, 0), replace(space.run(6, 0.1, 0), **fields)])


def run(*about):
    return yields(lambda space: [space.run(*about)])


REFUSED = {
    "the same": (same_for_ever, AGAIN),
    "nothing": (nothing_for_ever, AGAIN),
    "in turns": (turns_for_ever, AGAIN),
    "a list of None": (yields(lambda _: [None]), "strategy 'mine' asks for None, not for a run"),
    "None": (yields(lambda _: None), "strategy 'mine' yields None, not a list of runs"),
    "a run": (
        yields(lambda s: s.run(5, 0.1, 0)),
        "strategy 'mine' yields a value of type RunSpec, not",
    ),
    "a text": (yields(lambda _: "d=5"), "strategy 'mine' yields a value of type str, not a list"),
    "a size": (
        yields(lambda _: [5]),
        "strategy 'mine' asks for a value of type int, not for a run",
    ),
    "no generator": (
        lambda s: [s.space.run(5, 0.1, 0)],
        "runs() returns a value of type list and must",
    ),
    "no generator, None": (lambda _: None, "strategy 'mine': runs() returns None and must be a"),
    "raises": (raises_at_once, "strategy 'mine' raised ValueError: oh no; IDIM_DEBUG=1 shows its"),
    "raises later": (raises_later, "strategy 'mine' raised KeyError: 'gone'; IDIM_DEBUG=1 shows"),
    "leaves": (leaves, "strategy 'mine' raised SystemExit: 0; "),
    "weight decay": (changed(weight_decay=0.5, lr=0.2), "whose weight_decay is 0.5, and 0 in its"),
    "clip": (changed(clip=1.0), "asks for a run whose clip is 1, and None in its sweep"),
    "sgd": (changed(optimizer="sgd"), "asks for a run whose optimizer is 'sgd', and 'adamw' in"),
    "no row": (changed(stacked=False), "asks for a run whose stacked is False, and True in its"),
    "rows": (changed(data_fingerprint="x"), "asks for a run whose data_fingerprint is 'x', and"),
    "place": (changed(data="x"), "asks for a run whose data is 'x', and None in its sweep"),
    "two sizes": (changed(size=3), "asks for a run whose size is 3, and None in its sweep"),
    "a full d": (changed(method="full"), "asks for a run whose d is 6, and None in its sweep"),
    "d above D": (run(1001, 0.1, 0), "strategy 'mine': d=1001 must lie between 1 and D=1000"),
    "d far above D": (run(10**15, 0.1, 0), "strategy 'mine': d must be at most 1,000,000,000"),
    "d of 0": (run(0, 0.1, 0), "strategy 'mine': d must be at least 1, got 0"),
    "d of -5": (run(-5, 0.1, 0), "strategy 'mine': d must be at least 1, got -5"),
    "d of 1.5": (run(1.5, 0.1, 0), "strategy 'mine': d: expected int, got 1.5"),
    "d is true": (run(True, 0.1, 0), "strategy 'mine': d: expected int, got True"),
    "lr of 0": (run(5, 0, 0), "strategy 'mine': lr must be above 0, got 0"),
    "lr is NaN": (run(5, math.nan, 0), "strategy 'mine': lr must be above 0, got nan"),
    "lr is infinite": (run(5, math.inf, 0), "strategy 'mine': lr must be at most 1e+38, got inf"),
    "lr below 0": (run(None, -1.0, 0), "strategy 'mine': lr must be above 0, got -1"),
    "seed below 0": (run(5, 0.1, -1), "strategy 'mine': seed must be at least 0, got -1"),
    "seed is true": (run(5, 0.1, True), "strategy 'mine': seed: expected int, got True"),
    "seed is a half": (run(5, 0.1, 0.5), "strategy 'mine': seed: expected int, got 0.5"),
    "stop after all": (run(5, 0.1, 0, 1.0), "strategy 'mine': stop_at is a share of the steps"),
}


def answered(planned):
    """Answer a search as if every run had been trained; return why it is over."""
    known = {}
    while not isinstance(coming := planned.next_runs(known), Done):
        assert coming
        known |= {r.id: Score(r.measure, r.lr, r.seed, r.measure or 1, None, 0.5) for r in coming}
    return coming.why


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_run_of_the_sweep_is_refused_in_one_line(enter, name):
    runs, line = REFUSED[name]
    with pytest.raises(IdimError) as found:
        answered(enter(runs))
    said = str(found.value)
    assert line in said
    assert said.startswith("strategy 'mine'")
    assert "\n" not in said
    assert found.value.exit_code == (1 if " raised " in said else 2)


@pytest.mark.parametrize("name", [n for n in REFUSED if n not in ("the same", "in turns")])
def test_nothing_of_a_refused_batch_is_trained(enter, tmp_path, name):
    planned = enter(REFUSED[name][0])
    with pytest.raises((Misled, CodeFailed)):
        execute(planned, tmp_path, jobs=1)
    trained = [r.spec().id for r in Store(tmp_path).runs()]
    assert len(trained) == ("later" in name or name == "leaves")


def test_what_every_run_may_differ_in_is_the_strategy_s_to_choose(enter):
    def runs(self):
        yield (self.space.run(None, 0.3, 7), replace(self.space.run(5, 0.1, 0), lr=0.2, seed=3))
        yield [replace(self.space.run(5, 0.1, 0), d=6, stop_at=0.25)]
        for _ in range(MOST_IDLE - 1):
            yield []
        yield [self.space.run(7, 1, 0)]
        return "all four"

    assert answered(enter(runs)) == "all four"


def test_a_run_that_is_asked_for_twice_is_trained_once_and_scored_twice(enter, tmp_path):
    sent = []

    def runs(self):
        one, other = self.space.run(5, 0.1, 0), self.space.run(6, 0.1, 0)
        sent.append((yield [one, one, other, one]))
        sent.append((yield [other, one]))
        return f"{len(sent[-2])} and {len(sent[-1])} scores"

    planned = enter(runs)
    assert [r.d for r in planned.specs] == [5, 6]
    found = execute(planned, tmp_path, jobs=1)
    assert (found.runs.total, found.runs.done) == (2, 2)
    assert found.search.why == "4 and 2 scores"
    first, second = sent[-2:]
    assert [s.d for s in first] == [5, 5, 6, 5]
    assert first[0] == first[1] == first[3] == second[1]
    assert second[0] == first[2]


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        (None, "its strategy gave no reason"),
        ("", "its strategy gave no reason"),
        (" \n", "its strategy gave no reason"),
        (7, "its strategy gave no reason"),
        ("two\n  lines", "two lines"),
    ],
)
def test_a_search_that_has_returned_is_over_whatever_it_returns(enter, tmp_path, reason, why):
    def runs(self):
        yield [self.space.run(5, 0.1, 0)]
        return reason

    found = execute(enter(runs), tmp_path, jobs=1)
    write(found, tmp_path)
    for summary in (found, summarise(tmp_path)):
        assert (summary.search.done, summary.search.why) == (True, why)
        assert f"search: 1 run; {why}" in table.text(summary)
    done = CliRunner().invoke(app, ["estimate", str(tmp_path)])
    assert (done.exit_code, f"search: 1 run; {why}" in done.stdout) == (0, True), done.output


def test_where_it_raised_is_kept_and_what_was_found_stands(enter, tmp_path):
    planned = enter(raises_later)
    with pytest.raises(CodeFailed) as found:
        execute(planned, tmp_path, jobs=1)
    log = tmp_path / "traceback.log"
    line = "strategy 'mine' raised KeyError: 'gone'"
    assert str(found.value) == f"{line}; its traceback is in {log}."
    assert "in raises_later\n" in log.read_text()
    so_far = summarise(tmp_path)
    assert (so_far.search.done, so_far.search.why, so_far.runs.done) == (False, None, 1)
    assert f"the search cannot go on: {line}." in so_far.notes
    assert [p.d for p in so_far.points] == [5]
    words = [f"{k}={v}" for k, v in WORDS.items()]
    for more, code in ((["--dry-run"], 0), ([], 1)):
        done = CliRunner().invoke(app, ["sweep", *words, "--out", str(tmp_path), *more])
        assert done.exit_code == code, done.output
        assert "internal" not in done.output
    assert done.stderr.splitlines()[-1].startswith(f"error: {line}; its traceback is in ")


def test_a_search_that_asks_for_nothing_has_a_dry_run_too(enter):
    def runs(self):
        return "nothing to do"
        yield

    said = enter(runs).lines()
    assert said[-1] == "it begins with no run"


@pytest.mark.parametrize(
    ("fields", "line"),
    [({"called": None}, "called must be what"), ({"heeds": "lr"}, "heeds must be a tuple of set")],
)
def test_what_sentences_are_made_of_is_checked_when_it_is_entered(fields, line):
    one = type("Mine", (Strategy,), {"runs": same_for_ever, **fields})
    with pytest.raises(IdimError, match=f"strategy 'mine': {line}"):
        STRATEGIES["mine"] = one
    assert "mine" not in STRATEGIES


def over(_):
    return "nothing to do"
    yield


SAYS = {
    "bound": ("many", -1, True, 0.5), "lines": ("a text", [1], None), "warnings": (None, [b"x"]),
    "must_fit": (None, 5, ["x"]), "seeds": (None, 3), "rates": ([], None),
}  # fmt: skip


@pytest.mark.parametrize(("what", "value"), [(what, v) for what in SAYS for v in SAYS[what]])
def test_what_it_says_beside_its_runs_is_checked(enter, tmp_path, what, value):
    enter(over)
    said = value if what in ("bound", "must_fit") else lambda _: value
    setattr(STRATEGIES["mine"], what, said)
    with pytest.raises(Misled, match=f"^{what} of strategy 'mine' is .*; it must be "):
        said_of_it(tmp_path)


@pytest.mark.parametrize("error", [ValueError, SystemExit])
@pytest.mark.parametrize("what", [*SAYS, "__init__"])
def test_what_raises_beside_its_runs_names_it(enter, tmp_path, what, error):
    def refuse(*_):
        raise error("oh no\nand more")

    enter(over)
    is_value = what in ("bound", "must_fit")
    setattr(STRATEGIES["mine"], what, property(refuse) if is_value else refuse)
    with pytest.raises(CodeFailed) as found:
        said_of_it(tmp_path)
    whose = "" if what == "__init__" else f"{what} of "
    assert str(found.value).startswith(f"{whose}strategy 'mine' raised {error.__name__}: oh no; ")


def said_of_it(out):
    """Have everything said that a sweep says of its strategy."""
    planned = plan(load(SweepSpec, None, WORDS))
    execute(planned, out, jobs=1)
    return planned.lines()
