"""The adjectives: opposites of people and of things, colours, and words of praise and blame."""

from idim.language.concept import Concept, parse

# synonyms of one side | synonyms of the opposite
_OF_PEOPLE = """
    rich/wealthy/affluent|poor/needy/penniless clever/smart/intelligent|stupid/foolish/dumb
    brave/courageous/fearless|cowardly/timid happy/glad/cheerful|sad/unhappy/gloomy
    kind/caring|cruel/heartless strong/powerful/mighty|weak/feeble/frail
    old/elderly/aged|young/youthful tall|short slim/slender/thin|fat/plump/stout
    calm/serene|nervous/anxious/tense honest/truthful/sincere|dishonest/deceitful
    famous/celebrated/renowned|obscure/unknown busy/industrious|lazy/idle
    polite/courteous|rude/impolite humble/modest|proud/arrogant/haughty
    friendly/sociable|hostile/unfriendly quiet/silent|noisy/loud generous/charitable|greedy/stingy
    healthy/fit|sick/ill/ailing careful/cautious|careless/reckless"""
_OF_ANIMALS = """
    tame/docile|wild/untamed hungry/starving/famished|sated swift/speedy|slow/sluggish"""
_OF_THINGS = """
    big/large/sizable|small/little/tiny new/modern|ancient/antique
    cheap/inexpensive/affordable|expensive/costly/pricey spotless/immaculate|dirty/filthy/grimy
    heavy/weighty|lightweight intact/undamaged|damaged/faulty/defective
    beautiful/pretty/gorgeous|ugly/hideous/unsightly strange/odd/peculiar|ordinary/usual/common
    wet/damp|dry"""
COLOURS = parse("red/crimson blue/azure green yellow black white brown grey/gray", None)

GOOD = tuple(
    parse(
        """
    good great excellent wonderful superb delightful lovely marvellous splendid brilliant
    charming terrific fantastic magnificent enjoyable pleasant outstanding impressive fabulous
    admirable stunning thrilling gripping inspired refreshing touching witty ingenious perfect
    glorious exquisite remarkable sublime dazzling captivating fascinating memorable
    heartwarming satisfying""",
        None,
    )
)
BAD = tuple(
    parse(
        """
    bad awful terrible dreadful horrible lousy dull boring tedious disappointing mediocre nasty
    appalling atrocious miserable unpleasant shoddy clumsy dreary tiresome pathetic ridiculous
    dismal abysmal bland horrid wretched irksome forgettable lifeless stale tasteless vile
    clunky insipid uninspired revolting laughable depressing""",
        None,
    )
)

ADJECTIVES: dict[str, Concept] = {}
OPPOSITE: dict[str, str] = {}


def _fill(text: str) -> tuple[str, ...]:
    names = []
    for entry in text.split():
        sides = [parse(side, None) for side in entry.split("|")]
        for side in sides:
            ADJECTIVES.update(side)
        (a,), (b,) = sides
        OPPOSITE.update({a: b, b: a})
        names += [a, b]
    return tuple(names)


_people, _animals, _things = _fill(_OF_PEOPLE), _fill(_OF_ANIMALS), _fill(_OF_THINGS)
ADJECTIVES.update(COLOURS)
# By the topmost kind of the noun; whatever is neither person nor animal is a thing.
SUITED = {"person": _people, "animal": _animals, "thing": _things + tuple(COLOURS)}
