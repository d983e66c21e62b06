"""Calibrate d90 in worlds of known crossing: coverage, error and cost of searches and grids.

Scores are made up (scripts/worlds.py), the search and the estimator are the real ones.  Each trial
is a line of a file as soon as it is done: a killed calibration goes on where it was, and more
trials are added to those there are.  Trials of other code than today's are left alone there.

Example:
  python scripts/calibrate.py --trials 400 --jobs 2
  python scripts/calibrate.py --worlds "two humps" digits --budgets 24 100 --first 200000
"""

import argparse
import copy
import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cells
from worlds import D_MAX, D_MIN, WORLDS, D, Trial, World

from idim.config import RunSpec, SweepSpec
from idim.estimate import Score, estimate
from idim.search import Space, Strategy, paper_grid, strategy

ROOT = Path(__file__).resolve().parents[1]
# What decides a trial's result.
CODE = ("idim/estimate", "idim/search", "scripts/calibrate.py", "scripts/worlds.py")
SETTING = {
    "model": "digits-mlp", "task": "digits", "epochs": 20.0, "batch_size": 64, "device": "cpu",
    "baseline_lr": (0.003, 0.01, 0.03),
}  # fmt: skip
ADAPTIVE = {"search": "adaptive", "d_min": D_MIN, "d_max": D_MAX}
# Eight values of d, a factor of 2.7 apart.
GRID = {"search": "grid", "d": paper_grid(D_MIN, D_MAX, 8)}
# Settings of the sweep, by name.
BUDGETS: dict[str, dict[str, Any]] = {
    # each sweep of `idim trajectory`
    "14": {**ADAPTIVE, "max_runs": 14, "tolerance": 2.0, "seeds": 2},
    # the default sweep
    "24": {**ADAPTIVE, "max_runs": 24},
    "100": {**ADAPTIVE, "max_runs": 100},
    "grid 3": {**GRID, "seeds": 3},
    "grid 5": {**GRID, "seeds": 5},
    # every d of the papers: slow, and measured when it is asked for
    "paper": {"search": "grid", "d": paper_grid(D_MIN, D_MAX, 999), "seeds": 5},
}
USED = tuple(name for name in BUDGETS if name != "paper")


@dataclass(frozen=True)
class Quick(Space):
    """A space whose runs are checked once: a search asks for thousands that differ in d and lr."""

    def run(self, d: int | None, lr: float, seed: int, stop_at: float | None = None) -> RunSpec:
        """Return the spec of one run."""
        run = copy.copy(self.patterns[d is None])
        for name, value in (("d", d), ("lr", lr), ("seed", seed), ("stop_at", stop_at)):
            object.__setattr__(run, name, value)
        return run

    @cached_property
    def patterns(self) -> tuple[RunSpec, RunSpec]:
        """A run in a subspace and one of the baseline."""
        return super().run(1, 1.0, 0), super().run(None, 1.0, 0)


def space(world: World, settings: dict[str, Any]) -> Space:
    """Return the setting of a world's sweeps."""
    spec = SweepSpec(**{**SETTING, **settings, **world.settings})
    return Quick(spec, D, 6, {"model_fingerprint": "m", "data_fingerprint": "r"})


def search(trial: Trial, settings: dict[str, Any]) -> tuple[list[Score], float, str, Strategy]:
    """Run a search to its end: the scores, its cost in full runs, why it stopped, itself."""
    one = strategy(space(trial.world, settings))
    going = one.runs()
    scores: list[Score] = []
    full, early = set(), set()
    try:
        batch = next(going)
        while True:
            found = [trial.score(run) for run in batch]
            for run, score in zip(batch, found, strict=True):
                (full if run.stop_at is None else early).add((run.d, run.lr, run.seed))
                scores += [score] if run.stop_at is None else []
            batch = going.send(found)
    except StopIteration as stop:
        return scores, len(full) + 0.25 * len(early - full), stop.value, one


def measure(world: str, budget: str, number: int) -> dict[str, Any]:
    """Measure d90 once: what was found, the truth beside it."""
    trial = Trial(world, number)
    scores, runs, why, by = search(trial, BUDGETS[budget])
    base: Any = by.spec.baseline
    found = estimate(scores, baseline=base, credits=trial.credits)
    return {
        "world": world, "budget": budget, "number": number, "why": why, "runs": runs,
        "ds": len({s.d for s in scores if s.d}),
        "truths": {name: d if d < math.inf else None for name, d in trial.truths.items()},
        "d90": found.fit.at, "interval": found.fit.interval, "smallest": found.smallest.d,
        "notes": found.notes,
    }  # fmt: skip


def one(key: tuple[str, str, int]) -> dict[str, Any]:
    """As `measure`, as it is read back from a file."""
    return json.loads(json.dumps(measure(*key)))


def code() -> str:
    """Return a digest of what decides a trial's result."""
    files = (f for c in CODE for f in sorted([ROOT / c, *(ROOT / c).rglob("*.py")]) if f.is_file())
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:12]


def known(path: Path) -> list[dict[str, Any]]:
    """Return the trials of today's code that a file holds; a line cut short by a kill is none."""
    if not path.exists():
        return []
    rows, today = [], code()
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return [row for row in rows if row.pop("code") == today]


def trials(
    path: Path, worlds: Iterable[str], budgets: Iterable[str], numbers: Sequence[int], jobs: int = 1
) -> Iterator[list[dict[str, Any]]]:
    """Yield the trials of each world and budget; those that a file lacks are done and appended."""
    have = {(r["world"], r["budget"], r["number"]): r for r in known(path)}
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = {"code": code()}
    with path.open("a+") as file, ProcessPoolExecutor(jobs) as pool:
        file.seek(0)
        file.write("\n" if file.read()[-1:] not in ("", "\n") else "")
        for world, budget in itertools.product(worlds, budgets):
            cell = [(world, budget, number) for number in numbers]
            left = [key for key in cell if key not in have]
            found = pool.map(one, left, chunksize=5) if jobs > 1 else map(one, left)
            for key, row in zip(left, found, strict=True):
                file.write(json.dumps(row | mark) + "\n")
                file.flush()
                have[key] = row
            yield [have[key] for key in cell]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS), metavar="W")
    parser.add_argument("--budgets", nargs="+", choices=BUDGETS, default=USED, metavar="B")
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("idim-out/calibration.jsonl"))
    parser.add_argument("--plot", type=Path, help="a figure, with the table as .json beside it")
    given = parser.parse_args()
    numbers = range(given.first, given.first + given.trials)
    print(cells.HEADER)
    rows = []
    for found in trials(given.out, given.worlds, given.budgets, numbers, given.jobs):
        for row in cells.summaries(found):
            print(cells.line(row), flush=True)
            rows.append(row)
    print(cells.FOOTER)
    if given.plot:
        cells.draw(rows, given.plot)
        given.plot.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
