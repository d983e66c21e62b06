"""From meanings to sentences."""

from dataclasses import dataclass, field

from idim.builtin.language import adjectives, nouns, verbs
from idim.builtin.language.dice import Dice
from idim.builtin.language.meaning import Event, Fact, State, Thing


@dataclass(slots=True)
class Speaker:
    """Chooses among synonyms, and can avoid the words of somebody else."""

    dice: Dice
    # Words another speaker used, and how often to say it otherwise.
    heard: frozenset[str] = frozenset()
    change: float = 0.0
    said: set[str] = field(default_factory=set)

    def word(self, synonyms: tuple[str, ...]) -> str:
        """Choose one of the synonyms."""
        heard = [w for w in synonyms if w in self.heard]
        fresh = [w for w in synonyms if w not in self.heard]
        if heard and fresh:
            chosen = self.dice.pick(fresh if self.dice.chance(self.change) else heard)
        else:
            chosen = self.dice.pick(synonyms)
        self.said.add(chosen)
        return chosen


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop.

    >>> sentence("the dog slept")
    'The dog slept.'
    """
    return text[0].upper() + text[1:] + "."


def say(fact: Fact, by: Speaker, form: str | None = None) -> str:
    """Put a fact into words.

    Args:
        fact: the meaning.
        by: chooses the words.
        form: active, passive or front (the place first); None leaves it to the dice.
    """
    if isinstance(fact, State):
        return _state(fact, by)
    if form is None:
        form = by.dice.pick(FORMS)
    if fact.patient is None:
        form = "active"
    where = f" {place(fact.place, by)}" if fact.place else ""
    if form == "front":
        clause = _active(fact, by)
        return f"{where.strip()}, {clause}" if where else clause
    clause = (_passive if form == "passive" else _active)(fact, by)
    return clause + where


FORMS = ("active", "active", "active", "passive", "passive", "front")


def noun_phrase(thing: Thing, by: Speaker) -> str:
    """Say a thing with its quantifier and adjective.

    >>> noun_phrase(Thing("owl", quantifier="a"), Speaker(Dice("demo")))
    'an owl'
    """
    words = [by.word(nouns.NOUNS[thing.noun].words)]
    if thing.adjective:
        words.insert(0, by.word(adjectives.ADJECTIVES[thing.adjective].words))
    first = article(words[0]) if thing.quantifier == "a" else thing.quantifier
    return " ".join([first, *words])


def article(word: str) -> str:
    """Return the indefinite article before a word.

    >>> article("honest"), article("unusual"), article("unit")
    ('an', 'an', 'a')
    """
    spoken_vowel = word[0] in "aeiou" and not word.startswith(("uni", "usu", "eu"))
    return "an" if spoken_vowel or word.startswith(("hono", "hones")) else "a"


def place(name: str, by: Speaker) -> str:
    """Say where."""
    return f"{nouns.LEADS[name]} the {by.word(nouns.PLACES[name].words)}"


def _active(event: Event, by: Speaker) -> str:
    agent, denied = _subject(event.agent, event.negated, by)
    verb = by.word(verbs.VERBS[event.verb].words)
    did = f"did not {verb}" if denied else verbs.past(verb)
    to = f" {noun_phrase(event.patient, by)}" if event.patient else ""
    return f"{agent} {did}{to}"


def _passive(event: Event, by: Speaker) -> str:
    assert event.patient is not None
    patient, denied = _subject(event.patient, event.negated, by)
    verb = verbs.participle(by.word(verbs.VERBS[event.verb].words))
    not_ = "not " if denied else ""
    return f"{patient} was {not_}{verb} by {noun_phrase(event.agent, by)}"


def _subject(thing: Thing, negated: bool, by: Speaker) -> tuple[str, bool]:
    """Say what stands before the verb, and whether the verb still needs a "not"."""
    phrase = noun_phrase(thing, by)
    if thing.quantifier != "any":
        return phrase, negated
    return f"no{phrase.removeprefix('any')}", False


def _state(state: State, by: Speaker) -> str:
    adjective = by.word(adjectives.ADJECTIVES[state.adjective].words)
    not_ = "not " if state.negated else ""
    return f"{noun_phrase(state.thing, by)} was {not_}{adjective}"
