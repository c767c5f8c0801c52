"""A color network learns, is stored as ONNX, and tells the same before and after."""

import numpy as np
import pytest
from PIL import Image

from cbir.errors import BundleError
from cbir.features.backbone import load_backbone
from cbir.features.color_network import ColorNetwork, letterbox
from tests.conftest import TOY_COLORS, TOY_SHAPES, onnx_mean, toy_photo
from train.fit import color_network
from train.fit.color_network import START, tune_color_network

# torch warns about its own deprecated parts while it is imported, and while it exports.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
ROWS = [(color, type, n) for color in TOY_COLORS for type in TOY_SHAPES for n in range(4)]


@pytest.fixture(scope="module")
def network():
    labels = {
        "color": np.array([color for color, _, _ in ROWS]),
        "type": np.array(["" if n == 0 else type for _, type, n in ROWS]),  # some are unknown
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(color_network, "EPOCHS", 3)
        patch.setattr("train.fit.augment.GROUNDS", 4)
        return tune_color_network([toy_photo(*row) for row in ROWS], labels, seed=0)


def separation(embedding):
    """Variance between colors as a share of all variance."""
    colors = np.array([color for color, _, _ in ROWS])
    means = np.stack([embedding[colors == color].mean(axis=0) for color in colors])
    return means.var(axis=0).sum() / embedding.var(axis=0).sum()


def test_it_separates_colors_that_it_learned(network):
    """On drawings that it has not seen, better than the network that it started from."""
    photos = [toy_photo(color, type, n + 50) for color, type, n in ROWS]
    embedding = network.embed(photos)
    assert embedding.shape == (len(ROWS), network.dim)
    assert embedding.dtype == np.float32
    start = load_backbone(START)
    untuned = ColorNetwork(color_network._to_onnx(start.network, start)).embed(photos)
    assert separation(embedding) > 1.5 * separation(untuned)


def test_the_later_half_learns_and_the_earlier_does_not():
    network = load_backbone(START).network
    color_network._freeze_earlier_half(network)
    learns = {name: parameter.requires_grad for name, parameter in network.named_parameters()}
    stages = {name: learning for name, learning in learns.items() if name.startswith("blocks.")}
    assert not learns["conv_stem.weight"]
    assert learns["conv_head.weight"]
    assert {name.split(".")[1] for name, learning in stages.items() if learning} == {"3", "4", "5", "6"}
    assert {name.split(".")[1] for name, learning in stages.items() if not learning} == {"0", "1", "2"}


def test_stored_and_loaded_it_tells_the_same(network):
    photos = [toy_photo(*row) for row in ROWS[:3]]
    again = ColorNetwork(network.graph)
    assert again.fingerprint == network.fingerprint
    np.testing.assert_array_equal(again.embed(photos), network.embed(photos))
    np.testing.assert_allclose(again.embed(photos[1:]), network.embed(photos)[1:], atol=1e-4)  # batches change nothing
    assert again.embed([]).shape == (0, network.dim)


def test_the_graph_is_the_network_with_its_normalisation(network):
    """Not tuned, exported and given pixels, it gives what torch gives for normalised pixels."""
    import torch

    start = load_backbone(START)
    photos = [toy_photo(*row) for row in ROWS[:2]]
    with torch.inference_mode():
        expected = start.network(color_network._normalised(photos, start)).numpy()
    exported = ColorNetwork(color_network._to_onnx(start.network, start))
    np.testing.assert_allclose(exported.embed(photos), expected, atol=1e-3)


def test_a_letterbox_keeps_the_shape_and_continues_the_edge():
    image = Image.new("RGB", (50, 100), "blue")
    image.paste("red", (0, 0, 50, 10))
    square = letterbox(image, 60)
    assert square.shape == (60, 60, 3)
    assert (square[1, [0, 30, 59]] == (255, 0, 0)).all()
    assert (square[40, [0, 30, 59]] == (0, 0, 255)).all()


def test_pixels_reach_the_network_unchanged():
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
    found = ColorNetwork(onnx_mean(["n", 3, 8, 8])).embed([image])
    np.testing.assert_allclose(found[0], np.asarray(image).mean(axis=(0, 1)), atol=1e-3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no graph", "field 13 of the message model, which is not allowed"),
        (b"", "holds no graph"),
        (onnx_mean(["n", 3, 8, 9]), r"takes pixels \(n, 3, 8, 9\), expected squares"),
        (onnx_mean(["n", 4, 8, 8], ("n", 4)), r"takes pixels \(n, 4, 8, 8\), expected pixels \(n, 3, s, s\)"),
    ],
)
def test_what_is_no_color_network_is_refused(content, message):
    with pytest.raises(BundleError, match=message):
        ColorNetwork(content)
