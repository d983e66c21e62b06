"""The verbs: synonym sets, their forms, and what they take as agent and patient."""

from dataclasses import dataclass

from idim.builtin.language.concept import parse
from idim.builtin.language.nouns import below

# agents > patients : verbs.  A patient of "-" is none: the verb is intransitive.
_FRAMES = {
    "person > person": """
        help/assist/aid praise/commend/applaud scold/rebuke greet/welcome love/adore
        hate/detest/loathe trust doubt/distrust rescue/save hire/employ dismiss/sack
        deceive/trick mock/ridicule ignore/disregard arrest/apprehend release/free
        comfort/console annoy/irritate invite hinder/hamper""",
    "being > being": """
        chase/pursue attack/assault follow/trail frighten/scare avoid/shun notice/spot
        overlook/miss protect/defend lead/guide kick""",
    "person > goods": """
        buy/purchase sell repair/fix/mend break/smash steal/pilfer hide/conceal find/discover
        lose/misplace clean/wash carry/transport drop lift/raise examine/inspect
        destroy/demolish want/desire abandon/forsake accept reject/refuse""",
    "person > edible": "eat/devour/consume taste/sample slice/chop",
    "person > book": "read/peruse write/compose",
    "being > -": """
        sleep/doze tremble/shiver wander/roam rest/relax vanish/disappear jump/leap arrive""",
    "person > -": "laugh/giggle cry/weep/sob smile/grin frown/scowl complain/grumble sing",
}
_GOODS = ("vehicle", "tool", "instrument", "garment", "furnishing", "container", "book")
OPPOSITES = tuple(
    concept.words
    for concept in parse(
        """
        praise/scold love/hate hire/dismiss find/lose buy/sell trust/doubt
        lift/drop laugh/cry smile/frown repair/destroy protect/attack
        comfort/annoy greet/ignore notice/overlook accept/reject arrest/release
        help/hinder follow/lead""",
        None,
    ).values()
)
_IRREGULAR = {
    "buy": "bought bought", "sell": "sold sold", "break": "broke broken", "steal": "stole stolen",
    "hide": "hid hidden", "find": "found found", "lose": "lost lost", "eat": "ate eaten",
    "read": "read read", "write": "wrote written", "sleep": "slept slept", "weep": "wept wept",
    "sing": "sang sung", "forsake": "forsook forsaken", "lead": "led led",
}  # fmt: skip
_DOUBLED = ("spot", "drop", "chop", "grin", "sob")


@dataclass(frozen=True, slots=True)
class Verb:
    """Synonymous verbs, and the nouns they take."""

    words: tuple[str, ...]
    agents: tuple[str, ...]
    # Empty: the verb is intransitive.
    patients: tuple[str, ...]

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0]


def _nouns(group: str) -> tuple[str, ...]:
    groups = {
        "-": (), "being": ("person", "animal"), "goods": _GOODS,
        "edible": ("fruit", "dessert"),
    }  # fmt: skip
    return tuple(noun for kind in groups.get(group, (group,)) for noun in below(kind))


def _verbs() -> dict[str, Verb]:
    out = {}
    for frame, text in _FRAMES.items():
        agents, patients = map(_nouns, frame.split(" > "))
        for name, concept in parse(text, None).items():
            out[name] = Verb(concept.words, agents, patients)
    return out


VERBS = _verbs()
TRANSITIVE = tuple(name for name, verb in VERBS.items() if verb.patients)
INTRANSITIVE = tuple(name for name, verb in VERBS.items() if not verb.patients)
# Agent and patient may change places and the sentence still makes sense.
REVERSIBLE = tuple(n for n in TRANSITIVE if VERBS[n].agents == VERBS[n].patients)
OPPOSITE = {a: b for pair in OPPOSITES for a, b in (pair, pair[::-1])}


def past(word: str) -> str:
    """Return the simple past.

    >>> [past(w) for w in ("buy", "grin", "carry", "love", "follow")]
    ['bought', 'grinned', 'carried', 'loved', 'followed']
    """
    return _IRREGULAR[word].split()[0] if word in _IRREGULAR else _regular(word)


def participle(word: str) -> str:
    """Return the past participle.

    >>> participle("steal")
    'stolen'
    """
    return _IRREGULAR[word].split()[1] if word in _IRREGULAR else _regular(word)


def third(word: str) -> str:
    """Return the third person singular of the present.

    >>> [third(w) for w in ("buy", "carry", "catch")]
    ['buys', 'carries', 'catches']
    """
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") and word[-2] not in "aeiou" else word + "s"


def _regular(word: str) -> str:
    if word in _DOUBLED:
        return word + word[-1] + "ed"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ied"
    return word + ("d" if word.endswith("e") else "ed")
