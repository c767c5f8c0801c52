"""ONNX graphs: read, checked and opened. Whoever made a bundle may have written anything into its graphs.

A graph is data that an engine in C++ follows, so it is looked at before: it may hold the fields, operators and types
named here and nothing else, hence no loops, no functions and no files outside of it; every operator's shape follows
from those before it, so that memory and time are known; trees are trees. Then a forest is arrays, and ONNX Runtime
opens a network.

The format is Protocol Buffers (https://protobuf.dev/programming-guides/encoding), the messages are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto; training writes them with the package `onnx`, which the app does
without.

Legend: n photos or pairs, w numbers in a forest's row, s pixels a side, l numbers that a network gives.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from cbir.errors import BundleError

MAX_BYTES = 256 * 2**20  # of a graph
MAX_NODES = 2_000
MAX_MULTIPLICATIONS = 20e9  # for a photo: VGG16 takes 15e9, EfficientNet-Lite0 .4e9
MAX_NUMBERS = 4_000_000  # in one tensor for a photo: 512 MB in a batch of 32
MAX_ALL_NUMBERS = 100_000_000  # in all tensors for a photo


# --- Protocol Buffers ---

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
IGNORED = None  # a field that changes nothing, e.g. documentation


@dataclass(frozen=True)
class _Field:
    """A field of a message.

    Attributes:
        name: of it.
        kind: "int", "float", "text", "bytes", or the name of a message.
        is_repeated: whether it may come any number of times.
    """

    name: str
    kind: str
    is_repeated: bool = False


def _many(name: str, kind: str) -> _Field:
    return _Field(name, kind, is_repeated=True)


# What a graph may hold, by message and number. What is missing here is refused: functions, graphs inside of graphs,
# sparse tensors, data in other files.
_MESSAGES: dict[str, dict[int, _Field | None]] = {
    "model": {
        **{1: _Field("ir_version", "int"), 7: _Field("graph", "graph"), 8: _many("opsets", "opset")},
        **dict.fromkeys((2, 3, 4, 5, 6, 14), IGNORED),
    },
    "opset": {1: _Field("domain", "text"), 2: _Field("version", "int")},
    "graph": {
        **{1: _many("nodes", "node"), 5: _many("constants", "tensor")},
        **{11: _many("inputs", "value"), 12: _many("outputs", "value")},
        **dict.fromkeys((2, 10, 13, 16), IGNORED),
    },
    "node": {
        **{1: _many("inputs", "text"), 2: _many("outputs", "text"), 4: _Field("operator", "text")},
        **{5: _many("attributes", "attribute"), 7: _Field("domain", "text")},
        **dict.fromkeys((3, 6, 9), IGNORED),
    },
    "attribute": {
        **{1: _Field("name", "text"), 2: _Field("f", "float"), 3: _Field("i", "int"), 4: _Field("s", "text")},
        **{7: _many("floats", "float"), 8: _many("ints", "int"), 9: _many("strings", "text")},
        **dict.fromkeys((13, 20), IGNORED),
    },
    "tensor": {
        **{1: _many("dims", "int"), 2: _Field("type", "int"), 8: _Field("name", "text"), 9: _Field("raw", "bytes")},
        **{4: _many("floats", "float"), 5: _many("ints32", "int"), 7: _many("ints64", "int")},
        12: IGNORED,
    },
    "value": {1: _Field("name", "text"), 2: _Field("type", "type"), **dict.fromkeys((3, 4), IGNORED)},
    "type": {1: _Field("tensor", "tensor type"), 6: IGNORED},
    "tensor type": {1: _Field("type", "int"), 2: _Field("shape", "shape")},
    "shape": {1: _many("dims", "dim")},
    "dim": {1: _Field("value", "int"), 2: _Field("name", "text"), 3: IGNORED},
}
_WIRES = {"int": VARINT, "float": FIXED32}


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends."""
    value = shift = 0
    for place in range(at, min(at + 10, len(data))):
        value |= (data[place] & 0x7F) << shift
        if data[place] < 0x80:
            return value, place + 1
        shift += 7
    raise ValueError("is cut short")


def _signed(value: int) -> int:
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


