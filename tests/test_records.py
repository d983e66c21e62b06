"""Records and their JSON: what is written is read back, and anything else is one clear line."""

import json
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idim.errors import IdimError
from idim.records import from_json, keys, to_json
from idim.results import Checkpoint, Summary
from idim.store import Failed, Result


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    n: int
    share: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """Every kind of value that a record may hold."""

    name: str
    is_tall: bool
    kind: Literal["oak", "elm"]
    where: Path
    leaves: tuple[Leaf, ...]
    ends: tuple[int | None, int | None]
    by_year: dict[str, Leaf]
    first: Leaf | None
    bark: Literal["smooth", "rough"] | None
    height: float = field(metadata={"key": "size"})
    age: int | None = None


RECORDS = [Leaf, Tree, Result, Failed, Summary, Checkpoint]
TREE = Tree(
    name="t", is_tall=True, kind="oak", where=Path("a/b"), leaves=(Leaf(n=1, share=0.5),),
    ends=(None, 3), by_year={"1": Leaf(n=2, share=None)}, first=None, bark=None, height=2.0,
)  # fmt: skip
JSON = {
    "name": "t", "is_tall": True, "kind": "oak", "where": "a/b", "leaves": [{"n": 1, "share": 0.5}],
    "ends": [None, 3], "by_year": {"1": {"n": 2, "share": None}}, "first": None,
    "bark": None, "size": 2.0,
}  # fmt: skip


SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(), str: st.text(max_size=5), bool: st.booleans(), NoneType: st.none(),
    float: st.floats(allow_nan=False, allow_infinity=False), Path: st.text("ab/. ").map(Path),
}  # fmt: skip


def made(kind: Any) -> st.SearchStrategy[Any]:
    """Draw values of a type of records; the numbers are finite, as those of JSON are."""
    inner = get_args(kind)
    if is_dataclass(kind):
        return st.builds(kind, **{f.name: made(f.type) for f in fields(kind)})
    if get_origin(kind) in (Union, UnionType):
        return st.one_of(*map(made, inner))
    if get_origin(kind) is Literal:
        return st.sampled_from(inner)
    if get_origin(kind) is dict:
        return st.dictionaries(made(str), made(inner[1]), max_size=2)
    if get_origin(kind) is tuple and inner[-1] is Ellipsis:
        return st.lists(made(inner[0]), max_size=2).map(tuple)
    return st.tuples(*map(made, inner)) if inner else SCALARS[kind]


@pytest.mark.parametrize("cls", RECORDS, ids=lambda c: c.__name__)
def test_what_is_written_is_read_back(cls):
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(made(cls))
    def check(record: Any) -> None:
        text = json.dumps(to_json(record), allow_nan=False)
        assert from_json(cls, json.loads(text), "it") == record
        assert list(to_json(record)) == [k for k in keys(cls) if k in to_json(record)]

    check()


def test_a_record_is_written_by_its_keys_in_their_order():
    assert list(to_json(TREE).items()) == list(JSON.items())
    assert from_json(Tree, JSON, "it") == TREE
    assert keys(Tree) == (*JSON, "age")
    assert from_json(Tree, JSON | {"age": 7}, "it").age == 7


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"height": 2.0}, "it has the key 'height', which this version does not know."),
        ({"size": None}, "it has None at size, not a number."),
        ({"size": True}, "it has True at size, not a number."),
        ({"size": float("nan")}, "it has nan at size, not a number."),
        ({"size": 10**400}, "it has a number of 401 digits at size, not a number."),
        ({"name": 3}, "it has 3 at name, not text."),
        ({"is_tall": 1}, "it has 1 at is_tall, not true or false."),
        ({"kind": "ash"}, "it has 'ash' at kind, not 'oak' or 'elm'."),
        ({"kind": ["oak"]}, "it has ['oak'] at kind, not 'oak' or 'elm'."),
        ({"where": 5}, "it has 5 at where, not text."),
        ({"leaves": {}}, "it has {} at leaves, not a list."),
        ({"leaves": [{"n": 1.0, "share": 1}]}, "it has 1 at leaves[0].n, not a whole number."),
        ({"leaves": [{"n": 1}]}, "it has no key 'leaves[0].share'."),
        ({"leaves": [7]}, "it has 7 at leaves[0], not an object."),
        ({"ends": [1]}, "it has [1] at ends, not a list of 2."),
        ({"ends": [1, "x"]}, "it has 'x' at ends[1], not a whole number."),
        ({"by_year": []}, "it has [] at by_year, not an object."),
        ({"by_year": {"3": None}}, "it has None at by_year.3, not an object."),
        ({"bark": "soft"}, "it has 'soft' at bark, not 'smooth' or 'rough'."),
        ({"first": []}, "it has [] at first, not an object."),
        ({"first": {"n": 1, "share": 2, "x": 3}}, "it has the key 'first.x', which this version"),
    ],
    ids=str,
)
def test_anything_else_is_one_line(change, line):
    with pytest.raises(IdimError) as caught:
        from_json(Tree, JSON | change, "it")
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", JSON)
def test_a_key_that_is_missing_is_named(key):
    with pytest.raises(IdimError, match=rf"^it has no key '{key}'\.$"):
        from_json(Tree, {k: v for k, v in JSON.items() if k != key}, "it")


@pytest.mark.parametrize("other", [None, 5, "x", [], [JSON]], ids=str)
def test_what_is_no_object_is_no_record(other):
    with pytest.raises(IdimError, match=r"^it has .*, not an object\.$"):
        from_json(Tree, other, "it")
