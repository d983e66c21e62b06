"""A small English of our own: lexicon, grammar, a text to pretrain on, and four tasks."""

from idim.builtin.language import adjectives, nouns, verbs
from idim.builtin.language.problems import DRAWS, Row, rows
from idim.builtin.language.text import paragraphs

__all__ = ["DRAWS", "Row", "inflected", "paragraphs", "rows"]


def inflected() -> set[str]:
    """Return every noun, adjective and verb in every form used, also those that a text may lack."""
    tables = (nouns.NOUNS, nouns.PLACES, adjectives.ADJECTIVES)
    words = {w for table in tables for concept in table.values() for w in concept.words}
    words |= {nouns.plural(w) for name in nouns.LIVING for w in nouns.NOUNS[name].words}
    for verb in verbs.VERBS.values():
        forms = (verbs.past, verbs.participle, verbs.third)
        words |= {form(w) for w in verb.words for form in forms} | set(verb.words)
    return words
