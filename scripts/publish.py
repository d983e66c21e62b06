"""Make all published blocks and figures of README.md and docs anew: no number is typed by hand.

What stands between `<!-- name -->` and `<!-- /name -->` of a page is replaced by what the
commands print.  A part that was stopped goes on where it was: runs and trials are kept in --store.

Example:
  python scripts/publish.py                                    # everything; hours on two cores
  python scripts/publish.py --only sweep bench                 # some of: see PARTS
  python scripts/publish.py --quick --root /tmp/pages          # toy sizes into copies of the pages
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import copy
from typing import Any

import bag_of_words
import blocks
import executed

HERE = Path(__file__).resolve().parents[1]
# The trials that are published are not those that the search was tuned on.
FIRST = 200_000


@dataclass(frozen=True, slots=True)
class Job:
    """Where to read, to work and to write, and how much."""

    # Holds README.md and docs.
    root: Path
    # Folder of stores, kept.
    store: Path
    jobs: int | None
    trials: int
    measure: bool
    quick: bool

    @property
    def docs(self) -> Path:
        """Folder of the pages and figures."""
        return self.root / "docs"

    def idim(self, *words: str) -> str:
        """Run a command of idim in the store, as a newcomer does in an empty folder: its stdout."""
        jobs = ("--jobs", str(self.jobs)) if self.jobs else ()
        return output("-m", "idim", *words, *jobs, at=self.store)

    def put(self, name: str, text: str) -> None:
        """Replace the block of that name in the one page that has it."""
        pages = [self.root / "README.md", *sorted(self.docs.glob("*.md"))]
        marks = f"<!-- {name} -->", f"<!-- /{name} -->"
        places = [p for p in pages if all(m in p.read_text(encoding="utf-8") for m in marks)]
        if len(places) != 1:
            raise SystemExit(f"error: {len(places)} pages have a block '{name}'; one must.")
        page = places[0].read_text(encoding="utf-8")
        pattern = re.compile(f"{marks[0]}.*?{marks[1]}", re.DOTALL)
        new = f"{marks[0]}\n{text.rstrip()}\n{marks[1]}"
        places[0].write_text(pattern.sub(lambda _: new, page), encoding="utf-8")
        print(f"  block '{name}' of {places[0].relative_to(self.root)}", flush=True)

    def keep(self, figure: Path, name: str) -> None:
        """Copy a figure to docs."""
        copy(figure, self.docs / name)
        print(f"  docs/{name}", flush=True)


def output(*words: str, at: Path) -> str:
    """Run Python and return what it prints; its progress goes to this terminal."""
    print(f"  {' '.join(words)}", flush=True)
    environment = blocks.environment(HERE)
    done = subprocess.run(
        [sys.executable, *words], cwd=at, env=environment, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"error: that ended with exit code {done.returncode}.")
    return done.stdout


def sweep(job: Job) -> None:
    """The default sweep: all it prints, and its figure."""
    out = job.store / "idim-out" / "paraphrase-tiny-fastfood-did"
    words: tuple[str, ...] = ()
    if job.quick:
        out = job.store / "idim-out" / "quick"
        words = ("--model", "toy", "--d", "5,20", "--lr", "4", "--seeds", "2", "--steps", "200",
                 "--baseline", "1", "--out", "idim-out/quick")  # fmt: skip
    job.put("sweep", blocks.fenced(job.idim("sweep", *words)))
    job.keep(out / "curve.png", "sweep.png")


def trajectory(job: Job) -> None:
    """The trajectory of the model in the box: all it prints, its figure, the bag of words."""
    out = job.store / "idim-out" / "trajectory"
    words = ("--config", str(HERE / "configs" / "trajectory_tiny.toml"))
    if job.quick:
        words = ("--models", "tiny@0,tiny@300", "--tasks", "sentiment", "--d", "10,20", "--lr",
                 "1", "--seeds", "1", "--steps", "2", "--eval-samples", "50", "--baseline-lr",
                 "0.001", "--threads", "1")  # fmt: skip
    printed = job.idim("trajectory", *words)
    record = json.loads((out / "trajectory.json").read_text(encoding="utf-8"))
    bags = {part["task"]: bag_of_words.score(part["task"]) for part in record["tasks"]}
    job.put("trajectory", f"{blocks.trajectory(record, bags)}\n\n{blocks.fenced(printed)}")
    job.keep(out / "trajectory.png", "trajectory.png")


def calibration(job: Job) -> None:
    """The calibration: its table, its figure, and its rows as JSON."""
    stem = job.store / "calibration"
    words = ["--trials", str(job.trials), "--first", str(FIRST), "--jobs", str(job.jobs or 1)]
    if job.quick:
        words = ["--trials", "2", "--worlds", "digits", "--budgets", "14"]
    words += ["--out", f"{stem}.jsonl", "--plot", f"{stem}.png"]
    printed = output(str(HERE / "scripts" / "calibrate.py"), *words, at=job.store)
    rows = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
    job.put("calibration", f"{blocks.fenced(printed)}\n\n{blocks.coverage(rows)}")
    job.keep(stem.with_suffix(".png"), "calibration.png")
    job.keep(stem.with_suffix(".json"), "calibration.json")


def bench(job: Job) -> None:
    """Times and memory: the newest row of each case of the ledger, measured now if asked for."""
    if job.measure:
        output(str(HERE / "scripts" / "bench.py"), "--record", at=job.store)
    rows = blocks.ledger(HERE / "scripts" / "bench.csv")
    job.put("bench", blocks.bench(rows))
    job.put("speed", blocks.speed(rows))


def first_d90(job: Job) -> None:
    """The notebook: run from its first cell to its last, with what it printed and drew."""
    executed.renew(job.docs / "first_d90.ipynb", HERE)
    print("  docs/first_d90.ipynb", flush=True)


PARTS: dict[str, Callable[[Job], None]] = {
    "sweep": sweep, "trajectory": trajectory, "calibration": calibration, "bench": bench,
    "notebook": first_d90,
}  # fmt: skip


def main(words: list[str] | None = None) -> None:
    given = parser().parse_args(words)
    root, store = given.root.resolve(), given.store.resolve()
    if given.quick and root == HERE:
        raise SystemExit("error: --quick makes toy numbers; give --root, a folder with copies.")
    store.mkdir(parents=True, exist_ok=True)
    job = Job(root, store, given.jobs, given.trials, given.measure, given.quick)
    for name in given.only:
        began = time.monotonic()
        print(f"{name}: {(PARTS[name].__doc__ or '').rstrip('.')}", flush=True)
        PARTS[name](job)
        print(f"  {time.monotonic() - began:.0f} s", flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add: Callable[..., Any] = made.add_argument
    add("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART",
        help=f"of {', '.join(PARTS)}; all by default")  # fmt: skip
    add("--jobs", type=int, help="processes; by default as each command chooses")
    add("--trials", type=int, default=400, help="calibration: trials a world and budget")
    add("--measure", action="store_true", help="bench: measure first, about eight minutes")
    add("--store", type=Path, default=Path("idim-out/publish"), help="where runs are kept")
    add("--root", type=Path, default=HERE, help="whose README.md and docs are renewed")
    add("--quick", action="store_true", help="toy sizes, to try this script on copies")
    return made


if __name__ == "__main__":
    main()
