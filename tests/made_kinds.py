"""Kinds of values that a function may be bound to: how to make one, and one that differs.

A file of its own, so that a process of another hash seed can make them as the tests do.
"""

import argparse
import cmath
import collections
import dataclasses
import datetime
import decimal
import fractions
import functools
import itertools
import logging
import math
import operator
import random
import re
import types
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from made_bound import (
    Choice,
    Copied,
    Data,
    Decorated,
    Frozen,
    Level,
    Net,
    Pair,
    Plain,
    Point,
    Random,
    Slotted,
    Words,
    bound_to,
    circle,
    config,
    counting,
    elsewhere,
    friends,
    frozen,
    here,
    hooked,
    kept,
    loader,
    noted,
    own_parent,
    parametrized,
    reading,
    starting,
    tied,
    used,
)
from torch import nn
from torch.utils.data import TensorDataset


def one_of(*values: Any) -> Callable[[int], Any]:
    return lambda k: values[k - 1]


KINDS: dict[str, Callable[[int], Any]] = {
    # numbers, texts and containers
    "bool": one_of(True, False),
    "true and one": one_of(True, 1),
    "none": one_of(None, "None"),
    "int": int,
    "endless int": lambda k: 10**5000 + k,
    "float": float,
    "zeros": one_of(0.0, -0.0),
    "complex": complex,
    "text": str,
    "halves": one_of("\ud800", "\ud801"),
    "bytes": lambda k: bytes([k]),
    "bytearray": lambda k: bytearray([k]),
    "range": range,
    "slice": slice,
    "ellipsis": one_of(..., NotImplemented),
    "list": lambda k: [k],
    "tuple in a list": lambda k: [(1, [k])],
    "dict": lambda k: {"a": k},
    "dict keys": lambda k: {k: 1},
    "set": lambda k: {str(k), "x", "y", "z", (k, "w")},
    "frozenset": lambda k: frozenset([str(k), "x", "y"]),
    "set of objects": lambda k: {Plain(k), 3},
    "proxy": lambda k: types.MappingProxyType({"a": k}),
    "OrderedDict": lambda k: collections.OrderedDict(k=k),
    "defaultdict": lambda k: collections.defaultdict(int, k=k),
    "factory": lambda k: collections.defaultdict([int, list][k - 1]),
    "Counter": lambda k: collections.Counter(a=k),
    "deque": lambda k: collections.deque([k]),
    "deque's length": lambda k: collections.deque([1], k),
    "ChainMap": lambda k: collections.ChainMap({"a": k}),
    "UserDict": lambda k: collections.UserDict(a=k),
    "NamedTuple": Pair,
    "namedtuple": lambda k: Point(k, 1),
    "kind of tuple": one_of(Point(3, "x"), Pair(3)),
    "dict of one's own": Words,
    "list or tuple's kin": one_of([1], collections.deque([1])),
    # the standard library's
    "Namespace": lambda k: argparse.Namespace(k=k),
    "SimpleNamespace": lambda k: types.SimpleNamespace(k=k),
    "Decimal": decimal.Decimal,
    "Fraction": lambda k: fractions.Fraction(k, 7),
    "date": lambda k: datetime.date(2000, 1, k),
    "timedelta": datetime.timedelta,
    "zone": lambda k: datetime.datetime(2000, 1, k, tzinfo=datetime.UTC),
    "UUID": lambda k: uuid.UUID(int=k),
    "Path": lambda k: Path(f"a/{k}"),
    "Pattern": lambda k: re.compile("a", re.I if k == 1 else 0),
    "Random": random.Random,
    "used Random": used,
    "Random of one's own": Random,
    "itemgetter": operator.itemgetter,
    "iterator": lambda k: iter([k]),
    "repeat": itertools.repeat,
    "weak": lambda k: weakref.ref(kept(Plain(k))),
    "WeakSet": lambda k: weakref.WeakSet([kept(Plain(k)), kept(Plain(7))]),
    "logger": lambda k: logging.getLogger(f"a.{k}"),
    "module": one_of(math, cmath),
    # functions and classes
    "builtin": one_of(len, max),
    "math": one_of(math.sin, math.cos),
    "sin": one_of(math.sin, cmath.sin),
    "torch": one_of(torch.relu, torch.tanh),
    "ufunc": one_of(np.sin, np.cos),
    "method of a text": one_of("a".upper, "a".lower),
    "its text": lambda k: str(k).upper,
    "unbound": one_of(str.upper, str.lower),
    "class method": one_of(dict.fromkeys, int.from_bytes),
    "type": one_of(int, float),
    "generic": one_of(list[int], list[str]),
    "optimizer class": one_of(torch.optim.SGD, torch.optim.Adam),
    "function": one_of(nn.functional.relu, nn.functional.gelu),
    "lambda": one_of(lambda t: 1, lambda t: 2),
    "closure": lambda k: bound_to(k),
    "default": one_of(lambda t, k=1: k, lambda t, k=2: k),
    "note": noted,
    "partial": lambda k: functools.partial(max, k),
    "partial's function": lambda k: functools.partial([torch.relu, torch.tanh][k - 1]),
    "partial's keyword": lambda k: functools.partial(max, default=k),
    "cached": lambda k: functools.cache(bound_to(k)),
    "method": lambda k: Plain(k).method,
    "inherited method": lambda k: Random(k).shuffle,
    "own class": one_of(Plain, Slotted),
    "made class": lambda k: type("T", (), {"k": k}),
    "made with a method": lambda k: type("T", (), {"f": bound_to(k)}),
    "made with a base": lambda k: type("T", (counting(k),), {}),
    "class in a function": counting,
    "method's closure": reading,
    "method's default": starting,
    "its object": lambda k: reading(k)(),
    "dataclass made": lambda k: dataclasses.make_dataclass(
        "D", [("k", int, dataclasses.field(default=k))]
    ),
    # objects
    "object": Plain,
    "slots": Slotted,
    "dataclass": Data,
    "frozen dataclass": Frozen,
    "enum": one_of(Choice.A, Choice.B),
    "int enum": one_of(Level.A, Level.B),
    "enum or int": one_of(Level.A, 1),
    "says what it is": Copied,
    "decorator": lambda k: Decorated(bound_to(1), k),
    "parent and child": own_parent,
    "circle": circle,
    "friends": friends,
    "kind of object": one_of(Plain(1), argparse.Namespace(k=1)),
    # numpy's
    "array": np.arange,
    "scalar": np.float32,
    "double": np.float64,
    "object array": lambda k: np.array([Plain(k), "x"], dtype=object),
    "masked": lambda k: np.ma.masked_greater([1, 2, 3], k),
    "record": lambda k: np.array([(k, "a")], dtype=[("k", int), ("o", object)]),
    "np.dtype": one_of(np.dtype("f4"), np.dtype("f8")),
    "RandomState": np.random.RandomState,
    "Generator": np.random.default_rng,
    "datetime64": lambda k: np.datetime64(k, "s"),
    # torch's
    "tensor": torch.arange,
    "sparse": lambda k: (k * torch.eye(2)).to_sparse(),
    "parameter": lambda k: nn.Parameter(torch.full((2,), float(k))),
    "gradient": lambda k: torch.zeros(2, requires_grad=k == 1),
    "imaginary": lambda k: torch.tensor([1j]).conj().imag * k,
    "Linear": lambda k: (torch.manual_seed(k), nn.Linear(3, 3))[1],
    "dropout": lambda k: nn.Dropout(0.1 * k),
    "net": Net,
    "hook": hooked,
    "parametrization": parametrized,
    "frozen part": frozen,
    "tied": tied,
    "TensorDataset": lambda k: TensorDataset(torch.arange(k)),
    "loader": loader,
    "config": config,
    "torch.dtype": one_of(torch.float32, torch.float64),
    "device": one_of(torch.device("cpu"), torch.device("cuda")),
    "layout": one_of(torch.strided, torch.sparse_coo),
    "size": lambda k: torch.Size([k]),
    "torch.Generator": lambda k: torch.Generator().manual_seed(k),
    "inference": lambda k: torch.inference_mode(k == 1),
}


def prints() -> dict[str, list[str]]:
    """Return the fingerprints of all kinds, by name."""
    makers = [(name, make, k) for name, make in KINDS.items() for k in (1, 2)]
    return {f"{n} {k}": [here(make(k)), elsewhere(make(k))] for n, make, k in makers}
