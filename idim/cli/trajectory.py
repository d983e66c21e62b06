"""`idim trajectory`: d90 along a pretraining."""

import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from idim import config
from idim.cli import options
from idim.cli.progress import follow
from idim.cli.screen import note, show
from idim.cli.sweep import DryRun, Jobs
from idim.plain import many

if TYPE_CHECKING:
    from idim.studies.trajectory import Ahead

Out = Annotated[
    Path, typer.Option(parser=options.place, metavar="DIR", help="Folder of the results")
]


@options.trajectory
def trajectory(
    given: options.Given,
    *,
    out: Out = Path("idim-out/trajectory"),
    jobs: Jobs = None,
    config_file: options.ConfigFile = None,
    dry_run: DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Measure d90 along a pretraining.

    One sweep for each checkpoint and task. Of every checkpoint the same score is asked, that of the
    last one's line (--lines one); with --lines own of each its own, as in the papers; or both.
    Prints a table and the rank correlation of d90 with the steps of pretraining; writes each
    sweep, trajectory.json, trajectory.csv and trajectory.png/svg.
    The same command again does only what is missing.

    Example:
      idim trajectory --models tiny --tasks sentiment,acceptability
    """
    spec = config.load(config.TrajectorySpec, config_file, given, note)
    # A mistake in the settings is told before torch is imported.
    from idim.report.trajectory import text
    from idim.studies import trajectory as work
    from idim.studies.together import failures

    with redirect_stdout(sys.stderr):  # stdout is for the result, whatever a library prints
        sweeps = work.prepare(spec, out)
        if dry_run:
            found = work.ahead(sweeps, out, spec.lines)
        else:
            found = work.run_all(sweeps, out, lines=spec.lines, jobs=jobs, tell=note, follow=follow)
    if isinstance(found, list):
        show({"sweeps": list(map(asdict, found))} if as_json else _listed(found), as_json=as_json)
        return
    show(found.to_json() if as_json else text(found), as_json=as_json)
    if failed := failures(found):
        note(f"error: {many(failed, 'run')} failed; the same command tries again.")
        raise typer.Exit(1)


def _listed(coming: "list[Ahead]") -> str:
    """Lay the sweeps out: a row each, and all together."""
    from idim.report.table import aligned
    from idim.sweeps import hours

    rows = [("task", "model", "runs", "at most", "")]
    rows += [
        (one.task, one.model, f"{one.runs:,}", hours(one.seconds),
         f"{many(one.already, 'run')} done before" if one.already else "")
        for one in coming
    ]  # fmt: skip
    runs, seconds = sum(one.runs for one in coming), sum(one.seconds for one in coming)
    total = f"{many(len(coming), 'sweep')} of at most {many(runs, 'run')}, at most {hours(seconds)}"
    more = "evaluation not counted"
    return "\n".join([*aligned(rows, left=2), "", f"{total} one after another ({more})"])
