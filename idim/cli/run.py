"""`idim run`: one training."""

import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from idim import config
from idim.cli import options
from idim.cli.progress import follow
from idim.cli.screen import columns, show
from idim.cli.voice import Loud, Voice
from idim.records import to_json

Out = Annotated[
    Path,
    typer.Option(parser=options.place, metavar="DIR", help="The run goes to DIR/runs"),
]


@options.run
def run(
    given: options.Given,
    *,
    out: Out = Path("idim-out"),
    config_file: options.ConfigFile = None,
    as_json: options.Json = False,
    loud: Loud = None,
) -> None:
    """Train once, in a random subspace or in full.

    A run is a pure function of its settings: its folder is named by their hash, and the same
    command again prints the stored result.

    Example:
      idim run --model roberta-base --task mrpc --d 1000 --lr 0.03 --seed 1
    """
    voice = Voice(loud)
    spec = config.load(config.RunSpec, config_file, given, voice.note)
    from idim.sweeps import folder_of, plan_run
    from idim.sweeps import run as train

    with redirect_stdout(sys.stderr):
        spec = plan_run(spec, voice.note)
        folder = folder_of(spec, out)
        with follow(voice) as progress:
            accepted = partial(voice.say, f"writing to {folder}")
            found = train(spec, out, progress, voice.note, accepted)
    result = {"id": spec.id, **to_json(found), "out": str(folder)}
    told = {"score": result["score"]} if voice.is_quiet else result
    told |= {"set": asdict(spec)} if voice.is_full else {}
    show(result if as_json else lines(told), as_json=as_json)


def lines(result: dict[str, Any]) -> str:
    """Write a result as one name and value a line.

    >>> print(lines({"score": {"f1": 0.51234567}, "select": None, "steps": 3}))
    score f1  0.512346
    steps     3
    """
    rows: list[tuple[str, object]] = []
    for name, value in result.items():
        rows += (
            [(f"{name} {k}", v) for k, v in value.items()]
            if isinstance(value, dict)
            else [(name, value)]
        )
    return columns(
        (name, f"{v:.6g}" if isinstance(v, float) else str(v)) for name, v in rows if v is not None
    )
