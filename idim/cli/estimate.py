"""`idim estimate` and `idim plot`: from the store alone, nothing is trained."""

from pathlib import Path
from typing import Annotated

import typer

from idim.cli import options
from idim.cli.screen import show

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="The --out of a sweep", show_default=False)
]
Stem = Annotated[
    Path | None,
    typer.Option(
        metavar="STEM",
        help="Write STEM.png and STEM.svg  [default: DIR/curve]",
    ),
]


def estimate(folder: Folder, *, as_json: options.Json = False) -> None:
    """Recompute d90 from the runs in a folder.

    Prints the table of `idim sweep` from the results that are there, finished or not; trains
    and writes nothing.

    Example:
      idim estimate idim-out/digits-digits-mlp-fastfood-did --json
    """
    from idim.report.table import text
    from idim.sweep import summarise

    summary = summarise(folder)
    show(summary if as_json else text(summary), as_json=as_json)


def plot(folder: Folder, *, out: Stem = None) -> None:
    """Draw the runs of a folder: score against d.

    Prints the names of the two files it writes.

    Example:
      idim plot idim-out/digits-digits-mlp-fastfood-did --out figures/digits
    """
    from idim.report.figure import draw
    from idim.sweep import summarise

    stem = out or folder / "curve"
    draw(summarise(folder), stem)
    show(f"{stem}.png\n{stem}.svg", as_json=False)
