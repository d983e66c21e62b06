"""The pretraining text: short paragraphs in which what words mean can be seen.

Nothing here is labelled.  A paragraph says the same twice in other words, draws a conclusion,
doubts or denies one, defines a word by others, or tells what somebody thought and then did; a
model that fills in missing words well must know synonyms, kinds, opposites, roles and praise.
No paragraph speaks of a meaning that an evaluation row of `problems` is about.
"""

from collections.abc import Iterator
from functools import lru_cache

from idim.language import adjectives, nouns, opinion, verbs, wellformed
from idim.language.dice import Dice
from idim.language.grammar import Speaker, article, say, sentence
from idim.language.logic import RELATIONS
from idim.language.meaning import Fact, different, draw_event, draw_state
from idim.language.problems import held_out, pair

# What is said of the second sentence, by relation: before it, or in a sentence after it.  The same
# frames serve every relation, so that the word in them tells how the two sentences relate.
_LINKS = {
    "same": ("equally", "likewise", "that is"),
    "other": ("elsewhere", "otherwise", "apart from that"),
    "follows": ("so", "therefore", "hence"),
    "open": ("perhaps", "maybe", "possibly"),
    "false": ("never", "impossibly", "contrary to that"),
}
_JUDGED = {
    "same": ("identical", "equivalent", "the same"),
    "other": ("different", "distinct", "another thing"),
    "follows": ("true", "certain", "sure"),
    "open": ("possible", "uncertain", "unclear"),
    "false": ("untrue", "impossible", "absurd"),
}
_RELATIONS = ("follows", "open", "false")


def paragraphs(seed: int, count: int) -> Iterator[str]:
    """Yield paragraphs of one to three sentences.

    Args:
        seed: fixes them all.
        count: how many.
    """
    dice = Dice("text", seed)
    for _ in range(count):
        yield dice.pick(_KINDS)(dice)


def _same(dice: Dice) -> str:
    first = _known(lambda: (draw_event(dice),))[0]
    return _joined(dice, first, first, "same")


def _other(dice: Dice) -> str:
    def draw() -> tuple[Fact, ...]:
        event = draw_event(dice)
        return event, different(event, dice)

    first, second = _known(draw)
    return _joined(dice, first, second, "other")


def _inference(dice: Dice) -> str:
    code = dice.below(3)
    first, second = _known(lambda: RELATIONS[code](dice))
    return _joined(dice, first, second, _RELATIONS[code])


def _opinion(dice: Dice) -> str:
    is_good = dice.chance(0.5)
    text, key = opinion.draw(dice, is_good)
    while held_out(key):
        text, key = opinion.draw(dice, is_good)
    return f"{sentence(text)} {sentence(opinion.consequence(dice, is_good))}"


def _definition(dice: Dice) -> str:
    """Say what a word means by another."""
    way = dice.below(4)
    if way == 0:
        noun = dice.pick([n for n in nouns.NOUNS if nouns.NOUNS[n].kind])
        above = dice.pick(nouns.kinds(noun))
        word, kind = (dice.pick(nouns.NOUNS[n].words) for n in (noun, above))
        form = dice.pick(("{a} {x} is {b} {y}", "every {x} is {b} {y}", "{a} {x} is a kind of {y}"))
        return sentence(form.format(a=article(word), x=word, b=article(kind), y=kind))
    if way == 1:
        words = dice.shuffled(dice.pick(_several()))
        form = dice.pick(("{} means {}", "{} and {} mean the same", "{} is another word for {}"))
        return sentence(form.format(*words))
    if way == 2:
        one = dice.pick(tuple(adjectives.OPPOSITE))
        a, b = (dice.pick(adjectives.ADJECTIVES[n].words) for n in (one, adjectives.OPPOSITE[one]))
    else:
        one = dice.pick(tuple(verbs.OPPOSITE))
        a, b = (dice.pick(verbs.VERBS[n].words) for n in (one, verbs.OPPOSITE[one]))
    form = dice.pick(("{} is the opposite of {}", "whoever is {} is not {}"))
    return sentence((form if way == 2 else "to {} is the opposite of to {}").format(a, b))


def _story(dice: Dice) -> str:
    """Tell what somebody did and how they were, one thing after another."""
    if dice.chance(0.7):
        return f"{_wellformed(dice)} {_wellformed(dice)}"
    state = _known(lambda: (draw_state(dice),))[0]
    able = [v for v in verbs.INTRANSITIVE if state.key[0] in verbs.VERBS[v].agents]
    if not able:
        return sentence(say(state, Speaker(dice)))
    event = draw_event(dice, tuple(able))
    by = Speaker(dice)
    return " ".join(sentence(say(fact, by)) for fact in (event, state))


def _wellformed(dice: Dice) -> str:
    while True:
        text, key = wellformed.draw(dice, is_flawed=False)
        if not held_out(key):
            return sentence(text)


# How often each is told; definitions are short and teach a word at once.
_KINDS = (
    *(_same,) * 4, *(_other,) * 2, *(_inference,) * 4, *(_opinion,) * 2, *(_definition,) * 3,
    *(_story,) * 2,
)  # fmt: skip


@lru_cache(maxsize=1)
def _several() -> list[tuple[str, ...]]:
    """Return every set of two or more synonyms."""
    tables = (nouns.NOUNS, nouns.PLACES, adjectives.ADJECTIVES, verbs.VERBS)
    return [c.words for table in tables for c in table.values() if len(c.words) > 1]


def _known(draw) -> tuple[Fact, ...]:
    """Draw facts until none is held out for evaluation."""
    while True:
        facts = draw()
        if not held_out(*(fact.key for fact in facts)):
            return facts


def _joined(dice: Dice, first: Fact, second: Fact, relation: str) -> str:
    """Say two facts and how the second relates to the first."""
    a, b = pair(dice, first, second)
    judged = dice.pick(_JUDGED[relation])
    way = dice.below(4)
    if way == 0:
        return f"{sentence(a)} {sentence(f'{dice.pick(_LINKS[relation])}, {b}')}"
    if way == 1 and relation in _RELATIONS:
        return f"{sentence(a)} {sentence(f'it is {judged} that {b}')}"
    return f"{sentence(a)} {sentence(b)} {sentence(f'this is {judged}')}"
