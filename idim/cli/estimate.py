"""`idim estimate` and `idim plot`: from the store alone, nothing is trained."""

from pathlib import Path
from typing import Annotated

import typer

from idim.cli import after, options, trajectory
from idim.cli.screen import show
from idim.cli.sweep import told
from idim.cli.voice import Loud, Voice

Folder = Annotated[
    Path,
    typer.Argument(
        parser=options.place,
        metavar="DIR",
        help="The --out of a sweep or trajectory",
        show_default=False,
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
        help="Write STEM.png and STEM.svg  [default: in DIR, as the command itself does]",
    ),
]


def estimate(
    folder: Folder,
    *,
    threshold: Threshold = None,
    as_json: options.Json = False,
    loud: Loud = None,
) -> None:
    """Recompute d90 from the runs in a folder.

    Prints the table of `idim sweep`, or of `idim trajectory`, from the results that are there,
    finished or not, also at another threshold; trains and writes nothing.

    Example:
      idim estimate idim-out/paraphrase-tiny-fastfood-did --json
    """
    from idim.studies.trajectory import is_trajectory, read
    from idim.sweeps import summarise

    if is_trajectory(folder):
        found = read(folder, threshold)
        words = trajectory.told(found, folder, Voice(loud))
    else:
        found = summarise(folder, threshold)
        words = "" if as_json else told(found, Voice(loud), after.stored_again(folder))
    show(found.to_json() if as_json else words, as_json=as_json)


def plot(folder: Folder, *, out: Stem = None) -> None:
    """Draw what a folder holds: a sweep or a trajectory.

    Prints the names of the two files it writes.

    Example:
      idim plot idim-out/paraphrase-tiny-fastfood-did --out figures/tiny
    """
    from idim.report import figure, trajectory_figure
    from idim.studies.trajectory import is_trajectory, read
    from idim.sweeps import summarise

    if is_trajectory(folder):
        stem = out or folder / "trajectory"
        trajectory_figure.draw(read(folder), stem)
    else:
        stem = out or folder / "curve"
        figure.draw(summarise(folder), stem)
    show(f"{stem}.png\n{stem}.svg", as_json=False)
