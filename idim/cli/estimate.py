"""`idim estimate` and `idim plot`: from the store alone, nothing is trained."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from idim.cli import after, options, trajectory
from idim.cli.screen import show
from idim.cli.sweep import told
from idim.cli.voice import Loud, Voice
from idim.config.load import parse_number

if TYPE_CHECKING:
    from idim.sweeps import At

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
        parser=options.share,
        metavar="SHARE",
        help="Share of the baseline, or of its gain  [default: the sweep's]",
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="Share of the score, or of its gain: papers, gain  [default: the sweep's]",
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(metavar="own|SCORE", help="Score to compare with  [default: the sweep's]"),
]
Stem = Annotated[
    Path | None,
    typer.Option(
        parser=options.place,
        metavar="STEM",
        help="Write STEM.png and STEM.svg, or STEM alone where it ends in .png, .svg or .pdf  "
        "[default: in DIR, as the command itself does]",
    ),
]
# a tuple of names; an option of that type would be several words
Formats = Annotated[
    Any,
    typer.Option(
        "--format", parser=options.formats, metavar="LIST",
        help="Kinds of file: png, svg, pdf  [default: png,svg]",
    ),
]  # fmt: skip
Untitled = Annotated[
    bool, typer.Option("--no-title", help="Leave the headings to the caption of your paper")
]


def estimate(
    folder: Folder,
    *,
    threshold: Threshold = None,
    target: Target = None,
    baseline: Baseline = None,
    as_json: options.Json = False,
    loud: Loud = None,
) -> None:
    """Recompute d90 from the runs in a folder.

    Prints the table of `idim sweep`, or of `idim trajectory`, from the results that are there,
    finished or not, also at another line; trains and writes nothing.

    Example:
      idim estimate idim-out/paraphrase-tiny-fastfood-did --json
    """
    from idim.studies.together import is_trajectory, read
    from idim.sweeps import summarise

    at = line(threshold, target, baseline)
    if is_trajectory(folder):
        found = read(folder, at)
        words = trajectory.told(found, folder, Voice(loud))
    else:
        found = summarise(folder, at)
        words = "" if as_json else told(found, Voice(loud), after.stored_again(folder))
    show(found.to_json() if as_json else words, as_json=as_json)


def line(threshold: float | None, target: str | None, baseline: str | None = None) -> "At":
    """Return the line that options ask for, in place of the folder's own."""
    from idim.sweeps import At

    number = None if baseline is None else parse_number(baseline, float)
    return At(threshold, target, baseline if number is None else number)  # type: ignore[arg-type]


def plot(
    folder: Folder,
    *,
    threshold: Threshold = None,
    target: Target = None,
    baseline: Baseline = None,
    out: Stem = None,
    formats: Formats = None,
    no_title: Untitled = False,
) -> None:
    """Draw what a folder holds: a sweep or a trajectory.

    Prints the names of the files it writes.

    Example:
      idim plot idim-out/paraphrase-tiny-fastfood-did --out figures/tiny.pdf --no-title
    """
    from idim.report import figure, trajectory_figure
    from idim.studies.together import is_trajectory, read
    from idim.sweeps import summarise

    at, look = line(threshold, target, baseline), {"kinds": formats or (), "titled": not no_title}
    if is_trajectory(folder):
        paths = trajectory_figure.draw(read(folder, at), out or folder / "trajectory", **look)
    else:
        paths = figure.draw(summarise(folder, at), out or folder / "curve", **look)
    show("\n".join(map(str, paths)), as_json=False)