def _message(data: bytes, kind: str) -> dict[str, Any]:
    """Reads a message: fields by name; repeated ones as lists, or arrays of numbers."""
    known = _MESSAGES[kind]
    found: dict[str, Any] = {field.name: [] for field in known.values() if field is not None and field.is_repeated}
    at = 0
    while at < len(data):
        start = at
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number not in known:
            raise ValueError(f"holds field {number} of the message {kind}, which is not allowed")
        field = known[number]
        if field is not None and field.is_repeated and wire == _WIRES.get(field.kind) and tag < 0x80:
            values, at = _run(data, start, tag, wire)
            found[field.name].append(values)
            continue
        if wire == VARINT:
            value, at = _varint(data, at)
            content: Any = _signed(value)
        elif wire in (BYTES, FIXED32, FIXED64):
            length = {FIXED32: 4, FIXED64: 8}.get(wire)
            if length is None:
                length, at = _varint(data, at)
            content, at = data[at : at + length], at + length
            if at > len(data):
                raise ValueError("is cut short")
        else:
            raise ValueError(f"holds a field of type {wire}, which is not allowed")
        if field is None:
            continue
        read = _content(content, field, wire)
        if field.is_repeated:
            found[field.name].append(read)
        elif field.name in found:
            raise ValueError(f"holds the {field.name} of the message {kind} twice")
        else:
            found[field.name] = read
    for field in known.values():
        if field is not None and field.is_repeated and field.kind in _WIRES:
            runs = found[field.name]
            dtype = np.int64 if field.kind == "int" else np.float32
            found[field.name] = np.concatenate(runs) if runs else np.empty(0, dtype)
    return found


def _content(content: Any, field: _Field, wire: int) -> Any:  # noqa: ANN401 - by the field
    if field.is_repeated and field.kind in _WIRES and wire == BYTES:  # packed
        if field.kind == "float":
            if len(content) % 4:
                raise ValueError("is cut short")
            return np.frombuffer(content, "<f4")
        numbers, at = [], 0
        while at < len(content):
            value, at = _varint(content, at)
            numbers.append(_signed(value))
        return np.array(numbers, np.int64)
    if wire != _WIRES.get(field.kind, BYTES):
        raise ValueError(f"holds a {field.name} of another type")
    if field.kind == "int" or field.kind == "bytes":
        return content
    if field.kind == "float":
        return float(np.frombuffer(content, "<f4")[0])
    if field.kind == "text":
        return content.decode()
    return _message(content, field.kind)


def _run(data: bytes, start: int, tag: int, wire: int) -> tuple[np.ndarray, int]:
    """Numbers that each have the tag before them, as forests store ten thousands -> (m,), and where they end."""
    rest = np.frombuffer(data, np.uint8, offset=start)
    if wire == FIXED32:
        whole = rest[: len(rest) // 5 * 5].reshape(-1, 5)
        others = np.flatnonzero(whole[:, 0] != tag)
        m = int(others[0]) if len(others) else len(whole)
        if not m:
            raise ValueError("is cut short")
        return np.ascontiguousarray(whole[:m, 1:]).view("<f4")[:, 0], start + 5 * m
    # A number ends with the first byte below 0x80; so does each tag, which is one byte.
    ends = np.flatnonzero(rest < 0x80)
    tags, lasts = ends[: len(ends) // 2 * 2 : 2], ends[1::2]
    before = np.concatenate([[-1], lasts[:-1]])
    others = np.flatnonzero((rest[tags] != tag) | (tags != before + 1))
    m = int(others[0]) if len(others) else len(tags)
    if not m:
        raise ValueError("is cut short")
    first, lengths = tags[:m] + 1, lasts[:m] - tags[:m]
    if lengths.max() > 10:
        raise ValueError("is cut short")
    values = np.zeros(m, np.uint64)
    for digit in range(int(lengths.max())):
        has = lengths > digit
        values[has] |= (rest[first[has] + digit] & 0x7F).astype(np.uint64) << np.uint64(7 * digit)
    return values.view(np.int64), start + int(lasts[m - 1]) + 1


# --- graphs ---

_TYPES: dict[int, np.dtype] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
}
_FLOAT = 1
_Shape = tuple[int, ...]
Attribute = int | float | str | list[str] | np.ndarray


@dataclass(frozen=True)
class _Node:
    """An operator, with what it takes and gives, by name."""

    operator: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True)
