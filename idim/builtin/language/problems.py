"""The four tasks: rows drawn from the grammar, split by meaning.

A meaning (who did what to whom; what was said of what) belongs to one fold by its hash.  Evaluation
rows are of the first folds, training rows and the pretraining text of the others: no meaning, and
so no sentence, is on both sides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from idim.builtin.language import opinion, wellformed
from idim.builtin.language.dice import Dice, fold
from idim.builtin.language.grammar import Speaker, say, sentence
from idim.builtin.language.logic import RELATIONS
from idim.builtin.language.meaning import Fact, different, draw_event

EVALUATION_FOLDS = range(3)
# How often a synonym is put for a word that the first sentence used.
CHANGE = 0.8


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a task."""

    texts: tuple[str, ...]
    code: int
    # The meanings it speaks of: a split is made by them.
    keys: tuple[tuple[str, ...], ...]


def held_out(*keys: tuple[str, ...]) -> bool:
    """Tell whether any of these meanings is for evaluation only."""
    return any(fold(*key) in EVALUATION_FOLDS for key in keys)


@lru_cache(maxsize=8)
def rows(task: str, split: str, count: int) -> tuple[Row, ...]:
    """Return `count` rows of a task, the classes in equal numbers, always the same.

    Args:
        task: a key of `DRAWS`.
        split: train or validation.
        count: rows.
    """
    draw, classes = DRAWS[task]
    dice = Dice("task", task, split)
    wanted = split != "train"
    found: dict[tuple[str, ...], Row] = {}
    while len(found) < count:
        row = draw(dice, len(found) % classes)
        if all((fold(*key) in EVALUATION_FOLDS) == wanted for key in row.keys):
            found.setdefault(row.texts, row)
    return tuple(dice.shuffled(list(found.values())))


def paraphrase(dice: Dice, code: int) -> Row:
    """Do two sentences say the same?  If not, one thing differs: roles, a word, who is how."""
    event = draw_event(dice)
    other = event if code else different(event, dice)
    return _row(dice, event, other, code)


def entailment(dice: Dice, code: int) -> Row:
    """Does the second sentence follow from the first (0), may it be so (1), or can it not (2)?"""
    return _row(dice, *RELATIONS[code](dice), code)


def sentiment(dice: Dice, code: int) -> Row:
    """Was the speaker pleased (1) or not (0)?"""
    text, key = opinion.draw(dice, bool(code))
    return Row((sentence(text),), code, (key,))


def acceptability(dice: Dice, code: int) -> Row:
    """Is the sentence English (1) or does it have a flaw (0)?"""
    text, key = wellformed.draw(dice, is_flawed=code == 0)
    return Row((sentence(text),), code, (key,))


def _row(dice: Dice, first: Fact, second: Fact, code: int) -> Row:
    texts = pair(dice, first, second)
    return Row(tuple(map(sentence, texts)), code, tuple({first.key, second.key}))


def pair(
    dice: Dice, first: Fact, second: Fact, change: float = CHANGE, form: str | None = None
) -> tuple[str, str]:
    """Say two facts, the second in other words than the first where there are any."""
    one = Speaker(dice)
    text = say(first, one, form)
    return text, say(second, Speaker(dice, frozenset(one.said), change), form)


DRAWS: dict[str, tuple[Callable[[Dice, int], Row], int]] = {
    "paraphrase": (paraphrase, 2),
    "sentiment": (sentiment, 2),
    "entailment": (entailment, 3),
    "acceptability": (acceptability, 2),
}
