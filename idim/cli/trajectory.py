"""`idim trajectory`: d90 along a pretraining."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from idim import config
from idim.cli import options
from idim.cli.progress import follow
from idim.cli.screen import note, show
from idim.cli.sweep import Jobs
from idim.plain import many

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
    as_json: options.Json = False,
) -> None:
    """Measure d90 along a pretraining.

    One sweep for each checkpoint and task; each checkpoint is compared with its own full
    fine-tuning, and with --lines both also with the last one's.
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

    with redirect_stdout(sys.stderr):  # stdout is for the result, whatever a library prints
        sweeps = work.prepare(spec, out)
        found = work.run_all(sweeps, out, lines=spec.lines, jobs=jobs, tell=note, follow=follow)
    show(found.to_json() if as_json else text(found), as_json=as_json)
    if failed := work.failures(found):
        note(f"error: {many(failed, 'run')} failed; the same command tries again.")
        raise typer.Exit(1)
