"""What a bag of words scores on the embedded text tasks: how much of them needs no reading.

Logistic regression on the words of each sentence, told apart by side; of a pair also the words
both share and every two words of which each side has one.  The regularisation is chosen on the
rows that a run selects on.

Example:
  python scripts/bag_of_words.py
"""

import re
from collections.abc import Iterable
from itertools import product

from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from idim.config import Setup
from idim.problems.tasks import TASKS, Split, load

STRENGTHS = (0.01, 0.1, 1.0, 10.0)


def score(task: str) -> tuple[float, float]:
    """Return the accuracy of a constant answer and of a bag of words on the evaluation rows."""
    data = load(Setup(task=task))
    select = data.select
    assert select is not None
    vocabulary = DictVectorizer()
    train = vocabulary.fit_transform(map(features, data.train.inputs))
    models = [
        LogisticRegression(C=c, max_iter=3000).fit(train, data.train.targets) for c in STRENGTHS
    ]
    best = max(models, key=lambda m: _accuracy(m, vocabulary, select))
    return data.chance["accuracy"], _accuracy(best, vocabulary, data.evaluation)


def features(texts: Iterable[str]) -> dict[str, int]:
    """Return the bag of a row: words by side, shared words, pairs of words across."""
    bags = [set(re.findall(r"[a-z]+", text.lower())) for text in texts]
    found = {f"{side}:{word}": 1 for side, bag in enumerate(bags) for word in bag}
    if len(bags) == 2:
        first, second = bags
        found |= {f"both:{word}": 1 for word in first & second}
        found |= {f"{a}/{b}": 1 for a, b in product(first - second, second - first)}
    return found


def _accuracy(model: LogisticRegression, vocabulary: DictVectorizer, split: Split) -> float:
    return float(model.score(vocabulary.transform(map(features, split.inputs)), split.targets))


if __name__ == "__main__":
    for name in (name for name, task in TASKS.items() if task.is_generated):
        constant, bag = score(name)
        print(f"{name:>13}  constant {constant:.3f}  bag of words {bag:.3f}", flush=True)
