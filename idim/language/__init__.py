"""A small English of our own: lexicon, grammar, a text to pretrain on, and four tasks."""

from idim.language.problems import DRAWS, Row, rows
from idim.language.text import paragraphs

__all__ = ["DRAWS", "Row", "paragraphs", "rows"]
