"""Typed parts as arrays, graphs and JSON, and back: what is stored follows from the annotations of dataclasses.

A part is a dataclass of arrays, graphs (bytes), strings, numbers, tuples, mappings by name and further dataclasses.
Arrays and graphs are named by where they stand, e.g. "by_task/type/offset"; everything else becomes JSON.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

T = TypeVar("T")


@dataclass
class Flat:
    """A part, flattened.

    Attributes:
        arrays: by place.
        graphs: by place.
        json: the rest.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    graphs: dict[str, bytes] = field(default_factory=dict)
    json: Any = None


def flatten(part: object, shared: type | None = None) -> Flat:
    """Flattens a part.

    Args:
        part: a dataclass.
        shared: fields that hold an object of this type are left out: they are stored elsewhere, once.
    """
    flat = Flat()

    def walk(value: Any, place: str) -> Any:  # noqa: ANN401 - whatever a field holds
        if isinstance(value, np.ndarray):
            flat.arrays[place] = value
            return None
        if isinstance(value, bytes):
            flat.graphs[place] = value
            return None
        if is_dataclass(value):
            named = {f.name: getattr(value, f.name) for f in fields(value)}
            kept = {name: one for name, one in named.items() if shared is None or not isinstance(one, shared)}
            walked = {name: walk(one, _below(place, name)) for name, one in kept.items()}
            return {name: walked[name] for name in kept if not isinstance(kept[name], np.ndarray | bytes)}
        if isinstance(value, Mapping):
            return {name: walk(one, _below(place, name)) for name, one in value.items()}
        if isinstance(value, tuple):
            return [walk(one, place) for one in value]
        return value

    flat.json = walk(part, "")
    return flat


def build(
    part_type: type[T],
    json: Any,  # noqa: ANN401 - of a file
    array: Callable[[str], np.ndarray] | None = None,
    graph: Callable[[str], bytes] | None = None,
    shared: object | None = None,
) -> T:
    """Builds a part from what `flatten` gave.

    Args:
        part_type: the dataclass.
        json: its JSON.
        array: gives the array of a place.
        graph: gives the graph of a place.
        shared: the object that fields of its type hold.

    Raises:
        ValueError: the JSON is not of the annotated types; the message says where.
        KeyError: an array or graph is missing.
    """

    def walk(kind: Any, value: Any, place: str) -> Any:  # noqa: ANN401
        if shared is not None and kind is type(shared):
            return shared
        if kind is np.ndarray and array is not None:
            return array(place)
        if kind is bytes and graph is not None:
            return graph(place)
        if kind is Any:
            return value
        origin, arguments = get_origin(kind), get_args(kind)
        if origin in (Union, types.UnionType):
            (kind,) = (one for one in arguments if one is not type(None))
            return None if value is None else walk(kind, value, place)
        if isinstance(kind, type) and is_dataclass(kind):
            _check(isinstance(value, Mapping), place, "an object", value)
            hints = get_type_hints(kind)
            named = {f.name: walk(hints[f.name], value.get(f.name), _below(place, f.name)) for f in fields(kind)}
            return kind(**named)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            _check(isinstance(value, Mapping), place, "an object", value)
            return {name: walk(arguments[1], one, _below(place, name)) for name, one in value.items()}
        if origin is tuple:
            _check(isinstance(value, list), place, "a list", value)
            return tuple(walk(arguments[0], one, place) for one in value)
        _check(type(value) is kind or (kind is float and type(value) is int), place, kind.__name__, value)
        return kind(value)

    return walk(part_type, json, "")


def _below(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


def _check(is_right: bool, place: str, expected: str, value: object) -> None:
    if not is_right:
        raise ValueError(f"expected {expected} at {place or 'the top'}, got {str(value)[:40]!r}")
