"""A folder's module: all that was asked for, or one line that says what is not."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from idim import hub
from idim.builtin import weights
from idim.errors import IdimError
from idim.problems.models import heads
from idim.problems.models.reading import attempt, quiet_transformers, read_config
from idim.problems.models.stored import FLOATS, count, open_weights

Shapes = dict[str, list[int]]

# A model may be larger than what is stored by its new head, hardly by more.
SPARE = 1 << 24


@dataclass(frozen=True, slots=True)
class Loaded:
    """A module with pretrained weights under a new head."""

    module: Any
    head: tuple[str, ...]
    # As in `Model`.
    changed: tuple[str, ...]
    notes: tuple[str, ...]


def load(name: str, folder: Path, classes: int, *, keep_head: bool = False) -> Loaded:
    """Read a model folder; the head is drawn from torch's generator, and all else is read.

    transformers is handed the tensors, not the folder: so it opens no file of its own choice, and
    a head that is stored can be left out, and is drawn as where there is none.

    Args:
        name: what the user called it.
        folder: with config.json and weights.
        classes: outputs of the head.
        keep_head: read the stored head instead.

    Raises:
        IdimError: anything but the head is missing, of another shape or not a number; config or
            weights that transformers cannot read; no head to keep.
    """
    stored = open_weights(hub.weight_files(folder, name))
    config = read_config(name, weights.shared(folder), classes, len(stored))
    skeleton = _skeleton(name, config, stored)
    shapes, base = _shapes(skeleton), heads.base_prefix(skeleton)
    _check_types(name, shapes, base, stored)
    new = heads.task_specific(skeleton, stored)
    old_head = {n for n in stored if n in new}
    fits = bool(old_head) and all(shapes[n] == stored[n].get_shape() for n in old_head)
    if keep_head and not (fits and old_head == new):
        raise IdimError(
            f"model '{name}' stores no head of {classes} outputs to keep; drop --keep-head, and "
            "each seed draws one."
        )
    used = {n: t for n, t in stored.items() if keep_head or n not in new}
    module, report = _fill(name, skeleton, used)
    lacking = _lacking(name, shapes, base, report)
    poolers = {n for n in lacking if heads.is_pooler(n, base)}
    beside = {n for n in lacking if not n.startswith(base)}
    _refuse_missing(name, shapes, used, lacking - poolers - beside - new)
    if not keep_head and not new & shapes.keys() <= lacking:
        raise IdimError(f"model '{name}' stores a head under names that transformers changes.")
    _check_numbers(name, module)
    head = heads.covering(module, new | beside)
    changed = ["head:2"] * (fits and not keep_head)
    changed += ["heads:2"] * (set(head) != heads.children_beside_base(module))
    unused = set() if keep_head else old_head
    return Loaded(module, head, tuple(changed), tuple(_notes(module, unused, poolers)))


def _notes(module: Any, unused: set[str], poolers: set[str]) -> Iterator[str]:
    if unused:
        yield (
            f"The model stores a head ({', '.join(heads.covering(module, unused))}) that is not "
            "used: each seed draws a new one."
        )
    if poolers:
        yield (
            f"The model's weights lack {', '.join(heads.covering(module, poolers))}: each seed "
            "draws it anew, as the head, and d counts it."
        )


def _skeleton(name: str, config: Any, stored: dict[str, Any]) -> Any:
    """Build the classifier without memory, and see that the weights are as large as it is."""
    auto = quiet_transformers().AutoModelForSequenceClassification

    def make() -> Any:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            return auto.from_config(config, dtype=torch.float32, trust_remote_code=False)

    skeleton = attempt(name, "config.json", make)
    numbers, held = sum(p.numel() for p in skeleton.parameters()), count(stored)
    if numbers > 2 * held + SPARE:
        raise IdimError(
            f"config.json of model '{name}' describes {numbers:,} numbers but its weights hold "
            f"{held:,}; they do not belong together."
        )
    return skeleton


def _shapes(skeleton: Any) -> Shapes:
    """Map the floating-point tensors of a module to their shapes."""
    return {n: list(t.shape) for n, t in skeleton.state_dict().items() if t.is_floating_point()}


def _check_types(name: str, shapes: Shapes, base: str, stored: dict[str, Any]) -> None:
    """Refuse weights that are not stored as numbers to train from."""
    for key, tensor in stored.items():
        if tensor.get_dtype() not in FLOATS and (key in shapes or base + key in shapes):
            raise IdimError(
                f"model '{name}' stores '{key}' as {tensor.get_dtype()}: quantised weights; give "
                "the float model it was made from."
            )


def _fill(name: str, skeleton: Any, used: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Make the module from tensors; return it with transformers' report of what did not fit."""

    def make() -> tuple[Any, dict[str, Any]]:
        return type(skeleton).from_pretrained(
            None, config=skeleton.config, state_dict=dict(used), dtype=torch.float32,
            ignore_mismatched_sizes=True, output_loading_info=True, use_safetensors=True,
            trust_remote_code=False,
        )  # fmt: skip

    return attempt(name, "the weights", make)


def _lacking(name: str, shapes: Shapes, base: str, report: dict[str, Any]) -> set[str]:
    """Name the tensors that were not read; refuse weights of another model than the config's."""
    for key, there, here in sorted(report["mismatched_keys"]):
        raise IdimError(
            f"the weights of model '{name}' hold '{key}' of shape {list(there)} where its "
            f"config.json says {list(here)}; they do not belong together."
        )
    known = {_unnumbered(n) for key in shapes for n in (key, key.removeprefix(base))}
    further = sorted(n for n in report["unexpected_keys"] if _unnumbered(n) in known)
    lacking = {n for n in report["missing_keys"] if n in shapes}
    if further:
        raise IdimError(
            f"the weights of model '{name}' hold layers that its config.json leaves out, e.g. "
            f"'{further[0]}'; they do not belong together."
        )
    return lacking


def _unnumbered(name: str) -> str:
    return re.sub(r"\.\d+(?=\.)", ".*", name)


def _refuse_missing(name: str, shapes: Shapes, used: Collection[str], wrong: set[str]) -> None:
    if not wrong:
        return
    first = min(wrong)
    longer = next((n for n in used if n.endswith(f".{first}")), None)
    why = f" (they begin with '{longer.removesuffix(first)}')" if longer else ""
    raise IdimError(
        f"the weights of model '{name}' lack {len(wrong)} of the {len(shapes)} tensors that its "
        f"config.json describes, e.g. '{first}'{why}; random ones would pass for pretrained."
    )


def _check_numbers(name: str, module: Any) -> None:
    """Refuse NaN and infinity among the weights."""
    for key, parameter in module.named_parameters():
        if (
            parameter.numel()
            and not torch.stack(torch.aminmax(parameter.detach())).isfinite().all()
        ):
            raise IdimError(f"the weights of model '{name}' hold NaN or infinity in '{key}'.")
