"""scripts/publish.py: blocks go where they belong, and hold what the measured files say."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import blocks
import cells
import publish

ROOT = Path(__file__).resolve().parents[1]
LEDGER = blocks.ledger(ROOT / "scripts" / "bench.csv")


def block(page: str, name: str) -> str:
    text = (ROOT / page).read_text(encoding="utf-8")
    (found,) = re.findall(f"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", text, flags=re.DOTALL)
    return found


@pytest.fixture
def job(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("*.png"))
    shutil.copy(ROOT / "README.md", tmp_path)
    return publish.Job(tmp_path, tmp_path / "store", None, 1, measure=False, quick=True)


@pytest.mark.parametrize("name", ["sweep", "trajectory", "calibration", "bench", "speed"])
def test_a_block_is_replaced_in_its_page_and_nothing_else_is(name, job):
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    (page,) = [p for p in pages if f"<!-- {name} -->" in p.read_text(encoding="utf-8")]
    old = block(str(page.relative_to(ROOT)), name)
    job.put(name, "a \\1 new\none\n\n")
    for p in pages:
        before = p.read_text(encoding="utf-8")
        new = before.replace(f"\n{old}\n", "\na \\1 new\none\n") if p == page else before
        assert (job.root / p.relative_to(ROOT)).read_text(encoding="utf-8") == new


def test_a_block_that_no_page_or_two_pages_have_is_refused(job):
    with pytest.raises(SystemExit, match="0 pages have a block 'weather'"):
        job.put("weather", "sunny")
    (job.docs / "second.md").write_text("<!-- bench -->\n<!-- /bench -->\n")
    with pytest.raises(SystemExit, match="2 pages have a block 'bench'"):
        job.put("bench", "fast")


def test_toy_numbers_never_reach_the_pages_themselves():
    with pytest.raises(SystemExit, match="--quick makes toy numbers"):
        publish.main(["--quick", "--only", "bench"])


def test_times_are_those_of_the_ledger():
    assert block("docs/speed.md", "bench") == blocks.bench(LEDGER)
    assert block("README.md", "speed") == blocks.speed(LEDGER)


def test_the_calibration_that_is_printed_is_the_one_that_is_stored():
    rows = json.loads((ROOT / "docs" / "calibration.json").read_text(encoding="utf-8"))
    printed = block("docs/estimate.md", "calibration").splitlines()
    assert [cells.line(row) for row in rows if cells.line(row) not in printed] == []
    assert "\n".join(printed[-2:]) == blocks.coverage(rows)


def cell(world, covers, budget="24", truth=""):
    return {"world": world, "truth": truth, "budget": budget, "covers": covers}


def test_worlds_whose_intervals_are_too_narrow_are_named():
    rows = [
        cell("plain", 0.95), cell("humps", 0.5), cell("humps", 0.02, "100"), cell("flat", 0.995),
        cell("rows", 0.89, "grid 3", "all rows"), cell("none", None), cell("edge", 0.9),
    ]  # fmt: skip
    assert blocks.coverage(rows) == (
        "In 3 of 6 rows fewer than 90% of the 95% intervals held d90: humps (50% at 24 runs, 2% at "
        "100 runs); rows, d90 of all rows (89% at grid 3).\n"
        "In 1 row more than 99% did: there they are wider than need be."
    )
    assert blocks.coverage(rows[:1]).startswith("In 0 of 1 rows fewer than 90% of the 95% ")
    assert "held d90.\nIn 0 rows more" in blocks.coverage(rows[:1])


def checkpoint(model, mean, d90=None, over=None, interval=None, missing=None):
    return {"model": model, "baseline": {"mean": mean}, "d90": d90, "d90_under": None,
            "d90_over": over, "interval": interval, "missing": missing}  # fmt: skip


OWN = [
    checkpoint("m@0", 0.5, missing="a constant answer passes"),
    checkpoint("m", 0.95, d90=400, interval=[100, None]),
]
ONE = [checkpoint("m@0", 0.5, over=3000), OWN[1]]


@pytest.mark.parametrize(
    ("rows", "to_last", "lines", "end"),
    [
        (OWN, None, {}, "0.950 | 400 (100 or above) |"),
        (OWN, {"rows": ONE}, {"lines": "both"}, "0.950 | 400 (100 or above) | > 3,000 |"),
        (ONE, None, {"lines": "one"}, "0.950 | 400 (100 or above) | > 3,000 |"),
    ],
)
def test_a_trajectorys_table_says_what_was_measured(rows, to_last, lines, end):
    record = {**lines, "tasks": [{"task": "rte", "rows": rows, "to_last": to_last}]}
    heads, _, row = blocks.trajectory(record, {"rte": (0.5, 0.62)}).splitlines()
    assert row == f"| rte | 0.500 | 0.620 | 0.500 | {end}"
    assert heads.count("|") == row.count("|")


@pytest.mark.slow
def test_each_part_but_the_notebook_runs(job, tmp_path):
    parts = [name for name in publish.PARTS if name != "notebook"]
    words = ["--quick", "--root", str(tmp_path), "--store", str(job.store), "--only", *parts]
    publish.main(words)
    assert "toy on toy" in (tmp_path / "README.md").read_text(encoding="utf-8")
    figures = {p.name for p in (tmp_path / "docs").glob("*.png")}
    assert figures == {"sweep.png", "trajectory.png", "calibration.png"}
