"""In what the settings of several sweeps differ: two d90 of unlike trainings are no comparison."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from idim.config import SweepSpec
from idim.results import Evidence, Summary

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
    # One a sweep, in their order, as a reader would write it.
    values: tuple[str, ...]

    def line(self, marks: Iterable[str]) -> str:
        """Say which sweeps have which value: "optimizer: adamw (A, C), sgd (B)"."""
        by: dict[str, list[str]] = {}
        for mark, value in zip(marks, self.values, strict=True):
            by.setdefault(value, []).append(mark)
        return f"{self.setting}: " + ", ".join(f"{v} ({', '.join(m)})" for v, m in by.items())


def differences(summaries: Sequence[Summary], sweeps: Sequence[Evidence]) -> tuple[Difference, ...]:
    """Return what was set otherwise in some sweeps, and of weights and rows what has one name only.

    Args:
        summaries: of one or more sweeps.
        sweeps: what each rests on, in the same order.
    """
    prints = [(s.model_fingerprint, s.data_fingerprint) for s in sweeps]
    found = [
        Difference(name, tuple(_said(getattr(s.setting, name)) for s in sweeps))
        for name in (f.name for f in fields(SweepSpec))
        if name not in _TOLD | _ASIDE
    ]
    found += [
        _of_one_name(
            "weights", [(s.model, p) for s, (p, _) in zip(summaries, prints, strict=True)]
        ),
        _of_one_name("rows", [(s.task, p) for s, (_, p) in zip(summaries, prints, strict=True)]),
    ]
    return tuple(one for one in found if len(set(one.values)) > 1)


def _of_one_name(what: str, named: list[tuple[str, str]]) -> Difference:
    """Tell fingerprints apart where a name has several; what has another name may be other."""
    by: dict[str, set[str]] = {}
    for name, fingerprint in named:
        by.setdefault(name, set()).add(fingerprint)
    is_known = all(len(found) == 1 for found in by.values())
    prints = tuple("" if is_known else fingerprint[:12] for _, fingerprint in named)
    return Difference(f"{what} of one name", prints)


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_said, value)) or "by default"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
