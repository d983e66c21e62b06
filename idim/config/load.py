"""From defaults, a TOML file and overrides to a spec."""

import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

from idim import reading
from idim.config.checks import choices, said
from idim.config.names import STRATEGIES
from idim.config.recipes import SHIPPED, SMALL_NETS, recipe
from idim.config.searches import strategy_of
from idim.config.specs import PretrainSpec, RunSpec, SweepSpec, TrajectorySpec
from idim.config.unused import idle, refuse_unused
from idim.errors import IdimError, near, unknown
from idim.plain import brief

AnySpec = TypeVar("AnySpec", RunSpec, SweepSpec)
Loaded = TypeVar("Loaded", RunSpec, SweepSpec, TrajectorySpec, PretrainSpec)


# Fields that may name a place on disk.
_PLACES = {"data", "model", "models", "task", "tasks", "text"}


def load(
    cls: type[Loaded],
    file: Path | None,
    overrides: dict[str, Any],
    tell: Callable[[str], None] = lambda _: None,
) -> Loaded:
    """Build a spec: default < TOML file < overrides, merged by "was it given", never by truth.

    Args:
        cls: RunSpec, SweepSpec, TrajectorySpec or PretrainSpec.
        file: a TOML file of flat keys; relative `data`, `model`, `models`, `task`, `tasks` and
            `text` paths in it are taken from the file's folder.
        overrides: values by field name; text (from `key=value`) is parsed by the field's type.
        tell: given a line for each setting that is given and harmlessly says nothing.

    Raises:
        IdimError: a missing or malformed file, an unknown key, a value of the wrong type or out
            of range, a setting that the others leave without use; all problems of one source in
            one message.
    """
    given: dict[str, Any] = {}
    if file is not None:
        given |= _from_file(cls, file)
    known = {f.name: f for f in fields(cls)}
    problems = []
    for name, value in overrides.items():
        if name not in known:
            problems.append(str(unknown("key", name, known)))
            continue
        try:
            given[name] = _parse(name, value, known[name].type) if isinstance(value, str) else value
        except IdimError as e:
            problems.append(str(e))
    if problems:
        raise IdimError(" ".join(problems))
    spec = cls(**given)
    refuse_unused(spec, set(given) - set(overrides), set(overrides))
    for name, why in idle(spec, given).items():
        tell(f"note: {name} says nothing here: {why}.")
    return spec


def parse_overrides(words: list[str]) -> dict[str, str]:
    """Split `key=value` words; dashes in keys read as underscores."""
    pairs = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise IdimError(f"cannot read '{word}'; overrides are written key=value.")
        key = name.strip().replace("-", "_")
        if key in pairs:
            raise IdimError(f"{key} is given twice: {key}={pairs[key]} and {key}={value.strip()}.")
        pairs[key] = value.strip()
    return pairs


def with_recipe(spec: AnySpec) -> AnySpec:
    """Fill what the user left open (epochs or steps, batch size, d) from the recipe."""
    r = recipe(spec.model)
    task = spec.task or r.task
    if task is None:
        own = () if "/" in spec.model else (*SMALL_NETS, *SHIPPED)
        found = near(spec.model, own, cutoff=0.7)
        guess = f"did you mean '{found}'? Else give" if found else "give"
        raise IdimError(f"model '{spec.model}' has no task of its own; {guess} --task.")
    filled: dict[str, Any] = {"task": task, "batch_size": spec.batch_size or r.batch_size}
    if spec.epochs is None and spec.steps is None:
        filled |= {"epochs": r.epochs, "steps": r.steps}
    if isinstance(spec, SweepSpec):
        filled["baseline_lr"] = spec.baseline_lr or r.baseline_lr
        filled["max_runs"] = spec.max_runs or r.max_runs
        filled["search"] = strategy_of(spec)
        filled |= STRATEGIES[filled["search"]].fill(spec, r)
    return replace(spec, **filled)


def _from_file(cls: type, file: Path) -> dict[str, Any]:
    table = toml(file, "config")
    known = [f.name for f in fields(cls)]
    problems = [str(unknown("key", k, known)) for k in table if k not in known]
    problems += [f"{k} is empty; leave it out." for k, v in table.items() if v in ("", [])]
    if problems:
        raise IdimError(f"{file}: " + " ".join(problems))
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    for name in _PLACES & values.keys():
        value = values[name]
        many = isinstance(value, tuple)
        values[name] = tuple(_beside(file, v) for v in value) if many else _beside(file, value)
    return values


def toml(file: Path, kind: str) -> dict[str, Any]:
    """Read a TOML file that a user wrote.

    Args:
        file: where.
        kind: what messages call it.

    Raises:
        IdimError: it is missing, too large, or not TOML.
    """
    try:
        return tomllib.loads(reading.content(file, reading.SETTINGS, kind).decode("utf-8-sig"))
    except ValueError as e:  # also an int of more digits than Python reads
        raise IdimError(f"{kind} '{file}' is not valid TOML: {e}.") from None
    except RecursionError:
        raise IdimError(f"{kind} '{file}' is not valid TOML: it is nested too deep.") from None


def _beside(file: Path, value: Any) -> Any:
    """Take a path that is not here from the config file's folder, if it is there."""
    if not isinstance(value, str):
        return value
    there = file.parent / value
    return str(there) if os.path.exists(there) and not os.path.exists(value) else value


def _parse(name: str, text: str, kind: Any) -> Any:
    """Read one value from text by its field's type."""
    if text.lower() in ("none", "null") and type(None) in get_args(kind):
        return None
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        words = text.strip("[]() ").removesuffix(",").split(",")
        if len(words) > 1 and not all(map(str.strip, words)):
            raise IdimError(f"{name}: a value is missing between the commas of {brief(text)}.")
        return tuple(_parse(name, w.strip(), item) for w in words)
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if not text:
        raise IdimError(f"{name} is empty; leave it out, or give a value.")
    if bool in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for to in (int, float):
        if to in kinds and (number := parse_number(text, to)) is not None:
            return number
    if any(k is str or choices(k) is not None for k in kinds):
        return text
    raise IdimError(f"{name}: expected {said(kind)}, got {brief(text)}.")


_DIGITS = {
    int: re.compile(r"[+-]?[0-9]+"),
    float: re.compile(
        r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|nan|inf|infinity)", re.I
    ),
}


def parse_number(text: str, to: type) -> Any:
    """Read a number as it is written everywhere: no underscores, no digits of other scripts.

    >>> parse_number("1e3", float), parse_number("1_0", int), parse_number("1e3", int)
    (1000.0, None, None)
    """
    if len(text) > 400 or not _DIGITS[to].fullmatch(text):
        return None
    return to(text)
