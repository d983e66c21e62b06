"""What a sweep has found, for Python."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from idim import results
from idim.config import Aim
from idim.records import to_json
from idim.report import words
from idim.sweeps import At, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


class Summary(results.Summary):
    """d90 of one sweep with its evidence, as `idim sweep` prints it."""

    @property
    def record(self) -> dict[str, Any]:
        """Everything, by the keys of `idim sweep --json`, which docs/json.md explains."""
        return self.to_json()

    @classmethod
    def of(cls, found: results.Summary) -> Self:
        """Return the same with what Python users ask of it."""
        return cls(**{f.name: getattr(found, f.name) for f in fields(found)})

    def plot(self, stem: str | Path | None = None) -> "Figure":
        """Draw score against d, with the baseline, the line and d90.

        Args:
            stem: if given, writes <stem>.png and <stem>.svg too; one that ends in .png, .svg or
                .pdf is the only file.
        """
        from idim.report import figure

        if stem is not None:
            figure.draw(self, Path(stem))
        return figure.compose(self)

    def to_frame(self) -> "DataFrame":
        """Return a row for the baseline (d is NA) and for each d with a score, as in points.csv.

        Columns: d, trainable, lr, mean, std (over seeds), n (seeds), failed, passes.  `failed`
        counts the runs of this row without a score, at any learning rate; it is NA where no run
        is meant, of a fixed baseline, and in a summary.json that does not say it.
        """
        import pandas

        names = ["d", "trainable", "lr", "mean", "std", "n", "failed", "passes"]
        base = to_json(self.reference) | {"d": None, "trainable": self.D, "passes": None}
        rows = [base, *map(to_json, self.points)]
        frame = pandas.DataFrame([{name: row.get(name) for name in names} for row in rows])
        kinds = {"d": "Int64", "trainable": "Int64", "n": "Int64", "failed": "Int64"}
        return frame.astype(kinds | {"lr": float, "mean": float, "std": float, "passes": "boolean"})

    def __repr__(self) -> str:
        return f"<{words.titled(self)}: {words.setting(self)}>"

    def __str__(self) -> str:
        from idim.report.table import text

        return text(self).rstrip()


def load(
    folder: str | Path,
    threshold: float | None = None,
    *,
    target: Aim | None = None,
    baseline: str | float | None = None,
) -> Summary:
    """Read what the runs in a folder say, finished or not; trains and writes nothing.

    Args:
        folder: of a sweep, the `out` of `idim.sweep`, `idim.measure` or `idim sweep`.
        threshold: share of the baseline, or of its gain, if not the sweep's own.
        target: "papers" for a share of the baseline, "gain" for one of its gain over the better of
            a constant answer and the untrained model, if not the sweep's own.
        baseline: a score in place of full training's, or "own" for that, if not as the sweep.

    Raises:
        IdimError: the folder holds no sweep, or one with a damaged file; a threshold that is no
            share, above 0 and at most 1; another value that no sweep could be asked for.
    """
    return Summary.of(summarise(Path(folder), At(threshold, target, baseline)))
