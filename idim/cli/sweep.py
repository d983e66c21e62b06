"""`idim sweep`: the main job."""

import shlex
import sys
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from idim import config
from idim.cli import after, options
from idim.cli.progress import follow
from idim.cli.screen import note, room, show, typed
from idim.cli.voice import Loud, Voice
from idim.plain import harmless, many

if TYPE_CHECKING:
    from idim.results import Summary
    from idim.sweeps import Plan

Out = Annotated[
    Path | None,
    typer.Option(
        parser=options.place,
        metavar="DIR",
        help="Folder of the results  [default: one in ./idim-out, by what is measured]",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        parser=options.processes,
        metavar="N",
        help="Processes  [default: one for each core a run leaves idle]",
    ),
]
NoShare = Annotated[
    bool,
    typer.Option("--no-share", help="Train also runs that sweeps in folders beside have done"),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="List the runs and their cost, do none"),
]


@options.sweep
def sweep(
    given: options.Given,
    *,
    out: Out = None,
    jobs: Jobs = None,
    config_file: options.ConfigFile = None,
    no_share: NoShare = False,
    dry_run: DryRun = False,
    as_json: options.Json = False,
    loud: Loud = None,
    context: typer.Context,
) -> None:
    """Measure d90 of a model on a task.

    Fine-tunes all D parameters first (the baseline), then trains in random subspaces; d90 is
    the least d that reaches 90 % of the baseline, or with --target gain 90 % of the way from
    a constant answer or the untrained model to it. Without --d the search chooses d, learning
    rates and seeds by what it has found; with --d or --points it runs the whole grid.
    Prints d90 and a table; writes each run, summary.json, points.csv, curve.png/svg and
    sweep.log, which keeps what is said on the way.
    The same command again does only what is missing; equal runs of sweeps in folders beside
    are linked, not trained again.

    Example:
      idim sweep --model roberta-base --task mrpc --d 100,300,1000,3000
    """
    voice, words = Voice(loud), typed(context)
    spec = config.load(config.SweepSpec, config_file, given, voice.note)
    # A mistake in the settings is told before torch is imported.
    from idim.sweeps import default_out, neighbours, plan

    # stdout is for the result, whatever a library prints
    with redirect_stdout(sys.stderr), voice:
        out = out or default_out(config.with_recipe(spec))
        planned = plan(spec, out)
        share = [] if no_share else neighbours(out)
        if dry_run:
            found = preview(planned, out, share)
        else:
            command = harmless(shlex.join(["idim", *words]))
            found = measure(planned, out, jobs, share, voice, command)
    if isinstance(found, dict):
        show(found if as_json else _listed(planned, out, found), as_json=as_json)
    else:
        finish(found, voice, after.typed_again(words), as_json=as_json)


def measure(
    planned: "Plan", out: Path, jobs: int | None, share: list[Path], voice: Voice, command: str
) -> "Summary":
    """Do what is missing, and write the files that people look at."""
    from idim.report.table import verdict
    from idim.sweeps import execute, summarise, write

    def accepted() -> None:
        voice.log_to(out / "sweep.log", command)
        voice.say(f"writing to {out}")

    with follow(voice, partial(summarise, out)) as progress:
        summary = execute(
            planned, out, jobs=jobs, share=share, progress=progress, tell=voice.note,
            accepted=accepted,
        )  # fmt: skip
    write(summary, out)
    voice.keep(verdict(summary))
    return summary


def _listed(planned: "Plan", out: Path, found: dict[str, Any]) -> str:
    from idim.sweeps import reductions

    lines = [*planned.lines(), *reductions(planned, planned.step_seconds)]
    if done := found["already"]:
        lines.append(f"{out} holds {many(done, 'run')} of it already")
    if elsewhere := found["elsewhere"]:
        lines.append(f"at least {many(elsewhere, 'run')} of it found done in folders beside")
    return "\n".join(lines)


def preview(planned: "Plan", out: Path, share: list[Path]) -> dict[str, Any]:
    """Return the dry run as one object: what each run trains, and a step's time by method.

    The runs are those the search begins with; it makes `most` at most, of which the folder holds
    some `already`, and folders beside it hold others `elsewhere`, as far as is known before the
    first run is done.

    Raises:
        IdimError: what the sweep itself would be refused for.
    """
    from idim.store import Damaged
    from idim.sweeps import Shared, already

    try:
        done = already(planned, out)
    except Damaged as e:  # no refusal: the sweep does that run again
        note(str(e))
        done = None
    elsewhere = 0 if done is None else Shared(planned, out, share).ahead()
    for line in planned.warnings:
        note(f"warning: {line}")
    runs = [
        {
            "id": run.id,
            "method": run.method,
            "d": run.measure,
            "lr": run.lr,
            "seed": run.seed,
            "trainable": planned.trainable(run),
        }
        for run in planned.specs
    ]
    facts = {"search": planned.spec.search, "most": planned.most, "already": done}
    facts["elsewhere"] = elsewhere
    return {"D": planned.D, **facts, "runs": runs, "step_seconds": planned.step_seconds}


def finish(summary: "Summary", voice: Voice, again: after.Again, *, as_json: bool) -> None:
    """Print the summary; runs without a score make the exit code 1.

    Args:
        summary: of the sweep.
        voice: says how much is printed.
        again: as `told`.
        as_json: print the one object.
    """
    show(summary.to_json() if as_json else told(summary, voice, again), as_json=as_json)
    # a learning rate too high for its d is a finding, not a failure of the sweep
    if summary.runs.lost:
        note(
            f"error: {summary.runs.lost} of {summary.runs.total} runs failed; "
            f"the reasons are in {summary.out}/runs, the same command tries again."
        )
        raise typer.Exit(1)


def told(summary: "Summary", voice: Voice, again: after.Again) -> str:
    """Write a summary as shortly or as fully as was asked for.

    Why: what qualifies the number is said however little is asked for.

    Args:
        summary: of the sweep.
        voice: says how much.
        again: writes the command that gives the sweep more runs.
    """
    from idim.estimate import Usual
    from idim.report.methods import choices
    from idim.report.table import text, verdict
    from idim.sweeps import evidence, setting

    if voice.is_quiet:
        for line in summary.notes:
            if not isinstance(line, Usual):
                note(f"note: {line}")
        return verdict(summary)
    methods = choices(summary, evidence(summary.out)) if voice.is_full else None
    steps = after.lines(summary, setting(summary.out), again)
    return text(summary, methods=methods, after=steps, width=room())
