"""ONNX graphs are read without the package onnx, and refused unless they hold what they should and nothing else."""

import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

from cbir import graphs
from cbir.errors import BundleError
from cbir.graphs import FOREST, MAX_NODES, open_forest, open_network
from tests.conftest import ROOT, onnx_mean
from tests.try_bundles import loop

WIDTH = 5


@pytest.fixture(scope="module")
def forest():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, WIDTH)).astype(np.float32)
    model = RandomForestClassifier(8, max_leaf_nodes=12, random_state=0).fit(x, x[:, 0] > 0.3 * x[:, 3])
    return to_onnx(model, x[:1], options={"zipmap": False}).SerializeToString(), x, model


def test_what_is_read_is_what_onnx_reads(forest):
    node = onnx.load_from_string(forest[0]).graph.node[0]
    expected = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    found = graphs._read(forest[0], FOREST).nodes[0].attributes
    assert found.keys() == expected.keys()
    for name, value in found.items():
        want = expected[name]
        if isinstance(want, list) and isinstance(want[0], bytes):
            want = [text.decode() for text in want]
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, np.array(want, value.dtype))
        else:
            assert value == (want.decode() if isinstance(want, bytes) else want)


@pytest.mark.parametrize("is_packed", [True, False])
def test_numbers_of_any_size_are_read(is_packed):
    values = [0, 1, 127, 128, 2**31, 2**40, 2**63 - 1, -1, -(2**63)]
    body = b"".join(graph_varint(v) if is_packed else b"\x40" + graph_varint(v) for v in values)
    data = b"\x42" + graph_varint(len(body)) + body if is_packed else body
    assert graphs._message(data, "attribute")["ints"].tolist() == values
    for cut in range(1, len(data)):  # a part is refused, or is fewer numbers
        try:
            read = graphs._message(data[:cut], "attribute")["ints"].tolist()
        except ValueError:
            continue
        assert read == values[: len(read)]
        assert not is_packed


def graph_varint(value):
    value, out = value & (2**64 - 1), bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def test_a_forest_says_what_it_said_before_it_was_stored(forest):
    data, x, model = forest
    trees = open_forest(data)
    assert trees.width == WIDTH
    assert len(trees.roots) == 8
    np.testing.assert_allclose([follow(trees, row) for row in x], model.predict_proba(x)[:, 1], atol=1e-6)


def follow(trees, row):
    """What the leaves that a row ends in add up to."""
    total = 0.0
    for node in trees.roots:
        while trees.left[node] >= 0:
            goes_left = row[trees.feature[node]] <= trees.threshold[node]
            node = trees.left[node] if goes_left else trees.right[node]
        total += trees.value[node]
    return total


def changed_forest(data, **attributes):
    """The forest with some attributes replaced; by what a function makes of the old."""
    model = onnx.load_from_string(data)
    node = model.graph.node[0]
    for name, change in attributes.items():
        (old,) = [a for a in node.attribute if a.name == name]
        value = change(list(helper.get_attribute_value(old)))
        node.attribute.remove(old)
        node.attribute.append(helper.make_attribute(name, value))
    return model.SerializeToString()


def put(at, value):
    return lambda old: [*old[:at], value, *old[at + 1 :]]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"nodes_truenodeids": put(0, 0)}, "leads back, or nowhere"),
        ({"nodes_truenodeids": put(0, 10**9)}, "leads back, or nowhere"),
        ({"nodes_falsenodeids": put(0, 1)}, "not one tree each"),
        ({"nodes_nodeids": put(1, 0)}, "not one tree each|at what is no leaf"),
        ({"nodes_featureids": put(0, WIDTH)}, f"looks at number {WIDTH} of rows of {WIDTH}"),
        ({"nodes_featureids": put(0, -1)}, "looks at number"),
        ({"nodes_values": put(0, float("nan"))}, "splits at numbers that are not finite"),
        ({"nodes_values": lambda old: old[:-1]}, "nodes of different numbers"),
        ({"nodes_modes": put(0, b"BRANCH_SIDEWAYS")}, "nodes of the kind 'BRANCH_SIDEWAYS'"),
        ({"nodes_treeids": put(3, 10**6)}, "beyond their number"),
        ({"class_nodeids": put(0, 0)}, "a class at what is no leaf"),
        ({"class_ids": put(0, 2)}, "other classes than 0 and 1"),
        ({"class_weights": put(0, float("inf"))}, "probabilities that are not finite"),
        ({"classlabels_int64s": lambda old: [0, 1, 2]}, "other classes than 0 and 1"),
    ],
)
def test_what_is_no_forest_of_trees_is_refused(forest, attributes, message):
    with pytest.raises(BundleError, match=message):
        open_forest(changed_forest(forest[0], **attributes))


