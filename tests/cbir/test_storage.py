from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from cbir.storage import build, flatten


@dataclass(frozen=True)
class Inner:
    values: np.ndarray
    names: tuple[str, ...]
    level: float
    graph: bytes
    note: str | None = None


@dataclass(frozen=True)
class Outer:
    by_name: Mapping[str, Inner]
    count: int


A, B = Inner(np.arange(3.0), ("x", "y"), 0.5, b"graph"), Inner(np.ones(2), (), 1, b"", "b")


def test_a_part_comes_back_as_it_went():
    flat = flatten(Outer({"a": A, "b": B}, 7))
    assert set(flat.arrays) == {"by_name/a/values", "by_name/b/values"}
    assert set(flat.graphs) == {"by_name/a/graph", "by_name/b/graph"}
    back = build(Outer, flat.json, flat.arrays.__getitem__, flat.graphs.__getitem__)
    assert back.count == 7
    for before, after in ((A, back.by_name["a"]), (B, back.by_name["b"])):
        assert (after.names, after.level, after.graph, after.note) == (
            before.names,
            before.level,
            before.graph,
            before.note,
        )
        np.testing.assert_array_equal(after.values, before.values)


@pytest.mark.parametrize(
    ("json", "message"),
    [
        ([], "expected an object at the top"),
        ({"by_name": {}, "count": "7"}, "expected int at count, got '7'"),
        ({"by_name": {}, "count": True}, "expected int at count"),
        ({"by_name": {}}, "expected int at count, got 'None'"),
        ({"by_name": {"a": {"names": [1]}}, "count": 7}, "expected str at by_name/a/names"),
    ],
)
def test_json_of_other_types_is_refused_by_place(json, message):
    with pytest.raises(ValueError, match=message):
        build(Outer, json, lambda place: np.empty(0), lambda place: b"")
