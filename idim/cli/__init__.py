"""The command line: parse, one library call, print.  Heavy imports wait inside the commands."""

import os
from typing import Annotated

import typer

from idim import __version__
from idim.cli import about, estimate, pretrain, report, run, screen, sweep, trajectory
from idim.config.load import parse_number
from idim.errors import IdimError
from idim.plain import brief

# Plain help: rich's own costs 0.2 s at every start.
app = typer.Typer(
    cls=screen.Group,
    context_settings=screen.SETTINGS,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        screen.show(f"idim {__version__}", as_json=False)
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", help="Show the version and exit.", is_eager=True, callback=_print_version
    ),
]


# The hub's library reads them when it is imported, and fails.
_SECONDS = ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT")


def _check_environment() -> None:
    for name in _SECONDS:
        value = os.environ.get(name, "1")
        if parse_number(value, int) is None:
            raise IdimError(f"{name}={brief(value)} is not a whole number of seconds; unset it.")


@app.callback()
def idim(version: Version = False) -> None:
    """Measure the intrinsic dimension of fine-tuning.

    d90 is the least number of parameters, moved in a random subspace of all D, that reaches
    90 % of what fine-tuning all of them reaches.

    Example:
      idim sweep --model tiny --task sentiment
    """
    _check_environment()


for command in (
    sweep.sweep,
    trajectory.trajectory,
    run.run,
    pretrain.pretrain,
    estimate.estimate,
    estimate.plot,
    report.report,
    report.compare,
    about.tasks,
    about.models,
    about.info,
    about.prefetch,
):
    app.command(cls=screen.Command)(command)
