"""The methods paragraph: the ten choices that move d90, each in a sentence; pure."""

import math

from idim.config import SMALL_NETS, SweepSpec
from idim.methods import METHODS
from idim.plain import listed, many, number
from idim.report.words import (
    beside,
    crossing,
    floor,
    full_training,
    headline,
    name,
    scale,
    score,
    seeds,
    span,
)
from idim.results import Evidence, Summary
from idim.search import named

KINDS = {
    "dense": "a dense Gaussian P",
    "sparse": "a sparse P of density 1/sqrt(D)",
    "fastfood": "a block Fastfood P (H G Pi H B)",
    "orthogonal": "a block Fastfood P with G = +-1",
    "onehot": "a P with one nonzero a row",
}


def choices(summary: Summary, evidence: Evidence) -> dict[str, str]:
    """State each choice that a reader needs to compare this d90 with another.

    Args:
        summary: of the sweep.
        evidence: what it rests on, its setting among it.

    Returns:
        Ten sentences or pairs of them, by what they are about; fewer of an objective, which trains
        by code that is not ours, and of a method that is no subspace.
    """
    found = _ten(summary, evidence)
    if summary.problem == "objective":
        ours = ("baseline", "values of d", "monotonicity")
        return {"training": _objective(summary, evidence)} | {name: found[name] for name in ours}
    if not _is_subspace(summary):
        of_p = ("projection", "scales", "head", "checks")
        return {"method": _other_method(summary)} | {
            k: v for k, v in found.items() if k not in of_p
        }
    return found


def _is_subspace(summary: Summary) -> bool:
    return METHODS[summary.method].size == "d"


def _other_method(summary: Summary) -> str:
    trained = [p.trainable for p in summary.points]
    sizes = [f"{n:,}" for n in sorted({min(trained), max(trained)})] if trained else []
    title = METHODS[summary.method].title(summary)
    return (
        f"Of {summary.D:,} numbers the method {title} trains{' ' * bool(sizes)}"
        f"{' to '.join(sizes)}, by its size {summary.letter}; "
        "nothing is projected."
    )


def _objective(summary: Summary, evidence: Evidence) -> str:
    rates = evidence.setting.lr
    chosen = f"{rates[0]:g}, as given" if len(rates) == 1 else "chosen by the reported score"
    return (
        f"Each run is a call of {summary.model} (fingerprint {evidence.model_fingerprint}), "
        "which trains and scores by itself, given d, a learning rate and a seed. "
        f"{seeds(summary)[0].upper()}{seeds(summary)[1:]} a d; the learning rate was {chosen}."
    )


def _ten(summary: Summary, evidence: Evidence) -> dict[str, str]:
    setting = evidence.setting
    return {
        "projection": _projection(summary, evidence.tensors),
        "scales": _scales(setting),
        "head": _head(summary, setting),
        "baseline": _baseline(summary, setting),
        "values of d": _values(summary, setting),
        "replicates": _replicates(summary, evidence),
        "learning rates": _rates(summary, setting),
        "monotonicity": _monotonicity(summary),
        "checks": _checks(summary),
        "bits": _bits(summary),
    }


def _projection(summary: Summary, tensors: int | None) -> str:
    lying = f" in {many(tensors, 'tensor')}" if tensors else ""
    unit = {"global": f"over all D = {summary.D:,} rows", "tensor": "within each tensor"}
    return (
        f"theta = theta_0 + P theta_d moves {summary.D:,} parameters{lying} by "
        f"{KINDS.get(summary.projection, summary.projection)}: one P over all tensors, which "
        f"share theta_d, with columns of norm 1 {unit[summary.norm]}."
    )


def _scales(setting: SweepSpec) -> str:
    if setting.structure == "did":
        return "No scales are trained beside theta_d (DID)."
    return (
        f"One scale lambda a {setting.said_groups} is trained with theta_d (SAID), at the "
        f"learning rate {setting.said_lr:g}; the lambdas are counted in d."
    )


def _head(summary: Summary, setting: SweepSpec) -> str:
    if setting.model in SMALL_NETS and summary.head == "subspace":
        return (
            "There is no pretrained model: all of theta_0 starts anew with each seed, and all "
            "layers, the last included, lie inside the subspace."
        )
    beside = {p.trainable - p.d for p in summary.points} - {0}
    size = f" ({max(beside):,} numbers)" if beside else ""
    what = {
        "subspace": "lies inside the subspace and is counted in d",
        "free": f"is trained beside theta_d{size} at the learning rate {setting.head_lr:g} and "
        "is not counted in d",
        "frozen": "is not trained",
    }
    start = "The new head starts anew with each seed"
    if setting.keep_head:
        start = "The head starts from what the model stores"
    return f"{start}; it {what[summary.head]}."


def _baseline(summary: Summary, setting: SweepSpec) -> str:
    base, metric = summary.reference, summary.metric
    if base.mean is None:
        return "The baseline has no score yet, so there is no line."
    if base.n:
        tried = ", ".join(f"{lr:g}" for lr in setting.baseline_lr)
        spread = (
            "" if base.std is None else f" (standard deviation {number(base.std, scale(summary))})"
        )
        said = (
            f"The baseline is {full_training(summary.problem)} of the same model, "
            f"{metric} {score(base.mean, summary)}{spread} over {many(base.n, 'seed')} at the "
            f"learning rate {base.lr:g}; "
            f"{tried} {'was' if len(setting.baseline_lr) == 1 else 'were'} the first tried."
        )
    else:
        said = f"The baseline is a fixed {metric} of {base.mean:g}, not a training."
    return f"{said} {_line(summary)}"


