"""What sentences mean: who did what to whom, where; who is what; and how one meaning follows."""

from dataclasses import dataclass, replace
from typing import Literal

from idim.builtin.language import adjectives, nouns, verbs
from idim.builtin.language.dice import Dice

# "any" only where the event is denied: "no dog barked", "did not see any dog".
Quantifier = Literal["the", "a", "any"]


@dataclass(frozen=True, slots=True)
class Thing:
    """A noun with what is said of it."""

    noun: str
    adjective: str | None = None
    quantifier: Quantifier = "the"


@dataclass(frozen=True, slots=True)
class Event:
    """Somebody did something (to something); `patient` is None for an intransitive verb."""

    agent: Thing
    verb: str
    patient: Thing | None = None
    place: str | None = None
    negated: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """What a split is made by: the verb and who takes part, in no order."""
        parts = [self.agent.noun, *([self.patient.noun] if self.patient else [])]
        return (self.verb, *sorted(parts))


@dataclass(frozen=True, slots=True)
class State:
    """Somebody or something was so."""

    thing: Thing
    adjective: str
    negated: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """What a split is made by."""
        return (self.thing.noun, self.adjective)


Fact = Event | State


def suited(noun: str) -> tuple[str, ...]:
    """Return the adjectives that can be said of a noun."""
    top = ([noun, *nouns.kinds(noun)])[-1]
    return adjectives.SUITED.get(top, adjectives.SUITED["thing"])


def draw_event(dice: Dice, among: tuple[str, ...] = verbs.TRANSITIVE, rich: float = 0.25) -> Event:
    """Draw who did what; each detail (two adjectives, a place) is there with probability `rich`."""
    verb = verbs.VERBS[dice.pick(among)]
    agent = dice.pick(verb.agents)
    patient = dice.other(verb.patients, agent) if verb.patients else None
    while patient is not None and _related(agent, patient):
        agent, patient = dice.pick(verb.agents), dice.pick(verb.patients)
    return Event(
        agent=_described(dice, agent, rich),
        verb=verb.name,
        patient=None if patient is None else _described(dice, patient, rich),
        place=dice.pick(tuple(nouns.PLACES)) if dice.chance(rich) else None,
    )


def draw_state(dice: Dice, among: tuple[str, ...] = tuple(nouns.NOUNS)) -> State:
    """Draw who was how."""
    noun = dice.pick(among)
    return State(Thing(noun), dice.pick(suited(noun)))


def _described(dice: Dice, noun: str, p: float) -> Thing:
    return Thing(noun, dice.pick(suited(noun)) if dice.chance(p) else None)


def _related(a: str, b: str) -> bool:
    return a == b or a in nouns.kinds(b) or b in nouns.kinds(a)


# Changes that make another meaning


def swapped(event: Event) -> Event | None:
    """Let agent and patient change places, where both can do it."""
    if event.patient is None:
        return None
    verb = verbs.VERBS[event.verb]
    if event.patient.noun not in verb.agents or event.agent.noun not in verb.patients:
        return None
    return replace(event, agent=event.patient, patient=event.agent)


def crossed(event: Event) -> Event | None:
    """Let an adjective go to the other noun, where it suits it."""
    a, b = event.agent, event.patient
    if b is None or a.adjective == b.adjective:
        return None
    if any(w and w not in suited(n) for w, n in ((a.adjective, b.noun), (b.adjective, a.noun))):
        return None
    return replace(
        event,
        agent=replace(a, adjective=b.adjective),
        patient=replace(b, adjective=a.adjective),
    )


def other_noun(event: Event, dice: Dice) -> Event | None:
    """Put a sister (another member of the same kind) in the place of agent or patient."""
    slot = "patient" if event.patient is not None and dice.chance(0.5) else "agent"
    thing: Thing = getattr(event, slot)
    kind = nouns.NOUNS[thing.noun].kind
    sisters = [
        n for n in nouns.MEMBERS.get(kind or "", ())
        if n != thing.noun and not nouns.MEMBERS.get(n) and n not in event.key
    ]  # fmt: skip
    if not sisters or nouns.MEMBERS.get(thing.noun):
        return None
    return replace(event, **{slot: replace(thing, noun=dice.pick(sisters))})


def other_verb(event: Event, dice: Dice) -> Event | None:
    """Let them do another thing, which the same can do to the same."""
    verb = verbs.VERBS[event.verb]
    able = [
        v.name for v in verbs.VERBS.values()
        if v is not verb and v.agents == verb.agents and v.patients == verb.patients
    ]  # fmt: skip
    return replace(event, verb=dice.pick(able)) if able else None


def other_adjective(event: Event, dice: Dice) -> Event | None:
    """Replace an adjective by another, by its opposite half of the time."""
    slots = [s for s in ("agent", "patient") if getattr(event, s) and getattr(event, s).adjective]
    if not slots:
        return None
    slot = dice.pick(slots)
    thing: Thing = getattr(event, slot)
    assert thing.adjective is not None
    new = adjectives.OPPOSITE.get(thing.adjective)
    if new is None or dice.chance(0.5):
        new = dice.other(suited(thing.noun), thing.adjective)
    return replace(event, **{slot: replace(thing, adjective=new)})


def different(event: Event, dice: Dice) -> Event:
    """Change one thing, so that the event is another one but looks alike.

    Where nothing else can be changed, it is denied.
    """
    changes = (
        swapped, swapped, crossed,
        lambda e: other_noun(e, dice), lambda e: other_verb(e, dice),
        lambda e: other_adjective(e, dice),
    )  # fmt: skip
    for change in dice.shuffled(changes):
        changed = change(event)
        if changed is not None and changed != event:
            return changed
    return replace(event, negated=not event.negated)


# What follows


def weaker(event: Event, dice: Dice) -> Event:
    """Say less: a kind for a noun, no adjective, no place.  What is said follows from `event`."""
    options = [replace(event, place=None)] if event.place else []
    for slot in ("agent", "patient"):
        thing: Thing | None = getattr(event, slot)
        if thing is None:
            continue
        if thing.adjective:
            options.append(replace(event, **{slot: replace(thing, adjective=None)}))
        for kind in nouns.kinds(thing.noun):
            less = Thing(kind, thing.adjective, "a")
            if thing.adjective is None or thing.adjective in suited(kind):
                options.append(replace(event, **{slot: less}))
                options.append(replace(event, **{slot: less}))
    return dice.pick(options) if options else event


def stronger(event: Event, dice: Dice) -> Event:
    """Say more: a member for a kind, an adjective, a place.  `event` follows from what is said."""
    options = [] if event.place else [replace(event, place=dice.pick(tuple(nouns.PLACES)))]
    for slot in ("agent", "patient"):
        thing: Thing | None = getattr(event, slot)
        if thing is None:
            continue
        if thing.adjective is None:
            more = replace(thing, adjective=dice.pick(suited(thing.noun)))
            options.append(replace(event, **{slot: more}))
        members = nouns.MEMBERS.get(thing.noun)
        if members:
            more = replace(thing, noun=dice.pick(members))
            options += [replace(event, **{slot: more})] * 3
    return dice.pick(options) if options else event
