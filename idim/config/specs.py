"""What a run and a sweep are: frozen specs, and the run id.

A `RunSpec` fixes one training completely; its id is a hash of its resolved canonical form, so the
same spec is the same run on every machine.  A `SweepSpec` fixes how a sweep measures d90.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from idim.config.checks import range_problems, type_problems
from idim.errors import IdimError

Projection = Literal["dense", "sparse", "fastfood", "orthogonal", "onehot"]
Structure = Literal["did", "said"]
SaidGroups = Literal["tensor", "module", "block"]
Norm = Literal["global", "tensor"]
Head = Literal["subspace", "free", "frozen"]
Method = Literal["subspace", "full"]
Select = Literal["split", "eval"]
Device = Literal["auto", "cpu", "cuda"]
DType = Literal["float32", "bfloat16"]
Search = Literal["auto", "adaptive", "grid"]
Pruning = Literal["halving", "none"]

# Share of the steps after which a search may stop a run that cannot be the best.
QUARTER = 0.25

# Bump when the meaning of a spec changes, so that old results never pass for new ones.
SPEC_VERSION = 1


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
    # 2 keeps theta_0 beside theta; 1 keeps it on disk: half the memory, see `Subspace`.
    copies: int = 2
    device: Device = "auto"
    dtype: DType = "float32"

    def __post_init__(self) -> None:
        problems = [*type_problems(self), *range_problems(self)]
        if problems:
            raise IdimError("; ".join(problems) + ".")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSpec(Setup):
    """One training: `method="full"` trains all D parameters, `"subspace"` only theta_d."""

    method: Method = "subspace"
    d: int | None = None
    lr: float = 1e-3
    seed: int = 0
    # Share of the steps after which the run stops and is scored; None: it goes to its end.
    stop_at: float | None = None
    # Hashes of the weights and of the rows used: what `model` and `data` name, not where they lie.
    model_fingerprint: str = ""
    data_fingerprint: str = ""

    @property
    def first_quarter(self) -> "RunSpec":
        """The same run stopped early: it ends in a state that this run passes through."""
        return replace(self, stop_at=QUARTER)

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
        if self.stop_at is None:
            del record["stop_at"]
        if self.method == "full":  # a baseline has no subspace: share it between sweeps
            for name in (
                "projection",
                "structure",
                "said_groups",
                "norm",
                "head",
                "said_lr",
                "head_lr",
                "copies",
            ):
                del record[name]
        return json.dumps(record, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepSpec(Setup):
    """How d90 is measured: which d, learning rates and seeds, and against which baseline."""

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
    # "auto": the grid when d or points are given, else adaptive.
    search: Search = "auto"
    # Adaptive search: the interval's upper end over its lower one at which it stops, the runs at
    # which it stops in any case, and a in the rule lr ~ (D/d)^a that carries a best rate to
    # another d (a pilot on SST-2 found about 0.8).
    tolerance: float = 1.16
    max_runs: int = 100
    lr_transfer: float = 0.8
    # "halving": of several learning rates at one d the worse half stops after a quarter.
    pruning: Pruning = "halving"


def slug(name: str) -> str:
    """Turn a hub id, a folder or a task file into the short name used in ids and titles."""
    stem = Path(name).name.removesuffix(".toml")
    return re.sub(r"[^A-Za-z0-9_.]+", "-", stem).strip("-.").lower() or "unnamed"
