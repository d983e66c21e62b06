"""From defaults, a TOML file and overrides to a spec."""

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin

from idim.config.recipes import Recipe, recipe
from idim.config.specs import PretrainSpec, RunSpec, SweepSpec, TrajectorySpec
from idim.errors import IdimError, unknown

AnySpec = TypeVar("AnySpec", RunSpec, SweepSpec)
Loaded = TypeVar("Loaded", RunSpec, SweepSpec, TrajectorySpec, PretrainSpec)


# Fields that may name a place on disk.
_PLACES = {"data", "model", "models", "task", "tasks", "text"}


def load(cls: type[Loaded], file: Path | None, overrides: dict[str, Any]) -> Loaded:
    """Build a spec: default < TOML file < overrides, merged by "was it given", never by truth.

    Args:
        cls: RunSpec, SweepSpec, TrajectorySpec or PretrainSpec.
        file: a TOML file of flat keys; relative `data`, `model`, `models`, `task`, `tasks` and
            `text` paths in it are taken from the file's folder.
        overrides: values by field name; text (from `key=value`) is parsed by the field's type.

    Raises:
        IdimError: a missing or malformed file, an unknown key, a value of the wrong type or out
            of range; all problems of one source in one message.
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
    return cls(**given)


def parse_overrides(words: list[str]) -> dict[str, str]:
    """Split `key=value` words; dashes in keys read as underscores."""
    pairs = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise IdimError(f"cannot read '{word}'; overrides are written key=value.")
        pairs[name.strip().replace("-", "_")] = value.strip()
    return pairs


def with_recipe(spec: AnySpec) -> AnySpec:
    """Fill what the user left open (epochs or steps, batch size, grid ends) from the recipe."""
    r = recipe(spec.model)
    task = spec.task or r.task
    if task is None:
        raise IdimError(f"model '{spec.model}' has no task of its own; give --task.")
    filled: dict[str, Any] = {"task": task, "batch_size": spec.batch_size or r.batch_size}
    if spec.epochs is None and spec.steps is None:
        filled |= {"epochs": r.epochs, "steps": r.steps}
    if isinstance(spec, SweepSpec):
        filled["baseline_lr"] = spec.baseline_lr or r.baseline_lr
        filled["max_runs"] = spec.max_runs or r.max_runs
        filled |= _d_range(spec, r)
    return replace(spec, **filled)


def _d_range(spec: SweepSpec, r: Recipe) -> dict[str, Any]:
    """Choose the search, and the values of d or their ends."""
    ends = {n: getattr(spec, n) for n in ("d_min", "d_max", "points")}
    search = spec.search
    if search == "auto":
        search = "grid" if spec.d or spec.points else "adaptive"
    if search == "adaptive":
        del ends["points"]
    elif not any((spec.d, *ends.values())) and r.d:
        return {"search": search, "d": r.d}
    elif spec.d:
        return {"search": search}
    filled = {n: getattr(r, n) if v is None else v for n, v in ends.items()}
    return {"search": search, **filled}


def _from_file(cls: type, file: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as e:
        raise IdimError(f"cannot read config '{file}': {e.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise IdimError(f"'{file}' is not valid TOML: {e}.") from None
    known = [f.name for f in fields(cls)]
    problems = [str(unknown("key", k, known)) for k in table if k not in known]
    if problems:
        raise IdimError(f"{file}: " + " ".join(problems))
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    for name in _PLACES & values.keys():
        value = values[name]
        many = isinstance(value, tuple)
        values[name] = tuple(_beside(file, v) for v in value) if many else _beside(file, value)
    return values


def _beside(file: Path, value: Any) -> Any:
    """Take a path that is not here from the config file's folder, if it is there."""
    there = file.parent / str(value)
    return str(there) if there.exists() and not Path(str(value)).exists() else value


def _parse(name: str, text: str, kind: Any) -> Any:
    """Read one value from text by its field's type."""
    if text.lower() in ("none", "null") and type(None) in get_args(kind):
        return None
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        words = text.strip("[]() ").split(",")
        return tuple(_parse(name, w.strip(), item) for w in words if w.strip())
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if bool in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for to in (int, float):
        if to in kinds:
            try:
                return to(text)
            except ValueError:
                pass
    if any(k is str or get_origin(k) is Literal for k in kinds):
        return text
    expected = " or ".join(
        "true or false" if k is bool else k.__name__ for k in kinds if k is not type(None)
    )
    raise IdimError(f"{name}: expected {expected}, got '{text}'.")
