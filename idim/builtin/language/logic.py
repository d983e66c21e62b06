"""Pairs of facts: the second follows from the first, may be so, or cannot be so.

Each relation comes with and without negation on either side, longer and shorter: neither a word
nor a length gives it away.
"""

from dataclasses import replace

from idim.builtin.language import adjectives, verbs
from idim.builtin.language.dice import Dice
from idim.builtin.language.meaning import (
    Event,
    Fact,
    Quantifier,
    State,
    Thing,
    draw_event,
    other_noun,
    stronger,
    suited,
    swapped,
    weaker,
)

_WITH_OPPOSITE = tuple(verbs.OPPOSITE)


def entailed(dice: Dice) -> tuple[Fact, Fact]:
    """Return a premise and what follows from it."""
    way = dice.below(8)
    if way < 2:
        event = _draw(dice)
        return event, weaker(event, dice)
    if way < 4:  # to deny the wider claim denies the narrower one
        event = _draw(dice)
        return _not(weaker(event, dice)), _not(event)
    if way < 6:
        event = draw_event(dice, _WITH_OPPOSITE)
        return event, _not(_opposed(_the(weaker(event, dice))))
    event, thing, adjective = _described(dice)
    if way == 6:
        return event, State(thing, adjective)
    return event, State(thing, adjectives.OPPOSITE[adjective], negated=True)


def neutral(dice: Dice) -> tuple[Fact, Fact]:
    """Return a premise and what may or may not be so."""
    way = dice.below(8)
    event = _draw(dice) if way % 2 else draw_event(dice, _WITH_OPPOSITE)
    if way == 0:
        return event, stronger(event, dice)
    if way == 1:
        return event, weaker(_elsewise(event, dice), dice)
    if way == 2:
        return _not(event), _not(weaker(event, dice))
    if way == 3:
        return _not(weaker(event, dice)), _not(_elsewise(event, dice))
    if way < 6:
        return event, _not(weaker(_elsewise(event, dice), dice))
    event, thing, adjective = _described(dice)
    unsaid = [a for a in suited(thing.noun) if a not in (adjective, *_opposites(adjective))]
    return event, State(thing, dice.pick(unsaid), negated=way == 7)


def contrary(dice: Dice) -> tuple[Fact, Fact]:
    """Return a premise and what cannot be so."""
    way = dice.below(8)
    if way < 2:
        event = _draw(dice)
        return event, _not(weaker(event, dice))
    if way == 2:
        event = _draw(dice)
        return _not(weaker(event, dice)), event
    if way < 6:
        event = draw_event(dice, _WITH_OPPOSITE)
        return event, _opposed(weaker(event, dice))
    event, thing, adjective = _described(dice)
    if way == 6:
        return event, State(thing, adjective, negated=True)
    return event, State(thing, adjectives.OPPOSITE[adjective])


RELATIONS = (entailed, neutral, contrary)


def _draw(dice: Dice) -> Event:
    return draw_event(dice, _WITH_OPPOSITE if dice.chance(0.5) else verbs.TRANSITIVE)


def _not(event: Event) -> Event:
    """Deny an event: "a dog barked" becomes "no dog barked"."""
    return _quantified(replace(event, negated=True), "a", "any")


def _the(event: Event) -> Event:
    """Speak of the same ones: "a dog barked" becomes "the dog barked"."""
    return _quantified(event, "a", "the")


def _quantified(event: Event, old: Quantifier, new: Quantifier) -> Event:
    agent, patient = (
        replace(t, quantifier=new) if t is not None and t.quantifier == old else t
        for t in (event.agent, event.patient)
    )
    assert agent is not None
    return replace(event, agent=agent, patient=patient)


def _opposed(event: Event) -> Event:
    return replace(event, verb=verbs.OPPOSITE[event.verb])


def _opposites(adjective: str) -> tuple[str, ...]:
    """What an adjective excludes: its opposite, or for a colour every other one."""
    if adjective in adjectives.COLOURS:
        return tuple(adjectives.COLOURS)
    return (adjectives.OPPOSITE[adjective],)


def _elsewise(event: Event, dice: Dice) -> Event:
    """Another event whose truth the first leaves open: not one with the opposite verb."""
    other = other_noun(event, dice) if dice.chance(0.6) else swapped(event)
    return other or draw_event(dice, (event.verb,))


def _described(dice: Dice) -> tuple[Event, Thing, str]:
    """Draw an event in which somebody is called so (with an opposite), and who it is."""
    while True:
        event = draw_event(dice)
        for thing in (event.agent, event.patient):
            if thing is not None and thing.adjective in adjectives.OPPOSITE:
                return event, replace(thing, adjective=None), thing.adjective
