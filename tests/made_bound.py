"""Functions that are bound to a value, and values of one's own kinds to bind them to."""

import collections
import dataclasses
import enum
import functools
import json
import random
import typing
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from transformers import GenerationConfig

from idim.problems import source

KEPT = []


def bound_to(what):
    return lambda trial: what


class Plain:
    def __init__(self, k: Any) -> None:
        self.k = k

    def __call__(self, trial):
        return self.k

    def method(self, trial):
        return self.k


class Slotted:
    __slots__ = ("__own", "_k")

    def __init__(self, k):
        self._k, self.__own = 0, k


class Copied:
    """Says itself what a copy of it needs; what is of this process only is left out."""

    def __init__(self, k):
        self.k, self.of_this_process = k, object()
        self.number = id(self)

    def __getstate__(self):
        return {"k": self.k}


class Random(random.Random):
    """Its state is below Python's."""


class Words(dict):
    def __init__(self, k):
        super().__init__(a=1)
        self.k = k


@dataclasses.dataclass
class Data:
    k: int
    rows: list[int] = dataclasses.field(default_factory=list)

    @property
    def twice(self):
        return 2 * self.k


@dataclasses.dataclass(slots=True, frozen=True)
class Frozen:
    k: int = 3


class Choice(enum.Enum):
    A = 1
    B = 2


class Level(enum.IntEnum):
    A = 1
    B = 2


class Pair(typing.NamedTuple):
    k: int
    name: str = "x"


Point = collections.namedtuple("Point", "x y")


class Net(nn.Module):
    def __init__(self, k):
        super().__init__()
        torch.manual_seed(k)
        self.body = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
        self.body[2].bias = self.body[2].bias


def counting(k):
    """A class whose text is the same, with other values."""

    class Counting:
        step = k

        def read(self):
            return k

        @staticmethod
        def start(by=k):
            return by

    return Counting


def reading(k):
    class Reading:
        def read(self):
            return k

    return Reading


def starting(k):
    class Starting:
        @classmethod
        def start(cls, by=k):
            return by

    return Starting


class Decorated:
    """A decorator with a setting, which looks like what it wraps."""

    def __init__(self, code, k):
        functools.update_wrapper(self, code)
        self.k = k

    def __call__(self, trial):
        return self.k


def own_parent(k):
    parent, child = Plain(k), Plain(0)
    child.k = [k, parent]
    parent.k = [k, child]
    return parent


def circle(k):
    """A holds B, which holds A or itself."""
    a, b = Plain(0), Plain(0)
    a.k, b.k = b, (a, b)[k - 1]
    return a


def friends(k):
    """Objects that all hold one another, in sets: in no order, and without an end."""
    some = [Plain(i) for i in range(4)]
    for i, one in enumerate(some):
        one.k = i + (10 * k if i == 2 else 0), {other for other in some if other is not one}
    return some[0]


def tied(k):
    first = nn.Linear(2, 2, bias=False)
    second = nn.Linear(2, 2, bias=False)
    nn.init.ones_(first.weight)
    nn.init.ones_(second.weight)
    if k == 2:
        second.weight = first.weight
    return [first, second]


def frozen(k):
    net = nn.Linear(2, 2)
    nn.init.ones_(net.weight)
    nn.init.ones_(net.bias)
    net.weight.requires_grad_(k == 1)
    return net


def used(k):
    draws = random.Random(1)
    [draws.random() for _ in range(k)]
    return draws


def kept(value):
    KEPT.append(value)
    return value


def noted(k):
    def noted(trial):
        return 1

    vars(noted)["k"] = k
    return noted


def hooked(k):
    net = nn.Identity()
    return net, net.register_forward_hook(lambda module, given, found: found * k)


def parametrized(k):
    torch.manual_seed(k)
    return nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))


def config(k):
    """Holds a hash of its texts, which each process has anew."""
    return GenerationConfig(max_new_tokens=k)


def loader(k):
    return DataLoader(TensorDataset(torch.arange(9)), batch_size=k)


def here(value: Any) -> str:
    """The fingerprint of a function of this module that closes over a value."""
    return source.fingerprint(bound_to(value))


def elsewhere(value: Any) -> str:
    """The same of another module's function: what is made here is then none of its own."""
    return source.fingerprint(functools.partial(json.dumps, value))
