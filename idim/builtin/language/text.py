"""The pretraining text: short paragraphs in which what words mean can be seen.

Nothing here is labelled.  A paragraph says the same twice in other words, comes back to one of
several things, draws a conclusion, doubts or denies one, defines a word by others, or tells what
somebody thought and then did; a model that fills in missing words well must know synonyms, kinds,
opposites, roles and praise.
No paragraph speaks of a meaning that an evaluation row of `problems` is about.
"""

from collections.abc import Iterator
from functools import lru_cache

from idim.builtin.language import adjectives, nouns, opinion, verbs, wellformed
from idim.builtin.language.dice import Dice
from idim.builtin.language.grammar import FORMS, Speaker, article, say, sentence
from idim.builtin.language.logic import RELATIONS
from idim.builtin.language.meaning import Event, Fact, different, draw_event, draw_state
from idim.builtin.language.problems import CHANGE, held_out, pair

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
    "same": ("identical", "equivalent", "synonymous"),
    "other": ("different", "distinct", "unrelated"),
    "follows": ("true", "certain", "evident"),
    "open": ("possible", "uncertain", "unclear"),
    "false": ("untrue", "impossible", "absurd"),
}
_COMPARED, _RELATIONS = ("same", "other"), ("follows", "open", "false")


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
    """Tell two things that differ in one detail, in several or in all."""

    def draw() -> tuple[Fact, ...]:
        event = draw_event(dice)
        if dice.chance(0.25):
            return event, draw_event(dice)
        other = different(event, dice)
        while other == event or dice.chance(0.4):
            other = different(other, dice)
        return event, other

    first, second = _known(draw)
    return _joined(dice, first, second, "other")


def _inference(dice: Dice) -> str:
    code = dice.below(3)
    first, second = _known(lambda: RELATIONS[code](dice))
    return _joined(dice, first, second, _RELATIONS[code])


def _recall(dice: Dice) -> str:
    """Tell several like things, and one or two of them again in other words and another order.

    Which of them a gap speaks of is only found by looking for words that mean the same.
    """
    count = 2 + dice.below(3)
    if dice.chance(0.5):
        facts = [_known(lambda: (draw_state(dice),))[0] for _ in range(count)]
    else:
        verb = (dice.pick(verbs.TRANSITIVE),)
        facts = [_known(lambda: (draw_event(dice, verb, rich=0.0),))[0] for _ in range(count)]
    form = dice.pick(("active", "passive"))
    by = Speaker(dice)
    told = [sentence(say(fact, by, form)) for fact in facts]
    chosen = dice.shuffled(facts)[: 1 + dice.below(2)]
    anew = Speaker(dice, frozenset(by.said), CHANGE)
    return " ".join([*told, *(sentence(say(fact, anew, form)) for fact in chosen)])


def _opinion(dice: Dice) -> str:
    """Tell one or two opinions of one kind, and what came of it.

    Several clauses that agree: from one opinion and one consequence a pretraining did not learn
    which words are praise (0.5 of pairs told apart, chance), from these it does (0.9).
    """
    is_good = dice.chance(0.5)
    told = [_unheld(lambda: opinion.draw(dice, is_good)) for _ in range(1 + dice.below(2))]
    told += [opinion.consequence(dice, is_good) for _ in range(1 + dice.below(2))]
    return " ".join(map(sentence, told))


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
    event = _known(lambda: (draw_event(dice, tuple(able)),))[0]
    by = Speaker(dice)
    return " ".join(sentence(say(fact, by)) for fact in (event, state))


def _wellformed(dice: Dice) -> str:
    return sentence(_unheld(lambda: wellformed.draw(dice, is_flawed=False)))


# How often each is told.
_KINDS = (
    *(_same,) * 6, *(_other,) * 6, *(_recall,) * 4, *(_inference,) * 5, *(_opinion,) * 4,
    _definition, *(_story,) * 2,
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


def _unheld(draw) -> str:
    """Draw a text and its key until it is not held out for evaluation; return the text."""
    while True:
        text, key = draw()
        if not held_out(key):
            return text


def _joined(dice: Dice, first: Fact, second: Fact, relation: str) -> str:
    """Say two facts and how the second relates to the first.

    Often in like words and in one form: what is easy to compare comes first in learning.
    """
    form = dice.pick(FORMS) if dice.chance(0.5) else None
    a, b = pair(dice, first, second, change=dice.pick((0.0, 0.3, CHANGE)), form=form)
    if relation in _COMPARED and dice.chance(0.3):
        assert isinstance(first, Event)
        assert isinstance(second, Event)
        return f"{sentence(a)} {sentence(b)} {sentence(_by_part(dice, first, second))}"
    judged = dice.pick(_JUDGED[relation])
    way = dice.below(8)
    if way == 0:
        return f"{sentence(a)} {sentence(f'{dice.pick(_LINKS[relation])}, {b}')}"
    if way == 2 and relation in _RELATIONS:
        return f"{sentence(a)} {sentence(f'it is {judged} that {b}')}"
    if way % 2:
        return f"{sentence(judged)} {sentence(a)} {sentence(b)}"
    return f"{sentence(a)} {sentence(b)} {sentence(f'this is {judged}')}"


def _by_part(dice: Dice, first: Event, second: Event) -> str:
    """Say of one or two parts of two events whether they are the same.

    What is said of one part tells little about another: each must be looked up.
    """
    ours, theirs = _parts(first), _parts(second)
    there = [(name, ours[name] == theirs[name]) for name in ours if ours[name] or theirs[name]]
    chosen = dice.shuffled(there)[: 1 + dice.below(2)]
    return ", ".join(f"{'same' if same else 'other'} {name}" for name, same in chosen)


def _parts(event: Event) -> dict[str, object]:
    deed = event.verb, event.negated
    return {"doer": event.agent, "deed": deed, "target": event.patient, "place": event.place}