def network(*nodes, constants=(), shape=("n", 3, 8, 8), dim=3):
    """The graph of some nodes, from pixels to features."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", dim])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(constants).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def mean(source):
    return helper.make_node("ReduceMean", [source], ["features"], axes=[2, 3], keepdims=0)


def convolution(kernel, **attributes):
    nodes = helper.make_node("Conv", ["pixels", "w"], ["maps"], **attributes), mean("maps")
    return network(*nodes, constants={"w": np.ones(kernel, np.float32)}, dim=kernel[0])


def test_a_network_runs():
    session, side, dim = open_network(convolution((5, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2]).SerializeToString())
    assert (side, dim) == (8, 5)
    assert session.run(None, {"pixels": np.ones((2, 3, 8, 8), np.float32)})[0].shape == (2, 5)


def with_field(model, change):
    change(model)
    return model


def external(model):
    tensor = model.graph.initializer.add(name="outside", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")


ONE = np.ones((), np.float32)
INFINITE = ONE * np.float32("inf")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (convolution((3, 3, 3, 3), pads=[999] * 4), "kernel|numbers at once"),
        (convolution((2000, 3, 1, 1), pads=[500] * 4), "numbers at once, expected at most"),
        (convolution((3, 3, 3, 3), strides=[0, 1]), r"with strides \[0, 1\]"),
        (convolution((3, 3, 3, 3), dilations=[1, 2**40]), "with dilations"),
        (convolution((3, 3, 9, 9)), "gives nothing"),
        (convolution((3, 3, 3, 3), group=2), "in 2 groups"),
        (convolution((3, 3, 3, 3), group=0), "in 0 groups"),
        (convolution((3, 3, 3, 3), auto_pad="SAME_UPPER"), "chooses its own padding"),
        (convolution((3, 3, 3, 3), kernel_shape=[1, 1]), "two kernels"),
        (
            network(helper.make_node("Expand", ["pixels", "s"], ["maps"]), mean("maps")),
            "operator 'Expand', expected one",
        ),
        (network(helper.make_node("Relu", ["gone"], ["maps"]), mean("maps")), "misses 'gone'"),
        (network(mean("pixels"), helper.make_node("Relu", ["pixels"], ["features"])), "gives a name twice"),
        (
            network(helper.make_node("Div", ["pixels", "z"], ["maps"]), mean("maps"), constants={"z": 0 * ONE}),
            "divides by zero",
        ),
        (
            network(
                helper.make_node("Add", ["pixels", "z"], ["maps"]),
                mean("maps"),
                constants={"z": ONE * np.float32("inf")},
            ),
            "'z' that are not finite",
        ),
        (
            network(helper.make_node("QuantizeLinear", ["pixels", "z"], ["maps"]), mean("maps"), constants={"z": -ONE}),
            "steps that are not positive",
        ),
        (network(helper.make_node("ReduceMean", ["pixels"], ["features"])), "mean over axes that are not named"),
        (network(mean("pixels"), dim=7), r"says that it gives features \(n, 7\), but it gives 3 numbers"),
        (network(mean("pixels"), shape=("n", 3, 4000, 4000)), "numbers at once"),
        (
            network(*[helper.make_node("Relu", ["pixels"], [str(n)]) for n in range(MAX_NODES + 1)]),
            "operators, expected at",
        ),
        (with_field(network(mean("pixels")), external), "holds field 13 of the message tensor, which is not allowed"),
        (
            with_field(network(mean("pixels")), lambda model: model.functions.add(name="f")),
            "field 25 of the message model",
        ),
        (
            with_field(network(mean("pixels")), lambda model: model.graph.sparse_initializer.add()),
            "field 15 of the message graph",
        ),
    ],
)
def test_what_is_no_small_network_is_refused(model, message):
    with pytest.raises(BundleError, match=message):
        open_network(model.SerializeToString())


def test_a_loop_is_refused_before_it_runs():
    for open_ in (open_forest, open_network):
        with pytest.raises(BundleError, match=r"field 6 of the message attribute|operator 'Loop'"):
            open_(loop(10**12))


def test_a_message_given_twice_is_refused():
    data = onnx_mean(["n", 3, 8, 8])
    start = data.index(b"\x3a")  # the graph: Protocol Buffers would join both
    with pytest.raises(BundleError, match="holds the graph of the message model twice"):
        open_network(data + data[start:])


NETWORKED = """
import sys
from cbir.features.color_network import ColorNetwork

ColorNetwork(open(sys.argv[1], "rb").read())
"""


def test_nobody_is_told_of_what_runs(tmp_path):
    """ONNX Runtime leaves an identifier of the machine in the home folder where it is let."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "graph.onnx").write_bytes(onnx_mean(["n", 3, 8, 8]))
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(ROOT)}
    call = [sys.executable, "-c", NETWORKED, str(tmp_path / "graph.onnx")]
    subprocess.run(call, cwd=home, env=environment, check=True, timeout=120)
    assert list(home.rglob("*")) == []
