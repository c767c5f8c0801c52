"""Typed parts as arrays, graphs and JSON, and back: what is stored follows from the annotations of dataclasses.

A part is a dataclass of arrays, graphs (bytes), strings, numbers, tuples, mappings by name and further dataclasses.
Arrays and graphs are named by where they stand, e.g. "by_task/type/offset"; everything else becomes JSON.

Annotations are also what is checked when a part is read: types, the `Shape` of arrays, the `Keys` of mappings. Numbers
have to be finite. Whatever else must hold of a part, its dataclass checks in `__post_init__`, by a ValueError.
"""

import math
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

T = TypeVar("T")
MAX_TEXT = 10_000  # characters
MAX_WHOLE = 2**63


@dataclass(frozen=True)
class Shape:
    """Annotates the shape of an array, or the length of a tuple.

    Attributes:
        sides: a number for a side of that length; a letter stands for the same length throughout a dataclass; "1|x"
            for either.
    """

    sides: tuple[int | str, ...]

    def __init__(self, *sides: int | str) -> None:
        object.__setattr__(self, "sides", sides)


@dataclass(frozen=True)
class Keys:
    """Annotates which keys a mapping has, all of them."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


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


def flatten(part: object) -> Flat:
    """Flattens a part, a dataclass."""
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
            walked = {name: walk(one, _below(place, name)) for name, one in named.items()}
            return {name: walked[name] for name in named if not isinstance(named[name], np.ndarray | bytes)}
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
) -> T:
    """Builds a part from what `flatten` gave.

    Args:
        part_type: the dataclass.
        json: its JSON. What it lacks takes the default of its field, if there is one.
        array: gives the array of a place.
        graph: gives the graph of a place.

    Raises:
        ValueError: it is not as annotated; the message says where.
        KeyError: an array or graph is missing.
    """

    def walk(kind: Any, value: Any, place: str) -> Any:  # noqa: ANN401
        kind, *notes = get_args(kind) if get_origin(kind) is Annotated else (kind,)
        if kind is np.ndarray and array is not None:
            return _checked_array(array(place), place)
        if kind is bytes and graph is not None:
            return graph(place)
        if kind is Any:
            return _checked_plain(value, place)
        origin, arguments = get_origin(kind), get_args(kind)
        if origin in (Union, types.UnionType):
            (kind,) = (one for one in arguments if one is not type(None))
            return None if value is None else walk(kind, value, place)
        if isinstance(kind, type) and is_dataclass(kind):
            _check(isinstance(value, Mapping), place, "an object", value)
            return _walk_fields(kind, value, place)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            _check(isinstance(value, Mapping), place, "an object", value)
            for keys in notes:
                names = ", ".join(map(str, value)) or "nothing"
                _check(set(value) == set(keys.names), place, ", ".join(keys.names), names)
            return {_checked_plain(n, place): walk(arguments[1], one, _below(place, n)) for n, one in value.items()}
        if origin is tuple:
            _check(isinstance(value, list), place, "a list", value)
            return tuple(walk(arguments[0], one, place) for one in value)
        _check(type(value) is kind or (kind is float and type(value) is int), place, kind.__name__, value)
        return kind(_checked_plain(value, place))

    def _walk_fields(kind: type, value: Mapping[str, Any], place: str) -> object:
        hints = get_type_hints(kind, include_extras=True)
        named = {}
        for f in fields(kind):
            if f.name in value or f.default is f.default_factory is MISSING:
                named[f.name] = walk(hints[f.name], value.get(f.name), _below(place, f.name))
        _check_shapes(hints, named, place)
        try:
            return kind(**named)
        except ValueError as error:
            raise ValueError(f"{error}, at {place or 'the top'}") from None

    return walk(part_type, json, "")


def _below(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


def _check(is_right: bool, place: str, expected: str, value: object) -> None:
    if not is_right:
        raise ValueError(f"expected {expected} at {place[:200] or 'the top'}, got {str(value)[:40]!r}")


def _checked_array(array: np.ndarray, place: str) -> np.ndarray:
    _check(array.dtype.kind == "f", place, "an array of real numbers", array.dtype)
    _check(bool(np.isfinite(array).all()), place, "finite numbers", "others")
    return array


def _checked_plain(value: Any, place: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """A value of JSON, or of any depth, whose numbers are finite and whose texts can be shown."""
    match value:
        case float():
            _check(math.isfinite(value), place, "a finite number", value)
        case bool():
            pass
        case int():
            _check(-MAX_WHOLE <= value <= MAX_WHOLE, place, "a whole number of 64 bits", f"one of {value.bit_length()}")
        case str():
            _check(len(value) <= MAX_TEXT, place, f"a text of at most {MAX_TEXT} characters", f"{len(value)} of them")
            _check(not any(0xD800 <= ord(c) < 0xE000 for c in value), place, "text", ascii(value))
        case Mapping():
            for name, one in value.items():
                _checked_plain(name, place)
                _checked_plain(one, _below(place, name))
        case list():
            for one in value:
                _checked_plain(one, place)
    return value


def _check_shapes(hints: Mapping[str, Any], named: Mapping[str, Any], place: str) -> None:
    """Checks the fields of a dataclass that a `Shape` is noted for."""
    lengths: dict[str, int] = {}
    for name, value in named.items():
        for shape in getattr(hints[name], "__metadata__", ()):
            if not isinstance(shape, Shape) or value is None:
                continue
            got = value.shape if isinstance(value, np.ndarray) else (len(value),)
            fits = len(got) == len(shape.sides)
            for side, length in zip(shape.sides, got, strict=False):
                either = str(side).removeprefix("1|")
                if either != str(side) and length == 1:
                    continue
                fits = fits and length == (side if isinstance(side, int) else lengths.setdefault(either, length))
            expected = ", ".join(f"{s} = {lengths[s]}" if s in lengths else str(s) for s in shape.sides)
            _check(fits, _below(place, name), f"the shape ({expected})", got)
