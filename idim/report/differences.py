"""In what the settings of several sweeps differ: two d90 of unlike trainings are no comparison."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from idim.config import SweepSpec
from idim.config.unused import idle, unused
from idim.results import Summary
from idim.search import Space

# Told by the names of the sweeps and their table.
_TOLD = {"model", "task", "method", "projection", "structure", "norm", "head", "threshold"}
# Where a search looks and how long, and how the machine computes: none of it is what is measured.
_ASIDE = {
    "data", "d", "d_min", "d_max", "points", "search", "tolerance", "max_runs", "lr_transfer",
    "pruning", "threads", "device", "copies",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that not all sweeps share."""

    setting: str
    # One a sweep, in their order, as a reader would write it; empty where it does nothing.
    values: tuple[str, ...]

    def line(self, marks: Iterable[str]) -> str:
        """Say which sweeps have which value: "optimizer: adamw (A, C), sgd (B)"."""
        by: dict[str, list[str]] = {}
        for mark, value in zip(marks, self.values, strict=True):
            by.setdefault(value or "of no use", []).append(mark)
        return f"{self.setting}: " + ", ".join(f"{v} ({', '.join(m)})" for v, m in by.items())


def differences(summaries: Sequence[Summary], spaces: Sequence[Space]) -> tuple[Difference, ...]:
    """Return what was set otherwise in some sweeps, and of weights and rows what has one name only.

    Args:
        summaries: of one or more sweeps.
        spaces: their settings, in the same order.
    """
    useless = [_idle(s.spec) for s in spaces]
    found = [
        Difference(name, tuple(
            "" if name in without else _said(getattr(s.spec, name))
            for s, without in zip(spaces, useless, strict=True)
        ))
        for name in (f.name for f in fields(SweepSpec))
        if name not in _TOLD | _ASIDE
    ]  # fmt: skip
    weights = "weights" if all(s.problem == "task" for s in summaries) else "code"
    found += [
        _of_one_name(weights, [s.model for s in summaries], spaces, "model_fingerprint"),
        _of_one_name("rows", [s.task for s in summaries], spaces, "data_fingerprint"),
    ]
    # where a setting does nothing there is no value to differ
    return tuple(one for one in found if len({value for value in one.values if value}) > 1)


def _idle(spec: SweepSpec) -> set[str]:
    """Return the settings that do nothing in a sweep."""
    return {*unused(spec), *idle(spec, (f.name for f in fields(SweepSpec)))}


def _of_one_name(what: str, names: list[str], spaces: Sequence[Space], key: str) -> Difference:
    """Tell fingerprints apart where a name has several; what has another name may be other."""
    prints = [s.resolved[key] for s in spaces]
    is_known = len(set(zip(names, prints, strict=True))) == len(set(names))
    return Difference(f"{what} of one name", tuple("" if is_known else p[:12] for p in prints))


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_said, value)) or "by default"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
