"""What values a spec's fields may take; every problem of a spec is found at once."""

import math
from collections.abc import Iterator
from dataclasses import fields
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from idim.errors import unknown


def type_problems(spec: Any) -> list[str]:
    """Name the fields whose value is not of their type."""
    problems = []
    for f in fields(spec):
        value, kind = getattr(spec, f.name), f.type
        if get_origin(kind) is Literal:
            if value not in get_args(kind):
                problems.append(str(unknown(f.name, str(value), get_args(kind))).rstrip("."))
        elif not _fits(value, kind):
            expected = getattr(kind, "__name__", str(kind))
            problems.append(f"{f.name}: expected {expected}, got {value!r}")
    return problems


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return isinstance(value, tuple) and all(_fits(v, item) for v in value)
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, kinds) or (float in kinds and isinstance(value, int))


# name -> (lowest value allowed, is that value itself allowed)
_BOUNDS: dict[str, tuple[float, bool]] = {
    "epochs": (0, False), "steps": (1, True), "batch_size": (1, True), "max_length": (2, True),
    "train_samples": (2, True), "eval_samples": (1, True), "weight_decay": (0, True),
    "warmup": (0, True), "said_lr": (0, False), "head_lr": (0, False), "lr": (0, False),
    "baseline_lr": (0, False), "lr_multiples": (0, False), "d": (1, True), "d_min": (1, True),
    "d_max": (1, True), "points": (1, True), "seeds": (1, True), "threshold": (0, False),
    "seed": (0, True), "paragraphs": (1, True), "tokens": (1, True), "vocab_size": (1, True),
    "hidden_size": (1, True), "layers": (1, True), "heads": (1, True), "dropout": (0, True),
    "mask": (0, False), "cloze": (0, True), "cloze_from": (0, True),
    "checkpoints": (0, True), "threads": (0, True),
    "tolerance": (1, False), "max_runs": (1, True), "lr_transfer": (0, True),
    "stop_at": (0, False),
}  # fmt: skip


def range_problems(spec: Any) -> list[str]:
    """Name the fields out of range, and those that contradict each other."""
    problems = []
    for name, (low, closed) in _BOUNDS.items():
        value = getattr(spec, name, None)
        for v in value if isinstance(value, tuple) else (value,):
            if isinstance(v, bool) or not isinstance(v, int | float):
                continue
            if not math.isfinite(v) or v < low or (v == low and not closed):
                problems.append(
                    f"{name} must be {'at least' if closed else 'above'} {low}, got {v}"
                )
    return [*problems, *_contradictions(spec)]


def _contradictions(spec: Any) -> Iterator[str]:
    """Name fields that do not go together."""
    if spec.warmup > 1:
        yield f"warmup is a share of the steps and must be at most 1, got {spec.warmup}"
    if hasattr(spec, "checkpoints"):
        yield from _pretraining_contradictions(spec)
        return
    if spec.epochs is not None and spec.steps is not None:
        yield "give epochs or steps, not both"
    if spec.copies not in (1, 2):
        yield f"copies must be 1 or 2, got {spec.copies}"
    if hasattr(spec, "method") and spec.method == "subspace" and spec.d is None:
        yield "a subspace run needs d; give --d"
    if getattr(spec, "stop_at", None) is not None and spec.stop_at >= 1:
        yield f"stop_at is a share of the steps and must be below 1, got {spec.stop_at}"
    if not hasattr(spec, "baseline"):  # only a sweep has what follows
        return
    if isinstance(spec.baseline, str) and spec.baseline != "own":
        yield f"baseline must be 'own' or a number, got '{spec.baseline}'"
    if spec.search == "adaptive" and (spec.d or spec.points):
        yield "an adaptive search chooses d itself; give d_min and d_max, or search grid"
    if spec.d_min and spec.d_max and spec.d_min > spec.d_max:
        yield f"d_min {spec.d_min} exceeds d_max {spec.d_max}"
    if spec.d and (spec.d_min or spec.d_max or spec.points):
        yield "give d, or d_min / d_max / points, not both"


def _pretraining_contradictions(spec: Any) -> Iterator[str]:
    if spec.threads < 1:
        yield f"threads must be at least 1, got {spec.threads}"
    if spec.hidden_size % spec.heads:
        yield f"hidden_size {spec.hidden_size} is not a multiple of heads {spec.heads}"
    for name in ("cloze", "cloze_from"):
        if getattr(spec, name) > 1:
            yield f"{name} is a share and must be at most 1, got {getattr(spec, name)}"
    for name in ("mask", "dropout"):
        if getattr(spec, name) >= 1:
            yield f"{name} is a share and must be below 1, got {getattr(spec, name)}"
    late = [step for step in spec.checkpoints if step > spec.steps]
    if late:
        yield f"checkpoints {', '.join(map(str, late))} come after the last step, {spec.steps}"
    if spec.tokens and spec.vocab_size and spec.tokens > spec.vocab_size:
        yield f"tokens {spec.tokens} exceeds the model's vocab_size {spec.vocab_size}"
    if spec.text is not None and spec.tokenizer == "word":
        yield "a text folder needs tokenizer bpe or wordpiece"
