"""`idim pretrain`: make a small pretrained transformer."""

import math
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from idim import config
from idim.cli import options
from idim.cli.run import lines
from idim.cli.screen import note, show
from idim.cli.words import duration
from idim.plain import number

SPEAK_EVERY_S = 15.0

Out = Annotated[
    Path, typer.Option(parser=options.place, metavar="DIR", help="Folder of the checkpoints")
]


@options.pretrain
def pretrain(
    given: options.Given,
    *,
    out: Out = Path("idim-out/pretrain"),
    config_file: options.ConfigFile = None,
    as_json: options.Json = False,
) -> None:
    """Pretrain a small RoBERTa by masked words.

    Reads the package's own language, or a folder of text; keeps the model at each of the
    `checkpoints`, as folders that --model takes. The same command again goes on where a
    killed one stopped, and ends in the same bits.

    Example:
      idim pretrain --config configs/pretrain_tiny.toml --out idim-out/tiny
    """
    spec = config.load(config.PretrainSpec, config_file, given, note)
    from idim.pretrain import pretrain as run_pretraining

    with redirect_stdout(sys.stderr):  # stdout is for the result, whatever a library prints
        result = run_pretraining(spec, out, _Lines(), lambda: note(f"writing to {out}"))
    show(result if as_json else lines(_flat(result)), as_json=as_json)


def _flat(result: dict) -> dict:
    return result | {"checkpoints": ", ".join(Path(p).name for p in result["checkpoints"])}


class _Lines:
    """A line now and then: step, loss, time left."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self._spoke_at = -math.inf

    def __call__(self, step: int, steps: int, loss: float) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = step, now
        if now - self._spoke_at < SPEAK_EVERY_S and step < steps:
            return
        self._spoke_at = now
        done = step - self._first[0]
        left = (now - self._first[1]) / done * (steps - step) if done else 0.0
        text = f"step {step:,}/{steps:,}"
        text += "" if math.isnan(loss) else f", loss {number(loss)}"
        note(text + (f"; {duration(left)} left" if left >= 1 else ""))
