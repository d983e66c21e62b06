"""The nouns: synonym sets under the kinds they belong to.

`a/b/c` are synonyms, a line is a kind: every member of it *is a* kind, and a kind may be a member
of another.  A word has one meaning only, in the whole language.
"""

from idim.language.concept import Concept, parse

_KINDS = {
    "person": """
        doctor/physician lawyer/attorney teacher/instructor thief/burglar/robber farmer/grower
        sailor/mariner writer/author worker/labourer student/pupil guest/visitor stranger/outsider
        expert/specialist officer/cop guard/sentry driver/motorist pilot/aviator captain/skipper
        boss/manager/supervisor servant/attendant friend/pal/buddy enemy/foe/adversary
        merchant/trader/dealer beggar/pauper criminal/crook/felon prisoner/inmate/convict
        rebel/insurgent tenant/lodger/renter customer/client/shopper winner/victor leader/chief
        clown/jester witness/onlooker/bystander coach/trainer barber/hairdresser spy/informer
        rival/competitor assistant/helper/aide colleague/coworker tailor/dressmaker
        tourist/traveller/sightseer orator/speaker nurse judge waiter banker librarian editor
        scientist/researcher musician athlete artisan/craftsperson official soldier/trooper
        relative kid/youngster artist noble/aristocrat""",
    "scientist": "chemist physicist biologist geologist astronomer botanist",
    "musician": "drummer pianist violinist guitarist singer/vocalist flautist/flutist",
    "athlete": "runner swimmer boxer/pugilist wrestler cyclist skier gymnast",
    "artisan": "carpenter/joiner plumber mason/bricklayer welder potter blacksmith",
    "official": "mayor senator governor ambassador/envoy inspector",
    "soldier": "sergeant colonel corporal lieutenant general",
    "relative": "uncle aunt cousin nephew niece",
    "kid": "boy/lad girl/lass toddler baby/infant",
    "artist": "painter sculptor poet novelist",
    "noble": "king/monarch queen prince duke baron",
    "animal": """
        dog/hound cat/feline bird insect/bug reptile rabbit/hare pig/hog donkey/mule goat cow
        horse/steed bear tiger lion camel monkey/ape rat/rodent""",
    "dog": "poodle spaniel terrier beagle collie bulldog puppy/pup",
    "cat": "kitten tabby tomcat",
    "bird": "sparrow robin eagle crow/raven owl parrot pigeon/dove swan",
    "insect": "beetle moth butterfly wasp cricket ant",
    "reptile": "lizard snake/serpent crocodile turtle/tortoise",
    "vehicle": """
        car/automobile truck/lorry bicycle/bike bus motorcycle/motorbike tractor van ambulance
        taxi/cab boat/vessel""",
    "boat": "canoe yacht ferry kayak",
    "fruit": "apple pear plum lemon banana cherry peach melon",
    "vegetable": "carrot onion cabbage turnip radish cucumber",
    "dessert": "cake pie pudding cookie/biscuit pancake",
    "tool": "hammer wrench/spanner drill shovel/spade screwdriver axe/hatchet rake",
    "weapon": "sword dagger rifle pistol/handgun spear/lance cannon",
    "instrument": "guitar violin/fiddle drum flute trumpet piano cello harp",
    "garment": "coat/overcoat shirt dress/gown sweater/pullover hat skirt scarf sock",
    "gem": "diamond ruby emerald sapphire pearl",
    "furnishing": "chair sofa/couch desk table bed cupboard/wardrobe lamp stool",
    "container": "bottle/flask box/carton bag/pouch basket bucket/pail jar barrel/cask",
    "plant": "tree flower/blossom bush/shrub",
    "tree": "oak pine maple birch willow",
    "flower": "rose tulip daisy lily orchid",
    "book": "novel diary/journal dictionary/lexicon cookbook atlas",
    "device": "phone/telephone camera computer/laptop radio clock television",
    "toy": "doll kite puppet/marionette marble",
    "building": "house/residence cottage castle/fortress barn cabin/hut tower mansion",
}  # fmt: skip
_TOPS = """
    person animal/creature/beast vehicle fruit vegetable dessert tool/implement weapon
    instrument garment gem/jewel furnishing container plant book/volume device/gadget
    toy/plaything building/edifice"""
# where things happen, with the word that leads to them
_PLACES = {
    "in": """kitchen garden/yard park forest/woods office village/hamlet field/meadow
        cellar/basement attic/loft street/road prison/jail museum city/town""",
    "at": """station market/bazaar library harbour/port theatre/playhouse airport hospital/clinic
        beach/seaside""",
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
    ('cat', 'kitten', 'tabby', 'tomcat')
    """
    out = [kind]
    for member in MEMBERS.get(kind, ()):
        out += below(member)
    return tuple(out)


LIVING = (*below("person"), *below("animal"))


def plural(word: str) -> str:
    """Return the plural of a noun.

    >>> [plural(w) for w in ("bus", "spy", "boy", "craftsperson")]
    ['buses', 'spies', 'boys', 'craftspersons']
    """
    if word == "thief":
        return "thieves"
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"
