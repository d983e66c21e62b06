"""`idim trajectory`: d90 along a pretraining."""

import shlex
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from idim import config
from idim.cli import options
from idim.cli.progress import follow
from idim.cli.screen import note, show, span, typed
from idim.cli.sweep import DryRun, Jobs, NoShare
from idim.cli.voice import Loud, Voice
from idim.plain import harmless, many

if TYPE_CHECKING:
    from idim.results import Trajectory
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
    no_share: NoShare = False,
    dry_run: DryRun = False,
    as_json: options.Json = False,
    loud: Loud = None,
    context: typer.Context,
) -> None:
    """Measure d90 along a pretraining.

    One sweep for each checkpoint and task. Of every checkpoint the same score is asked, that of the
    last one's line (--lines one); with --lines own of each its own, as in the papers; or both.
    Prints a table and the rank correlation of d90 with the steps of pretraining; writes each
    sweep, trajectory.json, trajectory.csv, trajectory.png/svg and trajectory.log.
    The same command again does only what is missing.

    Example:
      idim trajectory --models tiny --tasks sentiment,acceptability
    """
    voice = Voice(loud)
    spec = config.load(config.TrajectorySpec, config_file, given, voice.note)
    # A mistake in the settings is told before torch is imported.
    from idim.studies import trajectory as work
    from idim.studies.together import failures
    from idim.sweeps import summarise

    def accepted() -> None:
        voice.log_to(out / "trajectory.log", harmless(shlex.join(["idim", *typed(context)])))
        voice.say(f"writing to {out}")

    # stdout is for the result, whatever a library prints
    with redirect_stdout(sys.stderr), voice:
        sweeps = work.prepare(spec, out)
        if dry_run:
            found = work.ahead(sweeps, out, spec.lines, share=not no_share)
        else:
            found = work.run_all(
                sweeps, out, lines=spec.lines, jobs=jobs, tell=voice.note, say=voice.say,
                follow=lambda folder: follow(voice, partial(summarise, folder)), accepted=accepted,
                share=not no_share,
            )  # fmt: skip
    if isinstance(found, list):
        show({"sweeps": list(map(asdict, found))} if as_json else _listed(found), as_json=as_json)
        return
    show(found.to_json() if as_json else told(found, out, voice), as_json=as_json)
    if failed := failures(found):
        note(f"error: {many(failed, 'run')} failed; the same command tries again.")
        raise typer.Exit(1)


def _done(one: "Ahead") -> str:
    """Say what is there of a sweep, in its folder and in others."""
    said = [f"{many(one.already, 'run')} done before"] if one.already else []
    return ", ".join([*said, *([f"{one.elsewhere:,} in other sweeps"] if one.elsewhere else [])])


def told(found: "Trajectory", out: Path, voice: Voice) -> str:
    """Write what was found as shortly as was asked for.

    Args:
        found: the trajectory.
        out: its folder.
        voice: says how much.
    """
    from idim.report.trajectory import correlations, text

    if voice.is_quiet:
        return "\n".join(correlations(found))
    figure = out / "trajectory.png"
    tail = f"\nfigure: {harmless(str(figure))}\n" if figure.is_file() else ""
    return text(found, span()) + tail


def _listed(coming: "list[Ahead]") -> str:
    """Lay the sweeps out: a row each, and all together."""
    from idim.report.table import aligned
    from idim.sweeps import hours

    rows = [("task", "model", "runs", "at most", "")]
    rows += [
        (one.task, one.model, f"{one.runs:,}", hours(one.seconds),
         _done(one))
        for one in coming
    ]  # fmt: skip
    runs, seconds = sum(one.runs for one in coming), sum(one.seconds for one in coming)
    total = f"{many(len(coming), 'sweep')} of at most {many(runs, 'run')}, at most {hours(seconds)}"
    more = "evaluation not counted"
    return "\n".join([*aligned(rows, left=2), "", f"{total} one after another ({more})"])
