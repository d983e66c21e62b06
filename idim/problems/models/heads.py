"""What of a module is new for the task: its head; and what a pretraining had left there."""

from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import nn

# The kinds of model a pretraining ends with; what they share with a classifier is pretrained.
_PRETRAINED = (
    "AutoModelForPreTraining", "AutoModelForMaskedLM", "AutoModelForCausalLM",
    "AutoModelForSeq2SeqLM",
)  # fmt: skip


def task_specific(skeleton: Any, stored: Collection[str]) -> set[str]:
    """Name the tensors that no pretrained model of the family has: the head's.

    A family may keep a part of its pretraining head (ModernBERT's `head.dense`) or hide its own
    head below the base model (Perceiver's decoder), so where the weights hold more than a base
    model, names are compared with those of the family's pretraining models.

    Args:
        skeleton: the classifier, on the meta device.
        stored: names of the tensors in the weight files.
    """
    names, base = set(skeleton.state_dict()), base_prefix(skeleton)
    outside = {n for n in names if not n.startswith(base)}
    if outside and outside.isdisjoint(stored):
        return outside
    known = _pretrained_names(skeleton)
    return {n for n in names if n not in known and not is_pooler(n, base)}


def _pretrained_names(skeleton: Any) -> set[str]:
    import transformers

    base, names = base_prefix(skeleton), set()
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        try:
            body = transformers.AutoModel.from_config(skeleton.config, trust_remote_code=False)
            names |= {base + n for n in body.state_dict()}
        except Exception:  # no such model: the classifier's own base stands for it
            names |= {n for n in skeleton.state_dict() if n.startswith(base)}
        for kind in _PRETRAINED:
            try:
                made = getattr(transformers, kind).from_config(
                    skeleton.config, trust_remote_code=False
                )
            except Exception:  # a family has one or two of them; each raises its own error
                continue
            names |= set(made.state_dict())
    return names


def base_prefix(module: Any) -> str:
    """Return what the names of the base model's tensors begin with: `roberta.`."""
    return f"{module.base_model_prefix}."


def is_pooler(name: str, base: str) -> bool:
    """Tell whether a tensor is of the base model's pooler, which many checkpoints leave out."""
    return name.startswith(base) and any("pooler" in part for part in name.split("."))


def covering(module: nn.Module, names: Collection[str]) -> tuple[str, ...]:
    """Name the largest submodules whose parameters are all among `names`, in module order.

    >>> covering(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), {"1.weight", "1.bias", "0.bias"})
    ('0.bias', '1')
    """
    return tuple(_covering(module, names, ""))


def _covering(module: nn.Module, names: Collection[str], above: str) -> Iterator[str]:
    yield from (above + n for n, _ in module.named_parameters(recurse=False) if above + n in names)
    for name, child in module.named_children():
        own = [f"{above}{name}.{n}" for n, _ in child.named_parameters()]
        if own and all(n in names for n in own):
            yield above + name
        elif any(n in names for n in own):
            yield from _covering(child, names, f"{above}{name}.")


def children_beside_base(module: Any) -> set[str]:
    """Name the head as the first stores did: every part of the module but the base model."""
    return {
        name
        for name, part in module.named_children()
        if name != module.base_model_prefix and any(True for _ in part.parameters())
    }
