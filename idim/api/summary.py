"""What a sweep has found, for Python."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from idim.report import words
from idim.sweeps import summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


class Summary:
    """d90 of one sweep with its evidence, as `idim sweep` prints it.

    Attributes:
        record: everything, by the keys of `idim sweep --json`, which README.md explains.
    """

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record

    @property
    def d90(self) -> int | None:
        """The smallest d tried that reaches the threshold; None where none does."""
        return self.record["d90"]

    @property
    def interval(self) -> tuple[int | None, int | None]:
        """Ends of the 95 % interval of d90; None is an open end, both None is no interval."""
        return words.ends(self.record)

    @property
    def bracket(self) -> tuple[int | None, int | None]:
        """(the largest d below d90 that fails, d90); None where there is no such d."""
        low, high = self.record["bracket"]
        return low, high

    @property
    def baseline(self) -> float | None:
        """Mean score of full training, or the fixed one; None where there is none."""
        return self.record["baseline"]["mean"]

    @property
    def line(self) -> float | None:
        """The score that d90 reaches: the threshold times the baseline."""
        return self.record["line"]

    @property
    def D(self) -> int:
        """How many numbers full training chooses."""
        return self.record["D"]

    @property
    def notes(self) -> list[str]:
        """What a reader of d90 must know, one sentence each."""
        return list(self.record["notes"])

    @property
    def out(self) -> Path:
        """The folder of the runs."""
        return Path(self.record["out"])

    def plot(self, stem: str | Path | None = None) -> "Figure":
        """Draw score against d, with the baseline, the line and d90.

        Args:
            stem: if given, writes <stem>.png and <stem>.svg too.
        """
        from idim.report import figure

        if stem is not None:
            figure.draw(self.record, Path(stem))
        return figure.compose(self.record)

    def to_frame(self) -> "DataFrame":
        """Return a row for the baseline (d is NA) and for each d, as in points.csv.

        Columns: d, trainable, lr, mean, std (over seeds), n (seeds), failed, passes.
        """
        import pandas

        rows = [self.record["baseline"] | {"d": None, "trainable": self.D, "passes": None}]
        rows += self.record["points"]
        names = ["d", "trainable", "lr", "mean", "std", "n", "failed", "passes"]
        frame = pandas.DataFrame([{name: row.get(name) for name in names} for row in rows])
        kinds = {"d": "Int64", "trainable": "Int64", "n": "Int64", "failed": "Int64"}
        return frame.astype(kinds | {"lr": float, "mean": float, "std": float, "passes": "boolean"})

    def __repr__(self) -> str:
        return f"<{words.headline(self.record)} of D = {self.D:,}: {words.setting(self.record)}>"

    def __str__(self) -> str:
        from idim.report.table import text

        return text(self.record).rstrip()


def load(folder: str | Path, threshold: float | None = None) -> Summary:
    """Read what the runs in a folder say, finished or not; trains and writes nothing.

    Args:
        folder: of a sweep, the `out` of `idim.sweep`, `idim.measure` or `idim sweep`.
        threshold: share of the baseline, if not the sweep's own.

    Raises:
        IdimError: the folder holds no sweep, or one with a damaged file.
    """
    return Summary(summarise(Path(folder), threshold))
