"""The nouns: synonym sets under the kinds they belong to.

`a/b/c` are synonyms, a line is a kind: every member of it *is a* kind, and a kind may be a member
of another.  A word has one meaning only, in the whole language.
"""

from idim.builtin.language.concept import Concept, parse

_KINDS = {
    "person": """
        doctor/physician lawyer/attorney teacher/instructor thief/burglar/robber sailor/mariner
        writer/author worker/labourer student/pupil guest/visitor officer/cop driver/motorist
        boss/manager friend/pal/buddy enemy/foe merchant/trader prisoner/inmate clown/jester
        musician athlete kid/youngster""",
    "musician": "singer/vocalist violinist/fiddler pianist",
    "athlete": "runner/sprinter boxer/pugilist swimmer",
    "kid": "boy/lad girl/lass toddler",
    "animal": "dog/hound cat/feline bird rabbit/hare pig/hog donkey/mule horse/steed monkey/ape",
    "dog": "poodle beagle puppy/pup",
    "cat": "kitten tabby",
    "bird": "crow/raven pigeon/dove owl",
    "vehicle": "car/automobile truck/lorry bicycle/bike taxi/cab",
    "fruit": "apple pear lemon",
    "dessert": "cake cookie/biscuit pie",
    "tool": "wrench/spanner shovel/spade axe/hatchet hammer",
    "instrument": "harp drum guitar piano",
    "garment": "coat/overcoat dress/gown sweater/pullover hat",
    "furnishing": "sofa/couch cupboard/wardrobe lamp desk",
    "container": "bottle/flask box/carton bucket/pail bag/pouch",
    "book": "novel diary/journal atlas",
}  # fmt: skip
_TOPS = """
    person/human animal/creature/beast vehicle fruit dessert/sweet tool/implement instrument
    garment furnishing container book/volume"""
# where things happen, with the word that leads to them
_PLACES = {
    "in": "garden/yard forest/woods village/hamlet cellar/basement street/road prison/jail",
    "at": "market/bazaar harbour/port hospital/clinic beach/seaside",
}

NOUNS: dict[str, Concept] = {}
PLACES: dict[str, Concept] = {}
LEADS: dict[str, str] = {}


def _fill() -> None:
    NOUNS.update(parse(_TOPS, None))
    for kind, members in _KINDS.items():
        NOUNS.update(parse(members, kind))
    for lead, places in _PLACES.items():
        found = parse(places, None)
        PLACES.update(found)
        LEADS.update(dict.fromkeys(found, lead))


_fill()
MEMBERS: dict[str, tuple[str, ...]] = {
    kind: tuple(n for n, c in NOUNS.items() if c.kind == kind) for kind in _KINDS
}


def kinds(noun: str) -> list[str]:
    """Return the kinds a noun belongs to, nearest first.

    >>> kinds("poodle")
    ['dog', 'animal']
    """
    out = []
    above = NOUNS[noun].kind
    while above is not None:
        out.append(above)
        above = NOUNS[above].kind
    return out


def below(kind: str) -> tuple[str, ...]:
    """Return every noun under a kind, itself first.

    >>> below("cat")
    ('cat', 'kitten', 'tabby')
    """
    out = [kind]
    for member in MEMBERS.get(kind, ()):
        out += below(member)
    return tuple(out)


LIVING = (*below("person"), *below("animal"))


def plural(word: str) -> str:
    """Return the plural of a noun.

    >>> [plural(w) for w in ("boss", "enemy", "boy", "thief")]
    ['bosses', 'enemies', 'boys', 'thieves']
    """
    if word == "thief":
        return "thieves"
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"