class _Graph:
    """What a model does.

    Attributes:
        nodes: in the order in which they are run.
        constants: by name.
        inputs: type and shape by name; None for a side that may be of any length.
        outputs: likewise.
    """

    nodes: Sequence[_Node]
    constants: Mapping[str, np.ndarray]
    inputs: Mapping[str, tuple[int, tuple[int | None, ...]]]
    outputs: Mapping[str, tuple[int, tuple[int | None, ...]]]


def _read(data: bytes, operators: Mapping[str, frozenset[str]]) -> _Graph:
    """Reads a graph.

    Args:
        data: the file.
        operators: those that it may hold, and the attributes that each may have.

    Raises:
        ValueError: it is no graph, or holds what is not allowed.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"has {len(data)} bytes, expected at most {MAX_BYTES}")
    graph = _message(data, "model").get("graph")
    if graph is None:
        raise ValueError("holds no graph")
    if len(graph["nodes"]) > MAX_NODES:
        raise ValueError(f"has {len(graph['nodes'])} operators, expected at most {MAX_NODES}")
    constants = {tensor.get("name", ""): _array(tensor) for tensor in graph["constants"]}
    nodes = [_node(node, operators) for node in graph["nodes"]]
    ends = [{value.get("name", ""): _type(value) for value in graph[side]} for side in ("inputs", "outputs")]
    names = [*constants, *ends[0], *(name for node in nodes for name in node.outputs)]
    if len(set(names)) != len(graph["constants"]) + len(graph["inputs"]) + sum(len(node.outputs) for node in nodes):
        raise ValueError("gives a name twice")
    return _Graph(nodes, constants, *ends)


def _node(node: Mapping[str, Any], operators: Mapping[str, frozenset[str]]) -> _Node:
    domain, operator = node.get("domain", ""), node.get("operator", "")
    if domain not in ("", "ai.onnx", "ai.onnx.ml") or operator not in operators:
        allowed = ", ".join(sorted(operators))
        raise ValueError(f"holds the operator {operator[:40]!r}, expected one of {allowed}")
    attributes: dict[str, Attribute] = {}
    for attribute in node["attributes"]:
        name = attribute.get("name", "")
        if name not in operators[operator] or name in attributes:
            raise ValueError(f"holds the attribute {name[:40]!r} of {operator}, which is not allowed")
        values = [attribute[key] for key in ("i", "f", "s") if key in attribute]
        values += [attribute[key] for key in ("ints", "floats", "strings") if len(attribute[key])]
        if len(values) != 1:
            raise ValueError(f"holds {len(values)} values of the attribute {name}, expected one")
        attributes[name] = values[0]
    return _Node(operator, node["inputs"], node["outputs"], attributes)


def _array(tensor: Mapping[str, Any]) -> np.ndarray:
    """A constant."""
    name, shape = tensor.get("name", ""), tuple(map(int, tensor["dims"]))
    if tensor.get("type") not in _TYPES:
        raise ValueError(f"holds the constant {name[:40]!r} of a type that is not allowed")
    dtype = _TYPES[tensor["type"]]
    if "raw" in tensor:
        if len(tensor["raw"]) % dtype.itemsize:
            raise ValueError("is cut short")
        values = np.frombuffer(tensor["raw"], dtype)
    else:
        kind = {_FLOAT: "floats", 7: "ints64"}.get(tensor["type"], "ints32")
        values = np.asarray(tensor[kind])
        if dtype.kind != "f" and (values != values.astype(dtype)).any():
            raise ValueError(f"holds the constant {name[:40]!r} of numbers out of range")
        values = values.astype(dtype)
    if min(shape, default=1) < 0 or math.prod(shape) != len(values):
        raise ValueError(f"holds the constant {name[:40]!r} of {len(values)} numbers, expected {list(shape)}")
    if not np.isfinite(values).all():
        raise ValueError(f"holds numbers in {name[:40]!r} that are not finite")
    return values.reshape(shape)


def _type(value: Mapping[str, Any]) -> tuple[int, tuple[int | None, ...]]:
    tensor = value.get("type", {}).get("tensor")
    if tensor is None or "shape" not in tensor:
        raise ValueError(f"says nothing of the shape of {value.get('name', '')[:40]!r}")
    return tensor.get("type", 0), tuple(dim.get("value") for dim in tensor["shape"]["dims"])


# --- forests ---

_NODES = ("nodes_treeids", "nodes_nodeids", "nodes_truenodeids", "nodes_falsenodeids", "nodes_featureids")
_NODES_BESIDE = ("nodes_values", "nodes_modes")
_NODES_OPTIONAL = ("nodes_hitrates", "nodes_missing_value_tracks_true")
_CLASSES = ("class_treeids", "class_nodeids", "class_ids", "class_weights")
FOREST = {
    "TreeEnsembleClassifier": frozenset(
        [*_NODES, *_NODES_BESIDE, *_NODES_OPTIONAL, *_CLASSES, "classlabels_int64s", "post_transform"]
    )
}


@dataclass(frozen=True)
class Trees:
    """A Random Forest of two classes: the n nodes of t trees, one tree after the other.

    Attributes:
        width: w, numbers in a row.
        feature: (n,) int32, the number that a node looks at.
        threshold: (n,) float32: a row whose number is at most this goes to the left.
        left: (n,) int32, place of the left child; -1 in a leaf.
        right: (n,) int32, place of the right child; -1 in a leaf.
        value: (n,) float64, what a leaf adds to the probability of the second class.
        roots: (t,) int32, places.
    """

    width: int
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    roots: np.ndarray


@lru_cache(maxsize=16)
def open_forest(data: bytes) -> Trees:
    """Reads a Random Forest: "X" (n, w) float32 -> "probabilities" (n, 2).

    Raises:
        BundleError: it is something else; the message says what.
    """
    try:
        graph = _read(data, FOREST)
        if list(graph.inputs) != ["X"] or "probabilities" not in graph.outputs or len(graph.nodes) != 1:
            raise ValueError("is no forest: expected one operator from X to probabilities")
        kind, shape = graph.inputs["X"]
        if kind != _FLOAT or len(shape) != 2 or shape[0] is not None or not shape[1]:
            raise ValueError(f"takes rows of shape {shape}, expected one length")
        _check_forest(graph.nodes[0].attributes, int(shape[1]))
        return _trees(graph.nodes[0].attributes, int(shape[1]))
    except (ValueError, OverflowError) as error:
        raise BundleError(f"the forest {error}: build the bundle again") from error


def _trees(found: Mapping[str, Attribute], width: int) -> Trees:
    """What was checked, as arrays."""
    columns = {name: np.asarray(found[name]) for name in (*_NODES, *_NODES_BESIDE, *_CLASSES)}
    trees, ids = columns["nodes_treeids"], columns["nodes_nodeids"]
    order = np.lexsort((ids, trees))  # places follow from it: the root of a tree is its first node
    keys = (trees * (len(ids) + 1) + ids)[order]

    def places(of_trees: np.ndarray, of_nodes: np.ndarray) -> np.ndarray:
        return np.searchsorted(keys, of_trees * (len(ids) + 1) + of_nodes)

    branch = columns["nodes_modes"][order] == "BRANCH_LEQ"
    left, right = (
        np.where(branch, places(trees[order], columns[side][order]), -1).astype(np.int32)
        for side in ("nodes_truenodeids", "nodes_falsenodeids")
    )
    # Where leaves tell of one class alone, it is the second, whatever its number: so says the operator.
    is_second = columns["class_ids"] == columns["class_ids"].max()
    value = np.zeros(len(ids))
    of_leaves = places(columns["class_treeids"][is_second], columns["class_nodeids"][is_second])
    np.add.at(value, of_leaves, columns["class_weights"][is_second].astype(np.float64))
    return Trees(
        width,
        columns["nodes_featureids"][order].astype(np.int32),
        columns["nodes_values"][order].astype(np.float32),
        left,
        right,
        value,
        np.flatnonzero(np.r_[True, np.diff(trees[order]) != 0]).astype(np.int32),
    )


def _check_forest(found: Mapping[str, Attribute], width: int) -> None:
    """Checks that every tree is one, and looks at no number that a row does not have."""
    nodes = {name: np.asarray(found.get(name, [])) for name in (*_NODES, *_NODES_BESIDE)}
    n = len(nodes["nodes_nodeids"])
    sizes = {name: len(values) for name, values in nodes.items()}
    sizes |= {name: len(np.asarray(found[name])) for name in _NODES_OPTIONAL if name in found}
    if not n or set(sizes.values()) != {n}:
        raise ValueError(f"has nodes of different numbers ({sizes})")
    if any(nodes[name].dtype != np.int64 for name in _NODES):
        raise ValueError("has nodes that are not whole numbers")
    if not np.isfinite(nodes["nodes_values"].astype(np.float64)).all():
        raise ValueError("splits at numbers that are not finite")
    modes = nodes["nodes_modes"]
    if not np.isin(modes, ["BRANCH_LEQ", "LEAF"]).all():
        raise ValueError(f"has nodes of the kind {str(modes[~np.isin(modes, ['BRANCH_LEQ', 'LEAF'])][0])[:40]!r}")
    trees, ids = nodes["nodes_treeids"], nodes["nodes_nodeids"]
    if min(trees.min(), ids.min()) < 0 or max(trees.max(), ids.max()) > n:
        raise ValueError("numbers its nodes beyond their number")
    branch = modes == "BRANCH_LEQ"
    features = nodes["nodes_featureids"][branch]
    if len(features) and not 0 <= features.min() <= features.max() < width:
        raise ValueError(f"looks at number {features.max()} of rows of {width}")

    def places(of_trees: np.ndarray, of_nodes: np.ndarray) -> np.ndarray:
        return of_trees * (n + 1) + of_nodes

    children = []
    for side in ("nodes_truenodeids", "nodes_falsenodeids"):
        below = nodes[side][branch]
        # As they are numbered from above, no path comes back to where it was.
        if len(below) and not ((below > ids[branch]) & (below <= n)).all():
            raise ValueError("has a branch that leads back, or nowhere")
        children.append(places(trees[branch], below))
    own = places(trees, ids)
    roots = places(trees, np.zeros_like(ids))
    expected = np.sort(np.concatenate([*children, np.unique(roots)]))
    if len(np.unique(own)) != n or not np.array_equal(np.sort(own), expected):
        raise ValueError("has nodes that are not one tree each")
    _check_classes(found, np.sort(own[~branch]), places)


def _check_classes(
    found: Mapping[str, Attribute], leaves: np.ndarray, places: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> None:
    """Checks what leaves say."""
    columns = {name: np.asarray(found.get(name, [])) for name in _CLASSES}
    trees, ids, classes, weights = columns.values()
    if len({len(column) for column in columns.values()}) != 1 or any(
        c.dtype != np.int64 for c in (trees, ids, classes)
    ):
        raise ValueError("has leaves of different numbers")
    if not len(ids) or min(trees.min(), ids.min()) < 0 or not np.isin(places(trees, ids), leaves).all():
        raise ValueError("has a class at what is no leaf")
    if list(np.asarray(found.get("classlabels_int64s", []))) != [0, 1] or not np.isin(classes, [0, 1]).all():
        raise ValueError("tells other classes than 0 and 1")
    if not np.isfinite(weights.astype(np.float64)).all():
        raise ValueError("has probabilities that are not finite")
    if found.get("post_transform", "NONE") != "NONE":
        raise ValueError("changes its probabilities afterwards")


# --- networks ---

NETWORK: dict[str, frozenset[str]] = {
    "Conv": frozenset(["strides", "dilations", "pads", "kernel_shape", "group", "auto_pad"]),
    "Clip": frozenset(),
    "Relu": frozenset(),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), frozenset()),
    "ReduceMean": frozenset(["axes", "keepdims", "noop_with_empty_axes"]),
    "GlobalAveragePool": frozenset(),
    "Flatten": frozenset(["axis"]),
    "QuantizeLinear": frozenset(["axis"]),
    "DequantizeLinear": frozenset(["axis"]),
}


def open_network(data: bytes) -> tuple[Any, int, int]:
    """Opens a network: "pixels" (n, 3, s, s) float32 -> "features" (n, l) float32, by one thread.

    Returns:
        The session, s and l.

    Raises:
        BundleError: it is something else, or too large; the message says what.
    """
    try:
        graph = _read(data, NETWORK)
        kind, shape = graph.inputs.get("pixels", (0, ()))
        if len(graph.inputs) != 1 or kind != _FLOAT or len(shape) != 4 or shape[:2] != (None, 3):
            raise ValueError(f"takes {_shown(graph.inputs)}, expected pixels (n, 3, s, s): squares of 3 channels")
        if shape[2] is None or shape[2] != shape[3]:
            raise ValueError(f"takes {_shown(graph.inputs)}, expected squares of 3 channels")
        given = _walk(graph, {"pixels": (1, 3, int(shape[2]), int(shape[2]))})
        if list(graph.outputs) != ["features"] or len(given.get("features", ())) != 2 or given["features"][0] != 1:
            raise ValueError(f"gives {_shown(graph.outputs)}, expected features (n, l)")
        dim = given["features"][1]
        if graph.outputs["features"] != (_FLOAT, (None, dim)):
            raise ValueError(f"says that it gives {_shown(graph.outputs)}, but it gives {dim} numbers")
    except (ValueError, OverflowError, KeyError, IndexError) as error:
        what = f"misses {error}" if isinstance(error, KeyError) else error
        raise BundleError(f"the color network {what}: build the bundle again") from error
    return _session(data), int(shape[2]), dim


def _shown(ends: Mapping[str, tuple[int, tuple[int | None, ...]]]) -> str:
    parts = (
        f"{name[:40]} ({', '.join('n' if side is None else str(side) for side in shape)})"
        for name, (_, shape) in ends.items()
    )
    return ", ".join(parts) or "nothing"


def _walk(graph: _Graph, inputs: Mapping[str, _Shape]) -> dict[str, _Shape]:
    """Follows shapes, for one photo, through a network -> the shape of everything in it, by name.

    Raises:
        ValueError: shapes do not fit, or it would take too much.
    """
    shapes = {**{name: array.shape for name, array in graph.constants.items()}, **inputs}
    numbers = float(sum(map(math.prod, inputs.values())))
    multiplications = 0.0
    for node in graph.nodes:
        taken = [shapes[name] for name in node.inputs if name]
        constants = [graph.constants.get(name) for name in node.inputs]
        if len(node.outputs) != 1 or not taken:
            raise ValueError(f"has {node.operator} with {len(node.outputs)} outputs and {len(taken)} inputs")
        shape = _given(node, taken, constants)
        size = max(math.prod(shape), math.prod(taken[0]))
        if size > MAX_NUMBERS:
            raise ValueError(f"takes or makes {size} numbers at once, expected at most {MAX_NUMBERS}")
        numbers += size
        if node.operator == "Conv":
            multiplications += size * math.prod(taken[1][1:])
        shapes[node.outputs[0]] = shape
    if numbers > MAX_ALL_NUMBERS or multiplications > MAX_MULTIPLICATIONS:
        raise ValueError(
            f"takes {multiplications:.2g} multiplications and {numbers:.2g} numbers for a photo, expected at most "
            f"{MAX_MULTIPLICATIONS:.2g} and {MAX_ALL_NUMBERS:.2g}"
        )
    return shapes


def _given(node: _Node, taken: Sequence[_Shape], constants: Sequence[np.ndarray | None]) -> _Shape:
    """The shape that an operator gives."""
    operator, first = node.operator, taken[0]
    match operator:
        case "Conv":
            return _convolved(node, taken)
        case "Clip" | "Relu":
            if any(math.prod(shape) != 1 for shape in taken[1:]):
                raise ValueError(f"has {operator} with limits that are not one number")
            return first
        case "Add" | "Sub" | "Mul" | "Div":
            if len(taken) != 2:
                raise ValueError(f"has {operator} of {len(taken)} parts")
            if operator == "Div" and constants[1] is not None and (constants[1] == 0).any():
                raise ValueError("divides by zero")
            return np.broadcast_shapes(*taken)
        case "ReduceMean":
            return _averaged(node, first, constants)
        case "GlobalAveragePool":
            return (*first[:2], 1, 1) if len(first) == 4 else _unfit(operator, first)
        case "Flatten":
            axis = node.attributes.get("axis", 1)
            return (first[0], math.prod(first[1:])) if axis == 1 and first else _unfit(operator, first)
        case "QuantizeLinear" | "DequantizeLinear":
            return _quantized(node, taken, constants)
    raise AssertionError(operator)  # `NETWORK` names them all


def _unfit(operator: str, shape: _Shape) -> _Shape:
    raise ValueError(f"has {operator} of shape {shape}")


def _ints(node: _Node, name: str, default: Sequence[int], low: int, high: int) -> list[int]:
    found = node.attributes.get(name, np.array(default))
    if not isinstance(found, np.ndarray) or found.dtype.kind != "i" or len(found) != len(default):
        raise ValueError(f"has {node.operator} with {name} that are not {len(default)} whole numbers")
    if found.min() < low or found.max() > high:
        raise ValueError(f"has {node.operator} with {name} {found.tolist()}, expected {low} to {high}")
    return found.tolist()


def _convolved(node: _Node, taken: Sequence[_Shape]) -> _Shape:
    pixels, weights, *bias = taken
    if len(pixels) != 4 or len(weights) != 4 or len(bias) > 1 or (bias and bias[0] != weights[:1]):
        raise ValueError(f"has a convolution of shapes {list(taken)}")
    if node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
        raise ValueError("has a convolution that chooses its own padding")
    group, kernel = node.attributes.get("group", 1), weights[2:]
    if not isinstance(group, int) or group < 1 or weights[0] % group or pixels[1] != group * weights[1]:
        raise ValueError(f"has a convolution of shapes {list(taken)} in {group} groups")
    if tuple(_ints(node, "kernel_shape", kernel, 1, 1000)) != kernel or min(kernel) < 1:
        raise ValueError("has a convolution of two kernels")
    steps, dilations = _ints(node, "strides", (1, 1), 1, 1000), _ints(node, "dilations", (1, 1), 1, 1000)
    pads = _ints(node, "pads", (0, 0, 0, 0), 0, 1000)
    sides = [
        (pixels[2 + i] + pads[i] + pads[2 + i] - dilations[i] * (kernel[i] - 1) - 1) // steps[i] + 1 for i in (0, 1)
    ]
    if min(sides) < 1:
        raise ValueError("has a convolution that gives nothing")
    return (pixels[0], weights[0], *sides)


def _averaged(node: _Node, shape: _Shape, constants: Sequence[np.ndarray | None]) -> _Shape:
    axes = node.attributes.get("axes", constants[1] if len(constants) > 1 else None)
    keep, noop = node.attributes.get("keepdims", 1), node.attributes.get("noop_with_empty_axes", 0)
    if not isinstance(axes, np.ndarray) or axes.ndim != 1 or axes.dtype.kind != "i" or noop != 0 or keep not in (0, 1):
        raise ValueError("has a mean over axes that are not named")
    over = {int(axis) + len(shape) if axis < 0 else int(axis) for axis in axes}
    if not over or len(over) != len(axes) or not over <= set(range(1, len(shape))):
        raise ValueError(f"has a mean over the axes {axes.tolist()} of {len(shape)}")
    return tuple(1 if i in over else side for i, side in enumerate(shape) if keep or i not in over)


def _quantized(node: _Node, taken: Sequence[_Shape], constants: Sequence[np.ndarray | None]) -> _Shape:
    shape, scale, *zero = taken
    steps = constants[1]
    if steps is None or steps.dtype.kind != "f" or not (steps > 0).all():
        raise ValueError(f"has {node.operator} with steps that are not positive")
    axis = node.attributes.get("axis", 1)
    is_by_channel = isinstance(axis, int) and -len(shape) <= axis < len(shape) and scale == (shape[axis],)
    if (scale not in ((), (1,)) and not is_by_channel) or len(zero) > 1 or (zero and zero[0] != scale):
        raise ValueError(f"has {node.operator} of shapes {list(taken)}")
    return shape


def onnx_runtime() -> Any:  # noqa: ANN401 - it comes without types
    """Imports ONNX Runtime without its telemetry.

    Its packages for Linux send events and an identifier of the machine to their maker, unless the environment says
    before the import that they should not.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    return onnxruntime


def _session(data: bytes) -> Any:  # noqa: ANN401 - onnxruntime has no typed session
    onnxruntime = onnx_runtime()
    options = onnxruntime.SessionOptions()
    # Threads that have nothing to do go on spinning and take the cores from the backbone.
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has many, without a common one of its own
        raise BundleError(f"ONNX Runtime cannot open the graph ({type(error).__name__}): build it again") from error
