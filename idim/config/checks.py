"""What values a spec's fields may take; every problem of a spec is found at once."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from idim.config.names import METHODS, STRATEGIES, Choices, Names
from idim.config.searches import strategy_of
from idim.errors import IdimError, near, unknown
from idim.plain import brief


def type_problems(spec: Any) -> list[str]:
    """Name the fields whose value is not of their type."""
    problems = []
    for f in fields(spec):
        value, kind = getattr(spec, f.name), f.type
        if (names := choices(kind)) is not None:
            if not isinstance(value, str):
                listed = ", ".join(names)
                problems.append(f"{f.name}: expected one of {listed}, got {brief(value)}")
            elif value not in names:
                problems.append(str(_unknown(f.name, value, names)).rstrip("."))
        elif not _fits(value, kind):
            problems.append(f"{f.name}: expected {said(kind)}, got {brief(value)}")
        elif any(_is_no_name(v) for v in (value if isinstance(value, tuple) else (value,))):
            problems.append(f"{f.name}: {brief(value)} is no name: it holds a zero byte")
    return problems


def _unknown(name: str, value: str, names: Collection[str]) -> IdimError:
    table = names.names if isinstance(names, Choices) else names
    is_a_slip = near(value, names) is not None
    hint = table.elsewhere if isinstance(table, Names) and not is_a_slip else ""
    return unknown(name, value, names, hint)


def choices(kind: Any) -> Collection[str] | None:
    """Return the names that a field of a type may hold: fixed, or of a table; None if any."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return get_args(kind)[1] if get_origin(kind) is Annotated else None


def said(kind: Any) -> str:
    """Say a type.

    >>> said(tuple[int, ...]), said(float | None), said(str | float)
    ('list of int', 'float', 'str or float')
    """
    if get_origin(kind) is tuple:
        return f"list of {said(get_args(kind)[0])}"
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    names = ("true or false" if k is bool else k.__name__ for k in kinds if k is not type(None))
    return " or ".join(names)


def _is_no_name(value: Any) -> bool:
    return isinstance(value, str) and "\0" in value


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return isinstance(value, tuple) and all(_fits(v, item) for v in value)
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, kinds) or (float in kinds and isinstance(value, int))


@dataclass(frozen=True, slots=True)
class Bound:
    """What a number may be: from `low`, itself allowed or not, to `high`, always finite."""

    low: float
    high: float
    is_open: bool = False
    # What the number is, where that says how it is written.
    hint: str = ""

    def problem(self, name: str, value: float) -> str | None:
        """Say why a value is none; comparisons hold for ints of any size, and fail for NaN."""
        shown = brief(value)
        if self.is_open and not value > self.low:
            return f"{name} must be above {self.low:g}, got {shown}"
        if not value >= self.low:
            return f"{name} must be at least {self.low:g}, got {shown}"
        if self.is_open and self.low == 0 and value < TINY:
            return f"{name} must be at least {TINY:g}, got {shown}"
        if not value <= self.high:
            hint = f": {self.hint}" if self.hint else ""
            return f"{name} must be at most {_number(self.high)}, got {shown}{hint}"
        return None


# Smaller positive numbers vanish in float32.
TINY = 1e-30
# The most parameters that a pretraining may have.
MOST_PARAMETERS = 10**10
_RATE = Bound(0, 1e38, is_open=True)
_BELOW_1 = Bound(0, 0.999999)
_DIMENSION = Bound(1, 10**12)
_ROWS = 10**12
SHARE = Bound(0, 1, is_open=True, hint="it is a share, 0.9 and not 90")
JOBS = Bound(1, 1024)
_BOUNDS: dict[str, Bound] = {
    "epochs": Bound(0, 10**6, is_open=True), "steps": Bound(1, 10**9),
    "batch_size": Bound(1, 10**6), "max_length": Bound(2, 10**6),
    "train_samples": Bound(2, _ROWS), "eval_samples": Bound(1, _ROWS),
    "weight_decay": Bound(0, 1000), "clip": _RATE, "beta1": _BELOW_1, "beta2": _BELOW_1,
    "momentum": _BELOW_1, "warmup": Bound(0, 1, hint="it is a share of the steps"),
    "said_lr": _RATE, "head_lr": _RATE, "lr": _RATE, "baseline_lr": _RATE,
    "lr_multiples": Bound(0, 10**9, is_open=True),
    "d": _DIMENSION, "size": _DIMENSION,
    "d_min": _DIMENSION, "d_max": _DIMENSION, "points": Bound(1, 1000),
    "seeds": Bound(1, 10_000), "threshold": SHARE,
    "baseline": Bound(0, 1, is_open=True, hint="it is a score, 0.9 and not 90"),
    "floor": Bound(-1, 1, hint="it is a score, 0.5 and not 50"),
    "seed": Bound(0, 2**63 - 1), "paragraphs": Bound(1, 10**8), "tokens": Bound(1, 10**7),
    "vocab_size": Bound(1, 10**7), "hidden_size": Bound(1, 10**5), "layers": Bound(1, 1000),
    "heads": Bound(1, 10**5), "dropout": Bound(0, 1), "mask": Bound(0, 1, is_open=True),
    "cloze": Bound(0, 1, hint="it is a share"), "cloze_from": Bound(0, 1, hint="it is a share"),
    "checkpoints": Bound(0, 10**9), "pretrained": Bound(0, 10**12), "threads": Bound(0, 1024),
    "tolerance": Bound(1, 10**6, is_open=True), "max_runs": Bound(1, 100_000),
    "lr_transfer": Bound(0, 3), "stop_at": Bound(0, 1, is_open=True), "copies": Bound(1, 2),
}  # fmt: skip


