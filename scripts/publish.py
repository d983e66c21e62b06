"""Put measured tables and figures into README.md: no number there is typed by hand.

Example:
  python scripts/refresh_readme.py               # the default sweep, run now, and the rest
  python scripts/refresh_readme.py --bench       # the ledger's newest rows alone
  python scripts/refresh_readme.py --trajectory  # the default trajectory with both lines, run now
"""

import csv
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import copy
from typing import Any

from bag_of_words import score as bag_of_words

from idim.report.words import crossing, interval

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    only = {name for name in ("bench", "sweep", "trajectory") if f"--{name}" in sys.argv}
    for name, make in (("bench", bench), ("sweep", sweep), ("trajectory", trajectory)):
        if not only or name in only:
            replace(name, make())


def sweep() -> str:
    """Run the default sweep; keep its figure; return its table."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "idim", "sweep", "--out", out]
        table = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        copy(Path(out) / "curve.png", ROOT / "docs" / "sweep.png")
    return f"```\n{table.rstrip()}\n```"


def trajectory() -> str:
    """Run the default trajectory to both lines; keep its figure; return its tables."""
    out = ROOT / "idim-out" / "trajectory"
    command = [sys.executable, "-m", "idim", "trajectory", "--lines", "both", "--out", str(out)]
    table = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    copy(out / "trajectory.png", ROOT / "docs" / "trajectory.png")
    record = json.loads((out / "trajectory.json").read_text(encoding="utf-8"))
    lines = [
        "| task | constant answer | bag of words | full, `tiny@0` | full, `tiny` "
        "| d90, `tiny` | `tiny@0` to the same line |",
        "|---|---|---|---|---|---|---|",
    ]
    for part in record["tasks"]:
        constant, bag = bag_of_words(part["task"])
        first, last = part["rows"][0], part["rows"][-1]
        cells = [part["task"], f"{constant:.3f}", f"{bag:.3f}"]
        cells += [f"{row['baseline']['mean']:.3f}" for row in (first, last)]
        cells += [said(last), said(part["to_last"]["rows"][0]) if part["to_last"] else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", "```", table.rstrip(), "```"])


def said(row: dict[str, Any]) -> str:
    """Say d90 of a checkpoint and its interval."""
    if row["missing"]:
        return f"none: {row['missing']}"
    found = crossing(row["d90"], row["d90_under"], row["d90_over"])
    return f"{found} ({interval(row['interval'])})" if row["d90"] and row["interval"] else found


def bench() -> str:
    """Return the newest row of each case of the ledger as a table."""
    with (ROOT / "scripts" / "bench.csv").open(newline="") as f:
        rows = {(r["part"], r["case"], r["dtype"], r["kernels"]): r for r in csv.DictReader(f)}
    latest = max(rows.values(), key=lambda r: r["date"])
    out = [
        f"On {latest['cores']} cores of {latest['cpu']}, torch {latest['torch']}, "
        f"{latest['date']}; D = {22_713_986:,}, d = 1,000 unless the case says otherwise.",
        "",
        "| part | case | dtype | kernels | median | ratio | bytes a parameter | process peak |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in rows.values():
        ms = f"{float(r['ms']):.4g} ms" if r["ms"] else ""
        ratio = f"{float(r['ratio']):.2f} x {r['against']}" if r["ratio"] else ""
        size = f"{float(r['bytes_per_parameter']):.2f}" if r["bytes_per_parameter"] else ""
        peak = f"{float(r['peak_mib']):.0f} MiB" if r["peak_mib"] else ""
        out.append(
            f"| {r['part']} | {r['case']} | {r['dtype']} | {r['kernels']} | {ms} | {ratio} "
            f"| {size} | {peak} |"
        )
    return "\n".join(out)


def replace(name: str, block: str) -> None:
    """Put a block between README.md's markers of that name."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    pattern = f"<!-- {name} -->.*?<!-- /{name} -->"
    new = f"<!-- {name} -->\n{block}\n<!-- /{name} -->"
    readme.write_text(re.sub(pattern, lambda _: new, text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
