r"""Measure how the best learning rate moves with d, from the stores of sweeps over a grid of rates.

At each d the best rate is the top of a parabola in log lr through the best mean score and its two
neighbours.  The law lr = c (D/d)^a is fitted to it, and for some a the score is given that the law
loses against the best rate at each d, with the c that suits it best: what a wrong law costs.

Example:
  idim sweep --model digits-mlp --d 25,100,400,1000 --seeds 5 \
    lr_multiples=0.5,1,2,4,8,16,32,64 --out idim-out/rates
  python scripts/lr_transfer.py idim-out/rates --plot rates.png
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from idim.store import Store
from idim.sweeps.outcomes import outcomes, space_of

LAWS = (0.5, 0.65, 0.8, 1.0)
RESAMPLES = 500


@dataclass(frozen=True)
class Rates:
    """Scores of one sweep by d: rates (rates,) in rising order, scores (rates, seeds)."""

    name: str
    D: int
    lr_full: float
    by_d: dict[int, tuple[np.ndarray, np.ndarray]]


def read(folder: Path) -> Rates:
    """Read a sweep's store; a run without a score counts as 0, as a diverged one deserves."""
    sweep = Store(folder).sweep()
    space = space_of(sweep)
    found: dict[int, dict[float, dict[int, float]]] = {}
    for o in outcomes(Store(folder), space).values():
        if o.run.d is not None and o.run.stop_at is None:
            score = o.score(sweep["metric"]).score
            found.setdefault(o.run.d, {}).setdefault(o.run.lr, {})[o.run.seed] = score or 0.0
    by_d = {}
    for d, rates in sorted(found.items()):
        seeds = sorted(set.intersection(*(set(s) for s in rates.values())))
        lrs = sorted(rates)
        by_d[d] = np.array(lrs), np.array([[rates[lr][s] for s in seeds] for lr in lrs])
    full = sorted(space.spec.baseline_lr)
    return Rates(folder.name, space.D, (full[0] * full[-1]) ** 0.5, by_d)


def top(lrs: np.ndarray, means: np.ndarray) -> float:
    """Return the natural logarithm of the best rate."""
    x, i = np.log(lrs), int(means.argmax())
    if i in (0, len(x) - 1):
        return float(x[i])
    a, b, _ = np.polyfit(x[i - 1 : i + 2], means[i - 1 : i + 2], 2)
    return float(np.clip(-b / (2 * a), x[i - 1], x[i + 1])) if a < 0 else float(x[i])


def spread(lrs: np.ndarray, scores: np.ndarray) -> float:
    """Return the standard error of `top` over seeds, by a bootstrap; nan for one seed."""
    n = scores.shape[1]
    if n < 2:
        return math.nan
    draws = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    return float(np.std([top(lrs, scores[:, pick].mean(axis=1)) for pick in draws]))


def regret(rates: Rates, a: float) -> tuple[float, float, float]:
    """Return the multiple of lr_full for which the law loses least, its mean and its worst loss."""
    multiples = np.exp2(np.arange(-4, 10, 0.25))
    lost = np.zeros((len(multiples), len(rates.by_d)))
    for k, (d, (lrs, scores)) in enumerate(rates.by_d.items()):
        means, x = scores.mean(axis=1), np.log(lrs)
        at = np.log(multiples * rates.lr_full * (rates.D / d) ** a)
        # a rate outside those tried has no score and so no place here
        inside = (at >= x[0] - 1e-9) & (at <= x[-1] + 1e-9)
        lost[:, k] = np.where(inside, means.max() - np.interp(at, x, means), np.inf)
    best = int(lost.mean(axis=1).argmin())
    return float(multiples[best]), float(lost[best].mean()), float(lost[best].max())


def measure(rates: Rates) -> dict[str, Any]:
    """Return the best rate at each d, the law through them and what other laws lose."""
    tops = np.array([top(lrs, s.mean(axis=1)) for lrs, s in rates.by_d.values()])
    errors = np.array([spread(lrs, s) for lrs, s in rates.by_d.values()])
    x = np.log(rates.D / np.array(list(rates.by_d)))
    a, c = np.polyfit(x, tops, 1)
    left = tops - a * x - c
    freedom = len(x) - 2
    error = math.sqrt((left @ left) / freedom / ((x - x.mean()) ** 2).sum()) if freedom else None
    return {
        "name": rates.name, "D": rates.D, "d": list(rates.by_d), "lr": np.exp(tops).tolist(),
        "error": errors.tolist(), "multiple": (np.exp(tops - x / 2) / rates.lr_full).tolist(),
        "seeds": [s.shape[1] for _, s in rates.by_d.values()],
        "a": float(a), "a_error": error, "laws": {str(law): regret(rates, law) for law in LAWS},
    }  # fmt: skip


def show(found: dict[str, Any]) -> None:
    """Print one sweep."""
    error = "" if found["a_error"] is None else f" ± {found['a_error']:.2f}"
    print(f"{found['name']} (D = {found['D']:,}): lr ~ (D/d)^{found['a']:.2f}{error}")
    print("        d  seeds   best lr  x sqrt(D/d) lr_full")
    for d, n, lr, error, multiple in zip(
        *(found[k] for k in ("d", "seeds", "lr", "error", "multiple")), strict=True
    ):
        about = "" if math.isnan(error) else f"  (within a factor of {math.exp(2 * error):.2f})"
        print(f"{d:9,}  {n:5}  {lr:8.3g}  {multiple:8.1f}{about}")
    for law, (multiple, mean, worst) in found["laws"].items():
        print(
            f"  a = {law}: best c {multiple:.3g} lr_full, loses {mean:.4f} (at worst {worst:.4f})"
        )


def draw(every: list[dict[str, Any]], path: Path) -> None:
    """Plot the best rate, over lr_full sqrt(D/d), against d."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    ax = figure.subplots()
    colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
    for i, found in enumerate(every):
        ax.plot(
            found["d"], found["multiple"], "o-", ms=4, lw=1.2, color=colours[i % len(colours)],
            label=f"{found['name']}: a = {found['a']:.2f}",
        )  # fmt: skip
    ax.set(
        xscale="log", yscale="log", xlabel="d",
        ylabel="best learning rate, times lr_full sqrt(D/d)",
    )  # fmt: skip
    ax.set_yscale("log", base=2)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend(fontsize=8, frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=160)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sweeps", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--plot", type=Path, help="a PNG of all sweeps")
    given = parser.parse_args()
    every = [measure(read(folder)) for folder in given.sweeps]
    for found in every:
        show(found)
    if given.plot:
        draw(every, given.plot)


if __name__ == "__main__":
    main()
