"""The verbs: synonym sets, their forms, and what they take as agent and patient."""

from dataclasses import dataclass

from idim.language.concept import parse
from idim.language.nouns import below

# agents > patients : verbs.  A patient of "-" is none: the verb is intransitive.
_FRAMES = {
    "person > person": """
        help/assist/aid praise/commend/applaud scold/rebuke/reprimand greet/welcome hug/embrace
        love/adore/cherish hate/detest/loathe fear/dread trust doubt/distrust warn/caution/alert
        rescue/save defeat/conquer/vanquish hire/employ/recruit dismiss/sack deceive/trick/dupe
        mock/ridicule/taunt ignore/disregard insult/offend betray punish/penalize
        question/interrogate arrest/apprehend/detain admire/respect annoy/irritate/bother
        amuse/entertain surprise/astonish/amaze comfort/console/soothe threaten/menace envy
        imitate/mimic join/accompany push/shove pull/drag/tug visit thank invite interview
        teach/educate remember/recall forget release/free hinder/hamper""",
    "person > animal": "feed/nourish train catch/capture stroke/caress/pat",
    "animal > animal": "bite smell/sniff lick scratch/claw",
    "being > being": """
        chase/pursue attack/assault follow/trail frighten/scare/terrify avoid/shun/evade
        notice/spot overlook/miss protect/defend/shield kick lead/guide""",
    "person > goods": """
        buy/purchase sell repair/fix/mend break/smash steal/pilfer hide/conceal
        find/discover/locate lose/misplace clean/wash decorate/adorn carry/transport/haul
        drop lift/raise/hoist examine/inspect describe/depict/portray borrow destroy/demolish/ruin
        collect/gather/amass choose/select want/desire/crave own/possess need/require polish
        abandon/forsake deliver rent/lease accept reject/refuse""",
    "person > edible": "eat/devour/consume taste/sample peel slice/chop",
    "person > book": "read/peruse write/compose publish/issue",
    "person > garment": "wear sew/stitch fold iron",
    "person > instrument": "tune",
    "person > vehicle": "drive/steer",
    "person > plant": "cultivate water prune/trim",
    "person > building": "build/construct/erect enter",
    "being > -": """
        sleep/doze tremble/shiver wander/roam rest/relax vanish/disappear arrive jump/leap
        hesitate/pause die/perish fall/tumble cough sneeze yawn snore""",
    "person > -": """
        laugh/giggle/chuckle cry/weep/sob smile/grin complain/grumble/moan stroll/amble
        sing dance/waltz pray kneel faint/swoon retire frown/scowl""",
}
_GOODS = (
    "vehicle", "tool", "weapon", "instrument", "garment", "gem", "furnishing", "container",
    "book", "device", "toy",
)  # fmt: skip
OPPOSITES = tuple(
    concept.words
    for concept in parse(
        """
        praise/scold love/hate hire/dismiss find/lose buy/sell trust/doubt push/pull
        lift/drop laugh/cry smile/frown repair/destroy protect/attack admire/mock
        comfort/annoy greet/ignore notice/overlook accept/reject arrest/release
        remember/forget help/hinder follow/lead""",
        None,
    ).values()
)
_IRREGULAR = {
    "feed": "fed fed", "teach": "taught taught", "catch": "caught caught", "bite": "bit bitten",
    "buy": "bought bought", "sell": "sold sold", "break": "broke broken", "steal": "stole stolen",
    "hide": "hid hidden", "find": "found found", "lose": "lost lost", "choose": "chose chosen",
    "eat": "ate eaten", "read": "read read", "write": "wrote written", "wear": "wore worn",
    "drive": "drove driven", "build": "built built", "sleep": "slept slept", "fall": "fell fallen",
    "weep": "wept wept", "sing": "sang sung", "kneel": "knelt knelt", "sew": "sewed sewn",
    "forsake": "forsook forsaken", "lead": "led led", "forget": "forgot forgotten",
}  # fmt: skip
_DOUBLED = ("hug", "pat", "spot", "drop", "chop", "trim", "grin", "sob", "tug", "drag")


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
        "edible": ("fruit", "vegetable", "dessert"),
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

    >>> [past(w) for w in ("buy", "hug", "carry", "bake", "follow")]
    ['bought', 'hugged', 'carried', 'baked', 'followed']
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
