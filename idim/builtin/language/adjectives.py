"""The adjectives: opposites of people and of things, colours, and words of praise and blame."""

from idim.builtin.language.concept import Concept, parse

# synonyms of one side | synonyms of the opposite
_OF_PEOPLE = """
    rich/wealthy|poor/needy clever/smart|stupid/foolish brave/courageous|cowardly/timid
    happy/glad|sad/unhappy kind/caring|cruel/heartless strong/powerful|weak/feeble
    old/elderly|young/youthful slim/slender|fat/plump calm/serene|nervous/anxious
    honest/truthful|dishonest/deceitful"""
_OF_ANIMALS = """
    tame/docile|wild/untamed hungry/starving|sated swift/speedy|slow/sluggish"""
_OF_THINGS = """
    big/large|small/little new/modern|ancient/antique cheap/inexpensive|expensive/costly
    spotless/immaculate|dirty/filthy heavy/weighty|lightweight beautiful/pretty|ugly/hideous
    wet/damp|dry"""
COLOURS = parse("red/crimson blue/azure green grey/gray", None)

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
