"""Sentences that are English, and the same sentences with one flaw.

Flaws are of the kinds that linguists collect: agreement across a noun that lies between, a verb
with an object too many or too few, a wrong form after an auxiliary, number after a determiner, an
agent that cannot act, adjective and noun the wrong way round.
"""

from collections.abc import Callable

from idim.builtin.language import adjectives, nouns, verbs
from idim.builtin.language.concept import parse
from idim.builtin.language.dice import Dice
from idim.builtin.language.grammar import Speaker, noun_phrase, place
from idim.builtin.language.meaning import Thing, draw_event, suited

Made = tuple[str, tuple[str, ...]]
_BETWEEN = ("near", "beside", "behind", "next to", "in front of")
_ONE, _MANY = ("every", "this", "each", "that"), ("both", "these", "many", "those", "several")
# These may go without an object ("the doctor ate in the park").
_OPTIONAL = frozenset(
    parse(
        """
    accept attack break clean drop eat examine follow help hide kick lead lose protect read slice
    steal write""",
        None,
    )
)
_STRICT = tuple(v for v in verbs.TRANSITIVE if v not in _OPTIONAL)
_LIFELESS = tuple(n for n in nouns.NOUNS if n not in nouns.LIVING)


def draw(dice: Dice, is_flawed: bool) -> Made:
    """Return a sentence without its full stop, and the key that a split is made by."""
    return dice.pick(_WAYS)(dice, is_flawed)


def _agreement(dice: Dice, is_flawed: bool) -> Made:
    noun, between = dice.pick(nouns.LIVING), dice.pick(nouns.LIVING)
    is_many = dice.chance(0.5)
    one, other = (_number(dice, n, many) for n, many in ((noun, is_many), (between, not is_many)))
    says_many = is_many != is_flawed
    if dice.chance(0.5):
        adjective = dice.pick(suited(noun))
        form = dice.pick((("was", "were"), ("is", "are")))[says_many]
        what = f"{form} {dice.pick(adjectives.ADJECTIVES[adjective].words)}"
        key = (noun, adjective)
    else:
        verb = dice.pick([v for v in verbs.VERBS if noun in verbs.VERBS[v].agents])
        word = dice.pick(verbs.VERBS[verb].words)
        what, key = word if says_many else verbs.third(word), (verb, noun)
        if patients := verbs.VERBS[verb].patients:
            what += f" {noun_phrase(Thing(dice.pick(patients), quantifier='a'), Speaker(dice))}"
    return f"the {one} {dice.pick(_BETWEEN)} the {other} {what}", key


def _objects(dice: Dice, is_flawed: bool) -> Made:
    """An intransitive verb takes no object; most others need one."""
    by = Speaker(dice)
    where = place(dice.pick(tuple(nouns.PLACES)), by)
    if dice.chance(0.5):
        event = draw_event(dice, verbs.INTRANSITIVE)
        has_object = is_flawed
        patient = noun_phrase(Thing(dice.pick(tuple(nouns.NOUNS))), by)
    else:
        event = draw_event(dice, _STRICT)
        has_object = not is_flawed
        assert event.patient is not None
        patient = noun_phrase(event.patient, by)
    verb = verbs.past(by.word(verbs.VERBS[event.verb].words))
    agent = noun_phrase(event.agent, by)
    return f"{agent} {verb} {patient if has_object else where}", event.key


def _form(dice: Dice, is_flawed: bool) -> Made:
    """The base form follows "did not", the participle "was"."""
    event = draw_event(dice)
    assert event.patient is not None
    by = Speaker(dice)
    verb = by.word(verbs.VERBS[event.verb].words)
    agent, patient = noun_phrase(event.agent, by), noun_phrase(event.patient, by)
    if dice.chance(0.5):
        wrong = dice.pick((verbs.past(verb), verbs.third(verb)))
        return f"{agent} did not {wrong if is_flawed else verb} {patient}", event.key
    wrong = dice.pick((verb, verbs.third(verb)))
    form = wrong if is_flawed else verbs.participle(verb)
    return f"{patient} was {form} by {agent}", event.key


def _determiner(dice: Dice, is_flawed: bool) -> Made:
    noun = dice.pick(nouns.LIVING)
    is_many = dice.chance(0.5)
    verb = _intransitive(dice, noun)
    word = verbs.past(dice.pick(verbs.VERBS[verb].words))
    first = dice.pick(_MANY if is_many else _ONE)
    adjective = dice.pick(adjectives.ADJECTIVES[dice.pick(suited(noun))].words)
    return f"{first} {adjective} {_number(dice, noun, is_many != is_flawed)} {word}", (verb, noun)


def _agent(dice: Dice, is_flawed: bool) -> Made:
    """Only the living act."""
    by = Speaker(dice)
    event = draw_event(dice, verbs.INTRANSITIVE)
    agent = Thing(dice.pick(_LIFELESS)) if is_flawed else event.agent
    verb = verbs.past(by.word(verbs.VERBS[event.verb].words))
    where = place(dice.pick(tuple(nouns.PLACES)), by)
    return f"{noun_phrase(agent, by)} {verb} {where}", (event.verb, agent.noun)


def _order(dice: Dice, is_flawed: bool) -> Made:
    by = Speaker(dice)
    event = draw_event(dice, rich=0.0)
    assert event.patient is not None
    noun = event.patient.noun
    words = [
        by.word(adjectives.ADJECTIVES[dice.pick(suited(noun))].words),
        by.word(nouns.NOUNS[noun].words),
    ]
    if is_flawed:
        words.reverse()
    verb = verbs.past(by.word(verbs.VERBS[event.verb].words))
    where = place(dice.pick(tuple(nouns.PLACES)), by)
    return f"{noun_phrase(event.agent, by)} {verb} the {' '.join(words)} {where}", event.key


_WAYS: tuple[Callable[[Dice, bool], Made], ...] = (
    _agreement, _agreement, _objects, _objects, _form, _determiner, _agent, _order,
)  # fmt: skip


def _number(dice: Dice, noun: str, is_many: bool) -> str:
    word = dice.pick(nouns.NOUNS[noun].words)
    return nouns.plural(word) if is_many else word


def _intransitive(dice: Dice, noun: str) -> str:
    return dice.pick([v for v in verbs.INTRANSITIVE if noun in verbs.VERBS[v].agents])