def range_problems(spec: Any) -> list[str]:
    """Name the fields out of range, and those that contradict each other."""
    problems = []
    for name, bound in _BOUNDS.items():
        value = getattr(spec, name, None)
        for v in value if isinstance(value, tuple) else (value,):
            if isinstance(v, bool) or not isinstance(v, int | float):
                continue
            if (problem := bound.problem(name, v)) is not None:
                problems.append(problem)
                break
    return problems if problems or type_problems(spec) else [*_contradictions(spec)]


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _contradictions(spec: Any) -> Iterator[str]:
    """Name fields that do not go together."""
    if hasattr(spec, "checkpoints"):
        yield from _pretraining_contradictions(spec)
        return
    if spec.epochs is not None and spec.steps is not None:
        yield "give epochs or steps, not both"
    if hasattr(spec, "seed"):
        yield from _size_of_a_run(spec)
    elif METHODS[spec.method].size is None:
        yield f"method {spec.method} has no size to search over; choose another"
    if getattr(spec, "stop_at", None) is not None and spec.stop_at >= 1:
        yield f"stop_at is a share of the steps and must be below 1, got {spec.stop_at}"
    if not hasattr(spec, "baseline"):  # only a sweep has what follows
        return
    for name in ("baseline", "floor"):
        value = getattr(spec, name)
        if isinstance(value, str) and value != "own":
            yield f"{name} must be 'own' or a number, got {brief(value)}"
    yield from STRATEGIES[strategy_of(spec)].contradictions(spec)
    if spec.d_min and spec.d_max and spec.d_min > spec.d_max:
        yield f"d_min {spec.d_min} exceeds d_max {spec.d_max}"


def _size_of_a_run(spec: Any) -> Iterator[str]:
    size = METHODS[spec.method].size
    if size is not None and getattr(spec, size) is None:
        yield f"a {spec.method} run needs {size}; give --{size}"
    if spec.stop_at is not None and not METHODS[spec.method].trains:
        yield f"stop_at stops a training, and method {spec.method} has none"


def _pretraining_contradictions(spec: Any) -> Iterator[str]:
    if spec.threads < 1:
        yield f"threads must be at least 1, got {spec.threads}"
    if spec.hidden_size % spec.heads:
        yield f"hidden_size {spec.hidden_size} is not a multiple of heads {spec.heads}"
    for name in ("mask", "dropout"):
        if getattr(spec, name) >= 1:
            yield f"{name} is a share and must be below 1, got {getattr(spec, name)}"
    size = 12 * spec.layers * spec.hidden_size**2 + (spec.vocab_size or 0) * spec.hidden_size
    if size > MOST_PARAMETERS:
        yield f"this model has {size:,} parameters or more; at most {MOST_PARAMETERS:,}"
    late = [step for step in spec.checkpoints if step > spec.steps]
    if late:
        yield f"checkpoints {', '.join(map(str, late[:3]))} come after the last step, {spec.steps}"
    if spec.tokens and spec.vocab_size and spec.tokens > spec.vocab_size:
        yield f"tokens {spec.tokens} exceeds the model's vocab_size {spec.vocab_size}"
    if spec.text is not None and spec.tokenizer == "word":
        yield "a text folder needs tokenizer bpe or wordpiece"


def refuse_no_share(threshold: Any) -> None:
    """Refuse a threshold that is no share of a baseline.

    Raises:
        IdimError: it is no number, or not above 0 and at most 1.
    """
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise IdimError(f"threshold must be a number, got {brief(threshold)}.")
    if problem := SHARE.problem("threshold", threshold):
        raise IdimError(f"{problem}.")
