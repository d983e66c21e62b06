"""A concept: words that mean the same, and the kind of thing it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Concept:
    """Synonyms; the first names the concept."""

    words: tuple[str, ...]
    # The concept above: every one of these is one of those.
    kind: str | None = None

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0]


def parse(text: str, kind: str | None) -> dict[str, Concept]:
    """Read `a/b c d/e`: concepts by name, synonyms joined by a slash.

    >>> parse("car/automobile van", "vehicle")["car"].words
    ('car', 'automobile')
    """
    sets = [tuple(entry.split("/")) for entry in text.split()]
    return {words[0]: Concept(words, kind) for words in sets}
