"""Small photos, a small backbone and a small bundle: no test needs weights or a network.

The toy photos are generated: a shape for the type, a fill for the color, on a grey ground with noise.
"""

import dataclasses
import gc
import hashlib
import io
import os
import socket
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch: each core has a worker of its own
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported: no look-ups at outside hosts
os.environ.pop("HF_HUB_OFFLINE", None)  # before the Hub's client is imported: it reads this once

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cbir.bundle import Bundle, DatasetInfo, Manifest
from cbir.features import Features, extract
from cbir.features.backbone import BackboneInfo, Box, WeightsInfo
from cbir.features.color_network import ColorNetwork
from cbir.gallery import Gallery
from cbir.own_photos import OwnPhotos
from cbir.search import Retriever
from tests.hub_server import TOKEN, HubServer
from train.evaluate import evaluate
from train.evaluation.not_clothes import not_clothes
from train.fit import fit_methods
from train.fit.familiarity import fit_familiarity
from train.fit.map import fit_map
from train.fit.views import Views, extract_views

if TYPE_CHECKING:
    from cbir.ui.calls import Calls
    from cbir.ui.page import Page

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"  # real photos and weights, for tests marked `shared_data`: not in the repository
TOY_COLORS = {"red": (200, 30, 40), "blue": (40, 60, 190), "white": (245, 245, 240)}
TOY_SHAPES = {
    "shirt": [(60, 60, 164, 110), (85, 60, 139, 180)],
    "pants": [(80, 30, 105, 200), (118, 30, 143, 200)],
    "shoes": [(30, 140, 190, 175)],
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips tests marked `shared_data` where there is no such folder."""
    if item.get_closest_marker("shared_data") and not (SHARED / "data").is_dir():
        pytest.skip("needs the real photos of ../shared/data")


def toy_photo(color: str, type: str, seed: int) -> Image.Image:
    """A 224-px picture of a shape."""
    rng = np.random.default_rng([seed, *map(ord, color + type)])
    # Patches as large as the toy backbone's cells, so that two photos of a class are not near duplicates.
    ground = np.clip(rng.normal(120, 25, (8, 8, 1)).repeat(28, 0).repeat(28, 1).repeat(3, 2), 0, 255).astype(np.uint8)
    image = Image.fromarray(ground)
    draw = ImageDraw.Draw(image)
    dx, dy = rng.integers(-12, 13, 2)
    fill = tuple(int(c) for c in np.clip(np.add(TOY_COLORS[color], rng.integers(-15, 16, 3)), 0, 255))
    for x0, y0, x1, y1 in TOY_SHAPES[type]:
        draw.rectangle((x0 + dx, y0 + dy, x1 + dx, y1 + dy), fill=fill)
    return image


def png(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def onnx_mean(shape: Sequence[str | int], output: Sequence[str | int] = ("n", 3)) -> bytes:
    """The graph of a color network that averages pixels."""
    from onnx import TensorProto, helper

    nodes = [helper.make_node("ReduceMean", ["pixels"], ["features"], axes=[2, 3], keepdims=0)]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
        for name, dims in (("pixels", shape), ("features", output))
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 13)]
    )
    model.ir_version = 8
    return model.SerializeToString()


def write_toy_photos(folder: Path, per_class: int = 8) -> Path:
    """Writes `<color>_<type>/<n>.png` for every toy class."""
    for color in TOY_COLORS:
        for type in TOY_SHAPES:
            (folder / f"{color}_{type}").mkdir(parents=True)
            for n in range(per_class):
                (folder / f"{color}_{type}" / f"{n}.png").write_bytes(png(toy_photo(color, type, n)))
    return folder


class ToyBackbone:
    """Stands in for a network: an 8 x 8 map of how far each cell is from the ground. Counts what it embeds."""

    name = "toy"
    dim = 64
    fingerprint = hashlib.sha256(b"toy").hexdigest()
    color_network = None
    device, precision = "cpu", "float32"

    def __init__(self) -> None:
        self.n_embedded = 0

    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        """(n, 64) float32."""
        return self.forward(self.prepare(images)) if images else np.empty((0, self.dim), np.float32)

    def prepare(self, images: Sequence[Image.Image]) -> np.ndarray:
        """(n, 8, 8, 3) float32."""
        return np.stack([np.asarray(image.resize((8, 8), Image.Resampling.BOX), np.float32) for image in images])

    def forward(self, batch: np.ndarray) -> np.ndarray:
        """(n, 8, 8, 3) -> (n, 64) float32."""
        self.n_embedded += len(batch)
        rows = []
        for pixels in batch:
            ground = np.median(pixels.reshape(-1, 3), axis=0)
            distance = np.abs(pixels - ground).mean(axis=2).ravel()
            rows.append(distance - distance.mean())
        return np.array(rows, np.float32)

    def contributions(self, image: Image.Image, direction: np.ndarray) -> tuple[np.ndarray, Box]:
        """As `Backbone.contributions`."""
        return (self.embed([image])[0] * direction).reshape(8, 8), (0.0, 0.0, 1.0, 1.0)

    def with_color_network(self, color_network: ColorNetwork | None) -> "ToyBackbone":
        """This one, so that a test goes on counting what it embeds."""
        self.color_network = color_network
        self.fingerprint = color_network.fingerprint if color_network else ToyBackbone.fingerprint
        return self

    def describe(self) -> BackboneInfo:
        """As `Backbone.describe`."""
        return BackboneInfo(self.name, self.dim, self.fingerprint, WeightsInfo("none"))


@pytest.fixture(autouse=True)
def _hermetic(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_CACHE", str(tmp_path_factory.mktemp("cache")))
    for name in ("CBIR_BUNDLE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _quick() -> Iterator[None]:
    """Little of what only makes figures better: few tests are about that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.evaluate.REPLICATES", 50)
        patch.setattr("train.evaluation.familiarity.PER_KIND", 2)
        patch.setattr("train.evaluation.garments.PHOTOS", 8)
        patch.setattr("train.fit.views.PHOTOS", 40)
        patch.setattr("train.fit.pairs.FOREST_TREES", 10)
        for module in ("train.fit", "train.evaluation.baselines"):
            patch.setattr(f"{module}.FIT_PAIRS", 2_000)
        yield


@pytest.fixture
def toy_backbone() -> ToyBackbone:
    return ToyBackbone()


@pytest.fixture(scope="session")
def toy_gallery() -> Gallery:
    """108 toy photos, a quarter of them for tests."""
    rows = [(c, t, n) for c in TOY_COLORS for t in TOY_SHAPES for n in range(12)]
    images = [toy_photo(*row) for row in rows]
    return Gallery(
        ids=np.array([f"{c}_{t}/{n}.png" for c, t, n in rows]),
        labels={"color": np.array([c for c, _, _ in rows]), "type": np.array([t for _, t, _ in rows])},
        features=extract(images, ToyBackbone()),
        thumbnails=[_jpeg(image) for image in images],
        splits=np.array(["test" if n % 4 == 0 else "train" for _, _, n in rows]),
    )


@pytest.fixture(scope="session")
def toy_views(toy_gallery: Gallery) -> Views:
    """Views of its train photos."""
    return extract_views(list(compress(toy_gallery.thumbnails, toy_gallery.splits == "train")), ToyBackbone(), seed=0)


@pytest.fixture(scope="session")
def toy_bundle(toy_gallery: Gallery, toy_views: Views) -> Bundle:
    """A bundle over these photos with every method fitted."""
    gallery, train = toy_gallery, toy_gallery.splits == "train"
    labels = {name: column[train] for name, column in gallery.labels.items()}
    models = fit_methods(gallery.features.take(train), labels, toy_views, seed=0)
    manifest = Manifest("Toy photos", ToyBackbone().describe(), DatasetInfo("toy", len(gallery), is_drawn=True), seed=0)
    pictures = {
        use: {kind: extract(images, ToyBackbone()) for kind, images in not_clothes(2, seed).items()}
        for seed, use in enumerate(("fit", "evaluate"))
    }
    others = Features.concatenate(list(pictures["fit"].values()))
    fit_on = gallery.features.take(train)
    familiarity, gallery_map = fit_familiarity(fit_on, others, seed=0), fit_map(fit_on, models.attributes)
    bundle = Bundle(gallery, models, manifest, familiarity, gallery_map)
    return dataclasses.replace(bundle, report=evaluate(bundle, ToyBackbone(), pictures))


@pytest.fixture(scope="session")
def retriever(toy_bundle: Bundle) -> Retriever:
    return Retriever(toy_bundle, ToyBackbone())


@pytest.fixture(scope="session")
def page(retriever: Retriever) -> Iterator["Page"]:
    """The app, serving the toy bundle."""
    with launched(retriever) as page:
        yield page


@contextmanager
def launched(retriever: Retriever, photos: OwnPhotos | None = None) -> Iterator["Page"]:
    """An app on a free port; arguments as of `build_demo`."""
    with warnings.catch_warnings():  # gradio's dependencies warn about themselves
        warnings.simplefilter("ignore")
        from cbir.ui import build_demo, launch
    demo = build_demo(retriever, photos)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch(demo, server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True)
    yield demo
    demo.close()
    with warnings.catch_warnings():  # Gradio leaves event loops and sockets to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def url(page: "Page") -> str:
    """Address of the app, serving the toy bundle."""
    return page.local_url


@pytest.fixture(scope="session")
def served(page: "Page") -> "Calls":
    """The calls that the app has open."""
    return page._queue


@pytest.fixture(scope="session")
def vgg16_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full VGG16 with generated weights: small, so that 30 layers neither vanish nor explode."""
    import torch
    from safetensors.torch import save_file

    from cbir.features.weights import import_timm

    torch.manual_seed(0)
    state = import_timm().create_model("vgg16.tv_in1k").state_dict()
    path = tmp_path_factory.mktemp("weights") / "vgg16.safetensors"
    save_file({name: tensor.half() for name, tensor in state.items()}, path)
    return path


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A stand-in of the Hub that the Hub's client talks to, with an empty cache and no waiting between retries."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    server = HubServer()
    # The client reads its environment when it is imported; afterwards these are where it looks.
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, server.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)
    yield server
    server.shutdown()
    server.server_close()


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()
