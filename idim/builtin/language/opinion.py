"""Praise and blame: clauses about films, meals and journeys, and what follows from them."""

from idim.builtin.language.adjectives import BAD, GOOD
from idim.builtin.language.concept import parse
from idim.builtin.language.dice import Dice
from idim.builtin.language.grammar import article

SUBJECTS = tuple(
    parse(
        """
    film movie meal dinner concert gig story tale drama comedy hotel restaurant diner soundtrack
    ending finale plot storyline acting staff soup speech lecture party trip journey voyage
    match song ballad dialogue scenery sauce breakfast lunch cast script melody performance
    exhibition festival holiday sequel musical""",
        None,
    )
)
_VERBS = {True: ["liked", "enjoyed", "treasured", "savoured", "relished"],
          False: ["disliked", "regretted", "resented", "endured", "deplored"]}  # fmt: skip
# The ways of a clause, each as likely as the next: one in five denies the contrary.
_WAYS = ("verb", "verb", *("is",) * 6, "nothing", "denied")
# How often an opinion stands alone; the rest concede something to the contrary.
_ALONE = 0.7
_INTENSIFIERS = ("", "", "very ", "really ", "truly ", "quite ", "utterly ", "rather ")
_DENIALS = ("not", "hardly", "never", "anything but", "far from", "not at all", "in no way")
_WHO = ("I", "we", "my parents", "the critics", "the crowd", "everybody")
_AFTER = {
    True: (
        "{who} went home delighted", "{who} clapped for a long time", "{who} recommended it to all",
        "{who} came back the next day", "{who} gave it five stars", "{who} asked for more",
        "it won a prize", "it was a success", "{who} felt lucky",
    ),
    False: (
        "{who} went home disappointed", "{who} booed for a long time", "{who} warned all of it",
        "{who} never came back", "{who} gave it one star", "{who} asked for a refund",
        "it won no prize", "it was a failure", "{who} felt cheated",
    ),
}  # fmt: skip


def draw(dice: Dice, is_good: bool) -> tuple[str, tuple[str, ...]]:
    """Return an opinion, and the key that a split is made by.

    Which words of praise and blame occur does not settle it: some are denied or conceded.
    """
    subject = dice.pick(SUBJECTS)
    word, text = _clause(dice, subject, is_good)
    if dice.chance(_ALONE):
        return text, (subject, word)
    other = dice.other(SUBJECTS, subject)
    against, conceded = _clause(dice, other, not is_good)
    form = dice.below(5)
    if form == 0:
        text = f"although {conceded}, {text}"
    elif form == 1:
        text = f"{conceded}, but {text}"
    elif form == 2:
        text = f"{text}, even though {conceded}"
    elif form == 3:
        against = dice.pick(BAD if is_good else GOOD)
        text = f"in spite of the {against} {other}, {text}"
    else:
        against = dice.pick(BAD if is_good else GOOD)
        wish = f"{article(against)} {against} {subject}"
        text = f"{dice.pick(_WHO)} expected {wish}, but {text}"
    return text, (subject, word, against)


def consequence(dice: Dice, is_good: bool) -> str:
    """Return what people did afterwards."""
    return dice.pick(_AFTER[is_good]).format(who=dice.pick(_WHO))


def _clause(dice: Dice, subject: str, is_good: bool) -> tuple[str, str]:
    """Return the word of praise or blame and a clause about the subject."""
    way = dice.pick(_WAYS)
    if way == "verb":
        verb = dice.pick(_VERBS[is_good])
        return verb, f"{dice.pick(_WHO)} {verb} the {subject}"
    is_denied = way != "is"
    word = dice.pick(GOOD if is_good != is_denied else BAD)
    if way == "nothing":
        return word, f"there was nothing {word} about the {subject}"
    if is_denied:
        return word, f"the {subject} was {dice.pick(_DENIALS)} {word}"
    return word, f"the {subject} was {dice.pick(_INTENSIFIERS)}{word}"
