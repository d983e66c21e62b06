"""What a step of a training draws and takes, as a function of (seed, step): rates, rows, seeds.

So a training resumed from any step ends in the same bits, a pretraining as well as a fine-tuning.
"""

import hashlib
import math
from functools import lru_cache

import numpy as np

from idim.config import RunSpec
from idim.methods import EXACT_EVERY

# Steps between two looks at the loss: on a GPU each look waits for the device.
LOOK_EVERY = EXACT_EVERY


def stream(seed: int, *names: str | int) -> int:
    """Derive an independent 63-bit seed for one use of a run's seed."""
    text = "/".join(str(n) for n in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def draws(seed: int, *names: str | int) -> np.random.RandomState:
    """Return the source of one use's random numbers; its stream is frozen for ever (NEP 19)."""
    return np.random.RandomState(stream(seed, *names) % 2**32)


def learning_rate(step: int, steps: int, warmup: float, schedule: str = "linear") -> float:
    """Return the share of the peak rate at a step: linear up over the warm-up, then as named.

    "linear" falls to 0 in a straight line, "cosine" by half a cosine, "constant" stays at 1.
    """
    rise = warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    left = (steps - step) / max(1.0, steps - rise)
    return {"linear": left, "constant": 1.0, "cosine": (1 - math.cos(math.pi * left)) / 2}[schedule]


def per_epoch(spec: RunSpec, rows: int) -> int:
    """Return the steps of an epoch; without a batch size, all rows are one batch."""
    return math.ceil(rows / (spec.batch_size or rows))


def count_steps(spec: RunSpec, rows: int) -> int:
    """Return the number of optimizer steps of a run over `rows` training rows."""
    return spec.steps or max(1, round((spec.epochs or 1) * per_epoch(spec, rows)))


def last_step(spec: RunSpec, steps: int) -> int:
    """Return the step a run ends with: where its spec stops it, a look at which it may go on."""
    if spec.stop_at is None:
        return steps
    looks = max(1, round(spec.stop_at * steps / LOOK_EVERY)) * LOOK_EVERY
    return looks if looks < steps else max(1, round(spec.stop_at * steps))


def batch_index(spec: RunSpec, rows: int, step: int) -> list[int]:
    """Return the rows of a step of a run: epochs are permutations drawn from (seed, epoch)."""
    size = spec.batch_size or rows
    if rows <= size:
        return list(range(rows))
    epoch, at = divmod(step, per_epoch(spec, rows))
    return _order(spec.seed, epoch, rows)[at * size : (at + 1) * size]


@lru_cache(maxsize=64)
def _order(seed: int, epoch: int, rows: int) -> list[int]:
    return draws(seed, "order", epoch).permutation(rows).tolist()
