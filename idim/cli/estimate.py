"""`idim estimate` and `idim plot`: from the store alone, nothing is trained."""

from pathlib import Path
from typing import Annotated

import typer

from idim.cli import options
from idim.cli.screen import show

Folder = Annotated[
    Path,
    typer.Argument(
        parser=options.place, metavar="DIR", help="The --out of a sweep", show_default=False
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        parser=options.share, metavar="SHARE", help="Share of the baseline  [default: the sweep's]"
    ),
]
Stem = Annotated[
    Path | None,
    typer.Option(
        parser=options.place,
        metavar="STEM",
        help="Write STEM.png and STEM.svg  [default: DIR/curve]",
    ),
]


def estimate(folder: Folder, *, threshold: Threshold = None, as_json: options.Json = False) -> None:
    """Recompute d90 from the runs in a folder.

    Prints the table of `idim sweep` from the results that are there, finished or not, also at
    another threshold; trains and writes nothing.

    Example:
      idim estimate idim-out/paraphrase-tiny-fastfood-did --json
    """
    from idim.report.table import text
    from idim.sweeps import summarise

    summary = summarise(folder, threshold)
    show(summary.to_json() if as_json else text(summary), as_json=as_json)


def plot(folder: Folder, *, out: Stem = None) -> None:
    """Draw the runs of a folder: score against d.

    Prints the names of the two files it writes.

    Example:
      idim plot idim-out/paraphrase-tiny-fastfood-did --out figures/tiny
    """
    from idim.report.figure import draw
    from idim.sweeps import summarise

    stem = out or folder / "curve"
    draw(summarise(folder), stem)
    show(f"{stem}.png\n{stem}.svg", as_json=False)
