"""What a run and a sweep are: frozen specs, and the run id.

A `RunSpec` fixes one training completely; its id is a hash of its resolved canonical form, so the
same spec is the same run on every machine.  A `SweepSpec` fixes how a sweep measures d90.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from idim.config.checks import range_problems, type_problems
from idim.config.names import METHODS, PROJECTIONS, STRATEGIES, Choices
from idim.config.recipes import recipe
from idim.config.schema import SCHEMA, older_id
from idim.config.searches import AUTO
from idim.errors import IdimError

Projection = Annotated[str, PROJECTIONS]
Structure = Literal["did", "said"]
SaidGroups = Literal["tensor", "module", "block"]
Norm = Literal["global", "tensor"]
Head = Literal["subspace", "free", "frozen"]
Method = Annotated[str, METHODS]
Select = Literal["split", "eval"]
Device = Literal["auto", "cpu", "cuda"]
DType = Literal["float32", "bfloat16"]
Optimizer = Literal["adamw", "adam", "sgd"]
Schedule = Literal["linear", "constant", "cosine"]
DecayTo = Literal["trained", "zero", "theta_0"]
Checkpoint = Literal["last", "best"]
Search = Annotated[str, Choices(STRATEGIES)]
Pruning = Literal["halving", "none"]
Tokenizer = Literal["word", "bpe", "wordpiece"]
Lines = Literal["one", "own", "both"]
Aim = Literal["papers", "gain"]

# Hex digits of a run's hash in its id: 48 bits tell a million runs apart.
ID_DIGITS = 12
# Where something lies decides nothing.
_NOWHERE = ("data",)

# Share of the steps after which a search may stop a run that cannot be the best.
QUARTER = 0.25


# The parts that specs are put together from have no slots: two that have cannot be bases of one.
@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is measured."""

    model: str = "tiny"
    # Empty: what the model is for, if it is built in.
    task: str = ""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What every run shares, of whatever model and task: the subspace and the recipe."""

    data: str | None = None
    method: Method = "subspace"
    projection: Projection = "fastfood"
    structure: Structure = "did"
    said_groups: SaidGroups = "module"
    norm: Norm = "global"
    head: Head = "subspace"
    # Keep the head that a fine-tuned model stores: else each seed draws one.
    keep_head: bool = False
    epochs: float | None = None
    steps: int | None = None
    batch_size: int | None = None
    max_length: int = 128
    train_samples: int | None = None
    eval_samples: int | None = None
    select: Select = "split"
    optimizer: Optimizer = "adamw"
    # Of adamw and adam; momentum is sgd's.
    beta1: float = 0.9
    beta2: float = 0.999
    momentum: float = 0.9
    # Largest norm of the gradient of what is trained, in a subspace theta_d's; None: any.
    clip: float | None = None
    weight_decay: float = 0.0
    # "trained": the optimizer draws each trained number to 0, so theta to theta_0 in a subspace and
    # to 0 in full fine-tuning.  "zero", "theta_0": the loss has weight_decay / 2 times the squared
    # distance of theta from there, as Li et al. in any space.
    decay_to: DecayTo = "trained"
    # Share of the steps over which the learning rate rises from 0; what it does then.
    warmup: float = 0.06
    schedule: Schedule = "linear"
    # "best": of the epochs' ends, by the rows held out (with select "eval" by the scored ones).
    checkpoint: Checkpoint = "last"
    # Step sizes of what is trained beside theta_d: SAID's lambdas (start at 1) and a free head.
    said_lr: float = 0.01
    head_lr: float = 1e-3
    # 2 keeps theta_0 beside theta; 1 keeps it on disk: half the memory, see `Subspace`.
    copies: int = 2
    device: Device = "auto"
    dtype: DType = "float32"
    # They decide the order of sums, and so the bits.  None: what the folder, the model's recipe or
    # this machine's cores say; 0 stands in stores that did not note it: every core there was.
    threads: int | None = None

    def __post_init__(self) -> None:
        problems = [*type_problems(self), *range_problems(self)]
        if problems:
            raise IdimError("; ".join(problems) + ".")
        for f in fields(self):  # a TOML file's 1 and a command line's 1.0 are one run
            value = getattr(self, f.name)
            if f.type in (float, float | None) and isinstance(value, int):
                object.__setattr__(self, f.name, float(value))
            elif f.type == tuple[float, ...]:
                object.__setattr__(self, f.name, tuple(map(float, value)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup(Conditions, Measured):
    """What every run of a sweep shares: the model, the data, the subspace and the recipe."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSpec(Setup):
    """One training: of a method and a size, which is d in a subspace and `size` elsewhere."""

    d: int | None = None
    size: int | None = None
    lr: float = 1e-3
    seed: int = 0
    # Share of the steps after which the run stops and is scored; None: it goes to its end.
    stop_at: float | None = None
    # Hashes of the weights and of the rows used: what `model` and `data` name, not where they lie.
    model_fingerprint: str = ""
    data_fingerprint: str = ""
    # What a task's file calls itself, as ids write it; empty: `task` says it.
    task_name: str = ""
    # Behaviours mended since the first stores that decide this run's bits: `Model.changed` of
    # `problems.base`.
    changed: tuple[str, ...] = ()
    # "reference" where plain torch makes P theta_d: it adds in another order than the fused
    # kernels of the device do, None.
    kernels: str | None = None
    # Whether it is a row of a stack (`idim.training.stack`), whose sums are not the plain loop's.
    stacked: bool = False

    @property
    def early_stop(self) -> "RunSpec":
        """The same run stopped early: it ends in a state that this run passes through."""
        return replace(self, stop_at=QUARTER) if METHODS[self.method].trains else self

    @property
    def is_stackable(self) -> bool:
        """Whether runs of this kind train as one stack: of a small net, plainly, on the CPU.

        A function of what the id holds, so that a baseline is one run whatever it is compared with.
        """
        return (
            recipe(self.model).stack > 0
            and METHODS[self.method].stacks(self)
            and (self.device, self.dtype, self.weight_decay) == ("cpu", "float32", 0.0)
            and (self.clip, self.checkpoint) == (None, "last")
            and self.optimizer != "sgd"
        )

    @property
    def id(self) -> str:
        """Readable part and 12 hex digits of the hash of the canonical form."""
        how = METHODS[self.method].named(self)[0]
        size = self.sized and f"-{self.sized.replace('=', '')}"
        digest = hashlib.sha256(self.canonical().encode()).hexdigest()[:ID_DIGITS]
        return f"{self.called}-{slug(self.model)}-{how}{size}-s{self.seed}-{digest}"

    @property
    def called(self) -> str:
        """What its task is called in ids and titles."""
        return self.task_name or slug(self.task)

    @property
    def measure(self) -> int | None:
        """The size that its method takes, d in a subspace; None: all is trained, 0: nothing is."""
        size = METHODS[self.method].size
        if size is None:
            return None if METHODS[self.method].trains else 0
        return getattr(self, size)

    @property
    def sized(self) -> str:
        """The same as `d=100`; empty where there is none."""
        return f"{METHODS[self.method].symbol}={self.measure}" if self.measure else ""

    @property
    def older_id(self) -> str:
        """The id of a run that schema 1 may have stored in place of this one."""
        return older_id(asdict(self), slug)

    def canonical(self) -> str:
        """Serialise what decides the result: what differs from the defaults of the schema.

        Keys are sorted and places on disk left out.  A field that is added with a default changes
        no id; a default that is changed, or a field that comes to mean something else, is a new
        schema.
        """
        record: dict[str, Any] = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if getattr(self, f.name) != f.default
        }
        for name in (*_NOWHERE, "task_name", *METHODS[self.method].ignores):
            record.pop(name, None)
        record |= {"model": slug(self.model), "task": self.called, "schema": SCHEMA}
        return json.dumps(record, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How d90 is measured: which d, learning rates and seeds, and against which baseline."""

    d: tuple[int, ...] = ()
    d_min: int | None = None
    d_max: int | None = None
    points: int | None = None
    # Empty: `lr_multiples` of the rate that matches full fine-tuning's step length.
    lr: tuple[float, ...] = ()
    # An Adam step moves theta by lr sqrt(d) in a unit-column subspace and by lr sqrt(D) in full
    # space, so lr_full sqrt(D/d) matches.  The best rates were 1 to 33 times that, by
    # scripts/lr_transfer.py on digits (five settings), SST-2 and paraphrase; a rate two times off
    # loses little.
    lr_multiples: tuple[float, ...] = (1.0, 4.0, 16.0, 64.0)
    baseline_lr: tuple[float, ...] = ()
    seeds: int = 3
    threshold: float = 0.9
    # "own": this model's full fine-tuning; a number: that score, and no baseline runs.
    baseline: str | float = "own"
    # The score that d90 reaches.  "papers": threshold * baseline; "gain": floor + threshold *
    # (baseline - floor), which asks for the same where chance or the untrained model is near.
    target: Aim = "papers"
    # What a gain counts from.  "own": the better of the best constant answer and the untrained
    # model, which is scored for it once a seed; a number: that score, and no such runs.
    floor: str | float = "own"
    # "auto": the strategy that suits what is given of d.
    search: Search = AUTO
    # Of a search that finds out as it goes: the interval's upper end over its lower one at which
    # it stops, the runs at which it stops in any case, and a in the rule lr ~ (D/d)^a that carries
    # a best rate to another d.  Measured: 0.61 ± 0.08 on SST-2 with minilm-l3, 1.10 ± 0.12 on
    # paraphrase with tiny (where 0.65 loses 0.010, 0.8 0.005 and 0.5 0.016); on digits 0.75 ± 0.10
    # (sparse), 0.79 ± 0.15 (dense), 0.82 ± 0.32 (fastfood), where the best a gains less than 0.001
    # on 0.65.
    tolerance: float = 1.25
    max_runs: int | None = None
    lr_transfer: float = 0.65
    # "halving": of several learning rates at one d the worse half stops after a quarter.
    pruning: Pruning = "halving"


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepSpec(Protocol, Setup):
    """One measurement of d90: of a model on a task, under conditions, by a protocol."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrajectorySpec(Protocol, Conditions):
    """d90 along a pretraining: one sweep a checkpoint and task, all alike in the rest."""

    # Checkpoints; a shipped family or a folder of `idim pretrain` stands for all of its own.
    models: tuple[str, ...] = ("tiny",)
    # Empty: every embedded text task.
    tasks: tuple[str, ...] = ()
    # Pretraining steps of each checkpoint; empty: read off its name.
    pretrained: tuple[int, ...] = ()
    # "one": the same score is asked of every checkpoint of a task, the last one's line; "own": of
    # each its own line, as the papers, so that little is asked where full fine-tuning learns
    # little; "both": measure both.
    lines: Lines = "one"
    # A share of the gain: 0.9 of a score near chance asks for little of what pretraining gives.
    target: Aim = "gain"
    # Many sweeps, each coarser than one alone.
    tolerance: float = 2.0
    max_runs: int | None = 14
    seeds: int = 2

    def sweep(self, model: str, task: str) -> SweepSpec:
        """Return the sweep of one checkpoint on one task."""
        alike = (*fields(Conditions), *fields(Protocol))
        shared: dict[str, Any] = {f.name: getattr(self, f.name) for f in alike}
        return SweepSpec(model=model, task=task, **shared)


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainSpec:
    """One masked-language-model pretraining of a RoBERTa-shaped encoder from random weights."""

    # A folder of UTF-8 .txt (or .txt.gz) files; None: the package's own language.
    text: str | None = None
    # How many paragraphs of the package's own language are written and read again and again.
    paragraphs: int = 300_000
    tokenizer: Tokenizer = "word"
    # Most tokens the tokenizer may have, and rows of the model's embedding; None: what it needs.
    tokens: int | None = None
    vocab_size: int | None = None
    hidden_size: int = 128
    layers: int = 3
    heads: int = 4
    # Tokens a row; longer paragraphs are cut into several rows.
    max_length: int = 48
    steps: int = 10_000
    batch_size: int = 128
    lr: float = 2e-3
    # Share of the steps over which the learning rate rises from 0; it then falls linearly to 0.
    warmup: float = 0.05
    weight_decay: float = 0.01
    dropout: float = 0.0
    # Share of the tokens that are hidden and asked for.
    mask: float = 0.2
    # Clozes: of the rows with a sentence of three words or fewer ("This is different."), the share
    # where it is hidden and nothing else, after a share of the steps.  Such a sentence speaks of
    # the others, and one word in many asked for anywhere is too rare a lesson to compare them.
    cloze: float = 0.0
    cloze_from: float = 0.0
    # Steps after which the model is kept; the last step always is.  Empty: 0, 100, 300, 1000, ...
    checkpoints: tuple[int, ...] = ()
    seed: int = 0
    # They decide the order of sums, and so the bits.
    threads: int = 2

    def __post_init__(self) -> None:
        problems = [*type_problems(self), *range_problems(self)]
        if problems:
            raise IdimError("; ".join(problems) + ".")

    @property
    def kept(self) -> tuple[int, ...]:
        """Every step after which the model is kept, in order."""
        grid = (0, *(n * 10**e for e in range(2, 9) for n in (1, 3)))
        return tuple(sorted({s for s in self.checkpoints or grid if s < self.steps} | {self.steps}))


def slug(name: str) -> str:
    """Turn a hub id, a folder or a task file into the short name used in ids and titles."""
    stem = Path(name).name.removesuffix(".toml")
    return re.sub(r"[^A-Za-z0-9_.]+", "-", stem).strip("-.").lower() or "unnamed"