def _line(summary: Summary) -> str:
    if summary.line is None and summary.target == "gain":
        return "Its gain is not sure, so a share of that is no aim."
    if summary.line is None:
        return "It is not above 0, so a share of it is no aim."
    line = score(summary.line, summary)
    said = f"{name(summary)} is where the mean {summary.metric} reaches {summary.threshold:g} of "
    if summary.target == "gain" and summary.floor is not None:
        said += f"the way to it from {floor(summary)}, {score(summary.floor, summary)}: {line}"
    else:
        said += f"it, {line}"
    if summary.chance is None:
        said += "; no score of chance is known."
    else:
        said += f"; a constant answer scores {score(summary.chance, summary)}."
    if (alone := summary.untrained) is not None and alone.mean is not None:
        mean, std = score(alone.mean, summary), alone.std
        spread = "" if std is None else f" (standard deviation {score(std, summary)})"
        said += f" The untrained model scores {mean}{spread} over {many(alone.n, 'seed')}."
    found = beside(summary)
    at = found and crossing(found.d, found.under, found.over)
    if found is None or not at:
        return said
    way = f"{summary.threshold:g} of the way from {floor(summary)} to the baseline"
    if summary.target == "gain":
        way = f"{summary.threshold:g} of the baseline, as the papers ask"
    equals, aim = "= " * (found.d is not None), score(found.line, summary)
    return f"{said} The line {way}, {aim}, is crossed at {summary.letter} {equals}{at}."


def _values(summary: Summary, setting: SweepSpec) -> str:
    ds = [p.d for p in summary.points]
    if not ds:
        return f"No {summary.letter} has a score yet."
    how = named(setting.search).called
    values = f"{len(ds)} values of {summary.letter} from {ds[0]:,} to {ds[-1]:,}"
    if len(ds) == 1:
        values = f"One value of {summary.letter}, {ds[0]:,},"
    said = f"{values} came from {how}"
    low, high = summary.smallest.bracket
    if low is None or high is None:
        return f"{said}; {'none' if high is None else 'the smallest already'} passes."
    return f"{said}; {low:,} fails and {high:,} passes."


def _replicates(summary: Summary, evidence: Evidence) -> str:
    success, failed = summary.success, summary.runs.failed
    lost = f"; {many(failed, 'failed run')} left out" if failed else ""
    is_alone = max((n for _, _, n in success.points), default=1) == 1
    criterion = "that seed's score" if is_alone else "the mean over seeds"
    half = ""
    if success.d is not None and not is_alone:
        half = f" Half of the seeds pass at {summary.letter} = {success.d:,} (fitted)."
    drawn = [METHODS[summary.method].draws, "the order of the data", "dropout" * evidence.dropout,
             "the head or initial net" * (not evidence.setting.keep_head)]  # fmt: skip
    return (
        f"Each {summary.letter} has {seeds(summary)} at its learning rate; a seed redraws "
        f"{listed(drawn)}. The criterion is on {criterion}"
        f"{lost}.{half}"
    )


def _rates(summary: Summary, setting: SweepSpec) -> str:
    protocol = summary.protocol
    on = "on the evaluation set, as the papers do"
    if summary.held_out:
        on = "on rows held out from the training set"
    elif summary.problem != "task":
        on = "by the reported score"
    given = ", ".join(f"{lr:g}" for lr in setting.lr)
    chosen = f"was chosen at each {summary.letter} {on}: {given or protocol.lr}"
    if len(setting.lr) == 1:
        chosen = f"was {given} at each {summary.letter}, as given"
    by = ", its gradient by the exact transpose of P" if _is_subspace(summary) else ""
    return (
        f"The learning rate {chosen}. "
        f"Training was {protocol.training}; the optimizer sees only what is trained{by}. Scores "
        f"are those of {protocol.checkpoint}."
    )


def _monotonicity(summary: Summary) -> str:
    first = summary.smallest.d
    above = [p for p in summary.points if first and p.d > first]
    again = ", ".join(f"{p.d:,}" for p in above if not p.passes)
    said = f"Scores need not rise with {summary.letter}, and the curve that is fitted to them does"
    if again:
        said += f": above {first:,}, {summary.letter} = {again} fell below the line again"
    elif above:
        said += f"; above {first:,} every {summary.letter} tried passes too"
    if not summary.points or summary.line is None:
        return f"{said}."
    ends = f", 95% interval {span(summary)}" if summary.interval else ", without an interval"
    return f"{said}. It gives {headline(summary)}{ends} ({summary.estimator})."


def _checks(summary: Summary) -> str:
    exact = all(p.trainable == p.d for p in summary.points)
    count = "exactly d numbers" if exact else "d numbers and those of the head"
    return (
        f"Training starts at theta_0 (theta_d = 0) and trains {count}. The software's tests hold "
        "the norms and inner products of P's columns to theory, <P x, y> = <x, P^T y>, and the "
        "intrinsic dimension 10 of the toy problem of Li et al."
    )


def _bits(summary: Summary) -> str:
    found = [p for p in summary.points if p.d == summary.smallest.d]
    if not found:
        return f"No code length is given, since no {summary.letter} reaches the line."
    trained, rates = found[0].trainable, len(found[0].lrs)
    return (
        f"What is trained was not quantised or coded: as float32 it takes 32 x {trained:,} = "
        f"{32 * trained:,} bits at the smallest {summary.letter} tried that passes, and log2 "
        f"{rates} = {math.log2(rates):.2g} more for the learning rate; those of the search over "
        f"{summary.letter} are not counted."
    )
