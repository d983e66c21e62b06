"""Copy the checkpoints of a finished pretraining into the package, with their checksums.

python scripts/ship_weights.py idim-out/tiny tiny
"""

import shutil
import sys
from pathlib import Path

from idim.builtin.weights import HOME, SUMS, WEIGHTS, digest

SHARED = ("config.json", "tokenizer.json", "tokenizer_config.json")


def main(out: Path, family: str) -> None:
    if not (out / "result.json").is_file():
        sys.exit(f"error: '{out}' holds no finished pretraining; run idim pretrain first.")
    steps = {int(p.name.removeprefix("step-")): p for p in out.glob("step-*")}
    home = HOME / family
    shutil.rmtree(home, ignore_errors=True)
    for name in SHARED:
        _copy(steps[max(steps)] / name, home / name)
    for step, folder in steps.items():
        _copy(folder / WEIGHTS, home / str(step) / WEIGHTS)
    files = sorted(p for p in home.rglob("*") if p.is_file())
    lines = [f"{digest(p)}  {p.relative_to(home).as_posix()}\n" for p in files]
    (home / SUMS).write_text("".join(lines), encoding="utf-8")
    total = sum(p.stat().st_size for p in files)
    print(f"{len(steps)} checkpoints, {total / 1e6:.2f} MB in {home}")


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: ship_weights.py OUT FAMILY")
    main(Path(sys.argv[1]), sys.argv[2])
