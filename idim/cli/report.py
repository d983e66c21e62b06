"""`idim report` and `idim compare`: papers' forms of what the store holds; nothing is trained."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from idim.cli import options
from idim.cli.estimate import Baseline, Folder, Formats, Target, Threshold, Untitled, line
from idim.cli.screen import show, span
from idim.cli.voice import Loud
from idim.errors import IdimError

Folders = Annotated[
    list[Path],
    typer.Argument(
        parser=options.place, metavar="DIR...", help="The --out of each sweep", show_default=False
    ),
]
ReportOut = Annotated[
    Path | None,
    typer.Option(
        parser=options.place, metavar="DIR", help="Write there  [default: the sweep's folder]"
    ),
]
CompareOut = Annotated[
    Path | None,
    typer.Option(
        parser=options.place,
        metavar="DIR",
        help="Draw compare.png and compare.svg there, or the files of --format",
        show_default=False,
    ),
]


def report(
    folder: Folder,
    *,
    threshold: Threshold = None,
    target: Target = None,
    baseline: Baseline = None,
    out: ReportOut = None,
    as_json: options.Json = False,
) -> None:
    """Write a sweep up: HTML, Markdown, LaTeX, CSV.

    One page that needs no other file (figure, table, methods, protocol, what was left out, the
    command that does it again, versions and machines), the same as Markdown, the table and the
    methods paragraph in LaTeX, points.csv and the figure, for a paper as curve.pdf without its
    headings. Trains nothing; prints the paths.

    Example:
      idim report idim-out/paraphrase-tiny-fastfood-did --out writeup
    """
    from idim.report.publish import publish
    from idim.sweeps import evidence, summarise

    _refuse_many([folder])
    at = line(threshold, target, baseline)
    summary, proof = summarise(folder, at), evidence(folder)
    again = f"{options.command(asdict(proof.setting))} --out again"
    if read := options.flags(asdict(at)):
        again += f" && idim report again {read}"
    if summary.problem != "task":
        again = f"idim.measure, in the program that has {proof.setting.model}"
    paths = publish(summary, proof, again, out or folder)
    named = {path.name: str(path) for path in paths}
    show(named if as_json else "\n".join(named.values()), as_json=as_json)


def compare(
    folders: Folders,
    *,
    threshold: Threshold = None,
    target: Target = None,
    out: CompareOut = None,
    formats: Formats = None,
    no_title: Untitled = False,
    as_json: options.Json = False,
    loud: Loud = None,
) -> None:
    """Compare the d90 of several sweeps.

    Prints a table; of each two sweeps how many times one d90 is the other, with a 95 % interval,
    whether that tells them apart or how many more runs might, and their scores at one d, paired by
    the seeds and rows that both have; and in which settings they differ. With --out it draws all
    curves, each over its own baseline, on one figure. Trains nothing.

    Example:
      idim compare idim-out/sst2-minilm-fastfood-did idim-out/sst2-minilm-fastfood-said
    """
    from idim.report import canvas, comparison, overlay
    from idim.report.table import full
    from idim.sweeps import matched, setting, summarise

    _refuse_many(folders)
    at = line(threshold, target)
    summaries = [summarise(folder, at) for folder in folders]
    compared = comparison.compare(
        summaries, list(map(setting, folders)), lambda s: matched.rows(s, s.out)
    )
    paths = []
    if out is not None and summaries[0].target == "gain":
        raise IdimError(
            "the figure shows shares of the baseline; leave out --out or --target gain."
        )
    if out is not None:
        figure = overlay.compose(compared, titled=not no_title)
        drawn = canvas.files(figure, overlay.title(compared), formats or canvas.USUAL)
        paths = [str(path) for path in canvas.save(drawn, out / "compare")]
    if as_json:
        show(compared.to_json() | {"files": paths}, as_json=True)
        return
    told = comparison.text(compared, span())
    if loud is False:
        told = "\n".join(comparison.verdicts(compared))
    elif loud:
        notes = [f"{s.mark} {line}" for s in compared.sweeps for line in full(s.summary)]
        told = "\n".join([told, *notes])
    show("\n".join([told, *paths]).rstrip(), as_json=False)


def _refuse_many(folders: list[Path]) -> None:
    """Refuse folders of trajectories: each holds many sweeps."""
    from idim.studies.together import is_trajectory

    for folder in filter(is_trajectory, folders):
        raise IdimError(
            f"'{folder}' holds a trajectory; give one of its sweeps, {folder}/TASK/step-N."
        )
