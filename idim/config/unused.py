"""Which settings mean nothing beside the others: given all the same, they are a mistake.

A sweep that ignored `--max-runs` in silence would not be the sweep that was asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from idim.config.names import METHODS, MODULE, STRATEGIES
from idim.config.recipes import SMALL_NETS
from idim.config.searches import heeded_by, strategy_of, unheeded
from idim.errors import IdimError


@dataclass(frozen=True, slots=True)
class Rule:
    """Settings that are of use only where something holds, and what decides it."""

    names: tuple[str, ...]
    # Whether the settings are of no use, by the whole spec.
    is_unused: Callable[[Any], bool]
    why: str
    # The settings that decide it.
    by: tuple[str, ...]


_SWEEP = (
    Rule(("lr_multiples",), lambda s: bool(s.lr), "lr is given", ("lr",)),
    Rule(("lr_transfer",), lambda s: bool(s.lr), "lr is given, and holds at every d", ("lr",)),
    Rule(("baseline_lr",), lambda s: bool(s.lr) and s.baseline != "own",
         "lr and a fixed baseline are given", ("lr", "baseline")),
    Rule(("floor",), lambda s: s.target != "gain", "it is for target gain", ("target",)),
)  # fmt: skip
_SETUP = (
    Rule(("said_lr", "said_groups"), lambda s: s.structure != "said", "it is for structure said",
         ("structure",)),
    Rule(("head_lr",), lambda s: s.head != "free", "it is for head free", ("head",)),
    Rule(("beta1", "beta2"), lambda s: s.optimizer == "sgd", "optimizer sgd has momentum",
         ("optimizer",)),
    Rule(("momentum",), lambda s: s.optimizer != "sgd", "it is for optimizer sgd", ("optimizer",)),
    Rule(("decay_to",), lambda s: s.weight_decay == 0, "it is for weight_decay above 0",
         ("weight_decay",)),
)  # fmt: skip
_MEASURED = (
    Rule(("max_length",), lambda s: s.model in SMALL_NETS, "the model reads no text", ("model",)),
    Rule(("checkpoint",), lambda s: s.model == "toy" or s.task == MODULE, "there are no epochs",
         ("model", "task")),
    Rule(("train_samples", "eval_samples"), lambda s: s.model == "toy", "toy has no rows",
         ("model",)),
)  # fmt: skip
_RUN = (
    Rule(("d",), lambda s: METHODS[s.method].size != "d", "the method has no d", ("method",)),
    Rule(("size",), lambda s: METHODS[s.method].size != "size", "the method has no such size",
         ("method",)),
)  # fmt: skip
_PRETRAIN = (
    Rule(("paragraphs",), lambda s: s.text is not None, "a text folder is given", ("text",)),
    Rule(("tokens",), lambda s: s.tokenizer == "word", "it is for a trained tokenizer",
         ("tokenizer",)),
    Rule(("cloze_from",), lambda s: s.cloze == 0, "it is for cloze above 0", ("cloze",)),
)  # fmt: skip


def refuse_unused(spec: Any, in_file: Iterable[str], typed: Iterable[str]) -> None:
    """Refuse settings that were given and mean nothing.

    A file may be written for another search than the one that was typed over it: what it says
    of that other one is no mistake.

    Raises:
        IdimError: naming each with the reason.
    """
    in_file, typed = set(in_file), set(typed)
    harmless = idle(spec, in_file | typed)
    problems = [
        f"{name} would not be used: {rule.why}; leave it out"
        for name, rule in unused(spec).items()
        if name not in harmless
        and (name in typed or (name in in_file and not typed & set(rule.by)))
    ]
    if problems:
        raise IdimError("; ".join(problems) + ".")


def unused(spec: Any) -> dict[str, Rule]:
    """Return the settings that mean nothing in a spec, with the rule that says so."""
    rules: tuple[Rule, ...]
    if hasattr(spec, "paragraphs"):
        rules = _PRETRAIN
    else:
        rules = _SETUP + (_MEASURED if hasattr(spec, "model") else ())
        rules += (*_of_other_searches(spec), *_SWEEP) if hasattr(spec, "baseline") else _RUN
    return {name: rule for rule in rules if rule.is_unused(spec) for name in rule.names}


def _of_other_searches(spec: Any) -> Iterator[Rule]:
    called = STRATEGIES[strategy_of(spec)].called
    for name in unheeded(spec):
        why = f"the search is {called}, and it is for search {', '.join(heeded_by(name))}"
        yield Rule((name,), lambda _: True, why, ("search", "d", "points"))


def idle(spec: Any, given: Iterable[str]) -> dict[str, str]:
    """Return the settings that mean nothing and do no harm, with the reason.

    What a method does without is such a one: loops over methods may well give it.
    """
    if not hasattr(spec, "method"):
        return {}
    given, method = set(given) - {"d", "size"}, METHODS[spec.method]
    why = f"method {spec.method} {'has no subspace' if method.trains else 'trains nothing'}"
    return {name: why for name in method.ignores if name in given}
