"""What a run and a sweep are: frozen specs, their defaults, files and overrides, and the run id.

A `RunSpec` fixes one training completely; its id is a hash of its resolved canonical form, so the
same spec is the same run on every machine.  A `SweepSpec` fixes the grid of runs that measures d90.
"""

import hashlib
import json
import math
import re
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin

from idim.errors import IdimError, unknown

Projection = Literal["dense", "sparse", "fastfood", "orthogonal", "onehot"]
Structure = Literal["did", "said"]
SaidGroups = Literal["tensor", "module", "block"]
Norm = Literal["global", "tensor"]
Head = Literal["subspace", "free", "frozen"]
Method = Literal["subspace", "full"]
Select = Literal["split", "eval"]
Device = Literal["auto", "cpu", "cuda"]
DType = Literal["float32", "bfloat16"]
Search = Literal["grid"]

# Bump when the meaning of a spec changes, so that old results never pass for new ones.
SPEC_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a family of models is trained unless the user says otherwise."""

    epochs: float | None
    steps: int | None
    batch_size: int
    baseline_lr: tuple[float, ...]
    # Either the values of d, or the ends of a log grid and how many of its points to take.
    d: tuple[int, ...] = ()
    d_min: int = 10
    d_max: int = 10_000
    points: int = 10
    # What the model is for, where only one task fits or one is the custom.
    task: str | None = None
    # 0 uses every core.  Small nets lose more to thread hand-over than they gain.
    threads: int = 0


TRANSFORMER = Recipe(epochs=3.0, steps=None, batch_size=32, baseline_lr=(3e-5, 1e-4, 3e-4))
SMALL_NETS = {
    "toy": Recipe(
        task="toy", epochs=None, steps=2000, batch_size=1, baseline_lr=(0.01, 0.1),
        d=(5, 8, 9, 10, 11, 12, 20), threads=1,
    ),
    "digits-mlp": Recipe(
        task="digits", epochs=20.0, steps=None, batch_size=64, baseline_lr=(1e-3, 3e-3, 1e-2),
        d_min=10, d_max=500, points=8, threads=1,
    ),
    "mnist-fc": Recipe(
        task="mnist", epochs=10.0, steps=None, batch_size=128, baseline_lr=(1e-3, 3e-3),
        d_min=100, d_max=1500, points=10, threads=1,
    ),
    "lenet": Recipe(
        task="mnist", epochs=10.0, steps=None, batch_size=128, baseline_lr=(1e-3, 3e-3),
        d_min=50, d_max=1500, points=10, threads=1,
    ),
}  # fmt: skip


def recipe(model: str) -> Recipe:
    """Return the training recipe of a built-in net, or the transformers' for anything else."""
    return SMALL_NETS.get(model, TRANSFORMER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What every run of a sweep shares: the model, the data, the subspace and the recipe."""

    model: str = "digits-mlp"
    # Empty: what the model is for, if it is built in.
    task: str = ""
    data: str | None = None
    projection: Projection = "fastfood"
    structure: Structure = "did"
    said_groups: SaidGroups = "module"
    norm: Norm = "global"
    head: Head = "subspace"
    epochs: float | None = None
    steps: int | None = None
    batch_size: int | None = None
    max_length: int = 128
    train_samples: int | None = None
    eval_samples: int | None = None
    select: Select = "split"
    weight_decay: float = 0.0
    # Share of the steps over which the learning rate rises from 0; it then falls linearly to 0.
    warmup: float = 0.06
    # Step sizes of what is trained beside theta_d: SAID's lambdas (start at 1) and a free head.
    said_lr: float = 0.01
    head_lr: float = 1e-3
    device: Device = "auto"
    dtype: DType = "float32"

    def __post_init__(self) -> None:
        problems = [*_type_problems(self), *_range_problems(self)]
        if problems:
            raise IdimError("; ".join(problems) + ".")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSpec(Setup):
    """One training: `method="full"` trains all D parameters, `"subspace"` only theta_d."""

    method: Method = "subspace"
    d: int | None = None
    lr: float = 1e-3
    seed: int = 0
    # Hashes of the weights and of the rows used: what `model` and `data` name, not where they lie.
    model_fingerprint: str = ""
    data_fingerprint: str = ""

    @property
    def id(self) -> str:
        """Readable part and 8 hex digits of the hash of the canonical form."""
        size = "full" if self.method == "full" else f"{self.projection}-d{self.d}"
        digest = hashlib.sha256(self.canonical().encode()).hexdigest()[:8]
        return f"{slug(self.task)}-{slug(self.model)}-{size}-s{self.seed}-{digest}"

    def canonical(self) -> str:
        """Serialise what decides the result, keys sorted; places on disk are left out."""
        record: dict[str, Any] = asdict(self)
        del record["data"]
        record["model"] = slug(self.model)
        record["task"] = slug(self.task)
        record["version"] = SPEC_VERSION
        if self.method == "full":  # a baseline has no subspace: share it between sweeps
            for name in (
                "projection",
                "structure",
                "said_groups",
                "norm",
                "head",
                "said_lr",
                "head_lr",
            ):
                del record[name]
        return json.dumps(record, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepSpec(Setup):
    """The runs that measure d90: a grid over d, learning rate and seed, and a baseline."""

    d: tuple[int, ...] = ()
    d_min: int | None = None
    d_max: int | None = None
    points: int | None = None
    # Empty: `lr_multiples` of the rate that matches full fine-tuning's step length.
    lr: tuple[float, ...] = ()
    # An Adam step moves theta by lr sqrt(d) in a unit-column subspace and by lr sqrt(D) in full
    # space, so lr_full sqrt(D/d) matches.  A pilot found the best rates up to 64 times above that.
    lr_multiples: tuple[float, ...] = (1.0, 4.0, 16.0, 64.0)
    baseline_lr: tuple[float, ...] = ()
    seeds: int = 3
    threshold: float = 0.9
    # "own": this model's full fine-tuning; a number: that score, and no baseline runs.
    baseline: str | float = "own"
    search: Search = "grid"


AnySpec = TypeVar("AnySpec", RunSpec, SweepSpec)


def slug(name: str) -> str:
    """Turn a hub id, a folder or a task file into the short name used in ids and titles."""
    stem = Path(name).name.removesuffix(".toml")
    return re.sub(r"[^A-Za-z0-9_.]+", "-", stem).strip("-.").lower() or "unnamed"


def load(cls: type[AnySpec], file: Path | None, overrides: dict[str, Any]) -> AnySpec:
    """Build a spec: default < TOML file < overrides, merged by "was it given", never by truth.

    Args:
        cls: RunSpec or SweepSpec.
        file: a TOML file of flat keys; relative `data`, `model` and `task` paths in it are
            taken from the file's folder.
        overrides: values by field name; text (from `key=value`) is parsed by the field's type.

    Raises:
        IdimError: a missing or malformed file, an unknown key, a value of the wrong type or out
            of range; all problems of one source in one message.
    """
    given: dict[str, Any] = {}
    if file is not None:
        given |= _from_file(cls, file)
    known = {f.name: f for f in fields(cls)}
    for name, value in overrides.items():
        if name not in known:
            raise unknown("key", name, known)
        given[name] = _parse(name, value, known[name].type) if isinstance(value, str) else value
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
        ends = {n: getattr(spec, n) for n in ("d_min", "d_max", "points")}
        if not any((spec.d, *ends.values())) and r.d:
            filled["d"] = r.d
        elif not spec.d:
            filled |= {n: getattr(r, n) if v is None else v for n, v in ends.items()}
    return replace(spec, **filled)


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
    for name in ("data", "model", "task"):
        beside = file.parent / str(values.get(name, ""))
        if name in values and beside.exists() and not Path(values[name]).exists():
            values[name] = str(beside)
    return values


def _parse(name: str, text: str, kind: Any) -> Any:
    """Read one value from text by its field's type."""
    if text.lower() in ("none", "null") and type(None) in get_args(kind):
        return None
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        words = text.strip("[]() ").split(",")
        return tuple(_parse(name, w.strip(), item) for w in words if w.strip())
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    for to in (int, float):
        if to in kinds:
            try:
                return to(text)
            except ValueError:
                pass
    if any(k is str or get_origin(k) is Literal for k in kinds):
        return text
    expected = " or ".join(k.__name__ for k in kinds if k is not type(None))
    raise IdimError(f"{name}: expected {expected}, got '{text}'.")


def _type_problems(spec: Setup) -> list[str]:
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
    "baseline_lr": (0, False), "lr_multiples": (0, False), "d": (1, True), "d_min": (1, True), "d_max": (1, True),
    "points": (1, True), "seeds": (1, True), "threshold": (0, False), "seed": (0, True),
}  # fmt: skip


def _range_problems(spec: Setup) -> list[str]:
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
    if spec.epochs is not None and spec.steps is not None:
        problems.append("give epochs or steps, not both")
    if spec.warmup > 1:
        problems.append(f"warmup is a share of the steps and must be at most 1, got {spec.warmup}")
    if isinstance(spec, RunSpec) and spec.method == "subspace" and spec.d is None:
        problems.append("a subspace run needs d; give --d")
    if isinstance(spec, SweepSpec):
        if isinstance(spec.baseline, str) and spec.baseline != "own":
            problems.append(f"baseline must be 'own' or a number, got '{spec.baseline}'")
        if spec.d_min and spec.d_max and spec.d_min > spec.d_max:
            problems.append(f"d_min {spec.d_min} exceeds d_max {spec.d_max}")
        if spec.d and (spec.d_min or spec.d_max or spec.points):
            problems.append("give d, or d_min / d_max / points, not both")
    return problems
