"""From photos to embeddings.

A backbone is an ImageNet network without its classifier. Its preprocessing is the one that timm records with the
weights; its weights are loaded strictly, so that no layer is ever left at random. torch and timm are imported when a
backbone is loaded, not when this module is: searching by a catalogue item needs neither.

A backbone runs on CUDA where torch finds it. On a processor with bfloat16 units it computes in bfloat16 if its entry
says that this changes no figure (docs/scale.md); `$CBIR_PRECISION` chooses instead: float32 or bfloat16. Features made
either way compare with each other.

Legend: n images, d numbers in an embedding, h x w cells in a feature map, s pixels a side.
"""

import copy
import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from PIL import Image

from cbir.errors import BackboneError, CbirError, UnknownNameError
from cbir.features.color_network import ColorNetwork
from cbir.features.network import make_faster
from cbir.features.weights import (
    WeightsInfo,
    hub_weights_cached,
    import_timm,
    load_strictly,
    read_hub_weights,
    read_lite_package,
    read_safetensors,
)

if TYPE_CHECKING:
    import torch

    StateDict = dict[str, torch.Tensor]

Box = tuple[float, float, float, float]  # left, top, right, bottom as fractions of a photo's width and height

BATCH_SIZE = 32
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class BackboneSpec:
    """One backbone: a timm architecture, how it is pooled, and where its weights come from.

    Attributes:
        name: what `--backbone` takes.
        timm_id: model id in timm; its pretrained tag names the weights on the Hub.
        licence: licence of the default weights; None where timm names none.
        conv_grid: None for timm's own pooling; (rows, columns) to average the last convolution's feature map over
            that grid instead. Then only the convolutions' weights are needed.
        read_weights: returns where the default weights came from, and the weights; None for the file that timm
            names on the Hub.
        bfloat16: whether figures hold their third digit when it computes in bfloat16.
    """

    name: str
    timm_id: str
    licence: str | None
    conv_grid: tuple[int, int] | None = None
    read_weights: Callable[[], tuple[WeightsInfo, "StateDict"]] | None = None
    bfloat16: bool = False


BACKBONES: dict[str, BackboneSpec] = {
    spec.name: spec
    for spec in (
        BackboneSpec("vgg16", "vgg16.tv_in1k", "BSD-3-Clause", bfloat16=True),
        BackboneSpec("vgg16-conv", "vgg16.tv_in1k", "BSD-3-Clause", conv_grid=(2, 4), bfloat16=True),
        BackboneSpec(
            "efficientnet-lite0",
            "tf_efficientnet_lite0.in1k",
            "Apache-2.0",
            read_weights=partial(read_lite_package, 0, (1, 2, 2, 3, 3, 4, 1)),
        ),
        BackboneSpec(
            "efficientnet-lite2",
            "tf_efficientnet_lite2.in1k",
            "Apache-2.0",
            read_weights=partial(read_lite_package, 2, (1, 3, 3, 4, 4, 5, 1)),
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
    timm = import_timm()
    if not timm.is_model(name):
        raise UnknownNameError("backbone", name, [*BACKBONES, "any model id of timm.list_models()"])
    config = timm.get_pretrained_cfg(name)
    return BackboneSpec(name, name, config.license if config else None)


@dataclass(frozen=True)
class BackboneInfo:
    """What a bundle records of the backbone that made it.

    Attributes:
        name: in `BACKBONES`, or a timm model id.
        dim: numbers in an embedding.
        fingerprint: see `Backbone`.
        weights: where they came from.
        timm_id: model id in timm.
        conv_grid: see `BackboneSpec`.
        preprocessing: see `Backbone`.
        color_network: fingerprint of the color network; None where there is none.
    """

    name: str
    dim: int
    fingerprint: str
    weights: WeightsInfo
    timm_id: str | None = None
    conv_grid: tuple[int, ...] | None = None
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    color_network: str | None = None


class Backbone:
    """A loaded network in evaluation mode.

    Attributes:
        name: its name in `BACKBONES`, or a timm model id.
        dim: d, numbers in an embedding.
        fingerprint: sha256 of weights, pooling, preprocessing and color network. Features compare only where it is
            equal.
        color_network: goes along with it; None where there is none.
        network: the torch module, without a classifier, in evaluation mode.
        device: where it computes: "cuda" or "cpu".
        precision: in which it computes: "float32" or "bfloat16".
        preprocessing: "input_size" [3, s, s], "mean" and "std" of channels in 0..1, "interpolation" and "crop_pct".
    """

    def __init__(self, spec: BackboneSpec, state: "StateDict", weights: WeightsInfo) -> None:
        """Builds the network and loads its weights strictly.

        Args:
            spec: what to build.
            state: weights under timm's names; those of the classifier are ignored.
            weights: where they came from, for the manifest.

        Raises:
            BackboneError: a layer has no weights, or they do not fit.
        """
        import torch

        timm = import_timm()
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
        load_strictly(module, state, spec.name)
        self.name = spec.name
        self._spec = spec
        self._weights = weights
        config = timm.data.resolve_data_config({}, model=network)
        self.preprocessing = {
            "input_size": list(config["input_size"]),
            "interpolation": config["interpolation"],
            "crop_pct": config["crop_pct"],
            "mean": list(config["mean"]),
            "std": list(config["std"]),
        }
        self._transform = timm.data.create_transform(**config)
        self.color_network: ColorNetwork | None = None
        self.fingerprint = self._weights_fingerprint = self._fingerprint(module)  # of the weights as they came
        # Where GPUs are lent by the call, torch says that there is one all the time.
        has_gpu = "SPACES_ZERO_GPU" not in os.environ and torch.cuda.is_available()
        self.precision = _precision(spec, has_gpu)
        network = make_faster(network.eval().requires_grad_(False), self.preprocessing["input_size"])
        self.network = network.to(self._dtype, memory_format=torch.channels_last)
        self.device = "cpu"
        if has_gpu:
            self.device = "cuda"
            self.network.to(self.device)
        self.dim = self.forward(self.prepare([Image.new("RGB", (64, 64))])).shape[1]

    def with_color_network(self, color_network: ColorNetwork | None) -> Self:
        """The same backbone, its weights shared, and a color network beside it in place of any that it had."""
        other = copy.copy(self)
        other.color_network = color_network
        other.fingerprint = self._weights_fingerprint
        if color_network is not None:
            both = other.fingerprint + color_network.fingerprint
            other.fingerprint = hashlib.sha256(both.encode()).hexdigest()
        return other

    def on(self, device: str) -> Self:
        """The same backbone with a copy of its network on "cpu" or "cuda", where it computes."""
        other = copy.copy(self)
        other.network = copy.deepcopy(self.network).to(device)
        other.device = device
        return other

    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Embeds photos.

        Args:
            images: n RGB images of any size.

        Returns:
            (n, d) float32, raw: normalising belongs to the similarity method.
        """
        parts = [np.empty((0, self.dim), np.float32)] if not images else []
        for start in range(0, len(images), BATCH_SIZE):
            parts.append(self.forward(self.prepare(images[start : start + BATCH_SIZE])))
        return np.concatenate(parts)

    def prepare(self, images: Sequence[Image.Image]) -> np.ndarray:
        """At least one RGB image as the network takes it: (n, 3, s, s) float32. Threads may prepare side by side."""
        return np.stack([self._transform(image).numpy() for image in images])

    def forward(self, batch: np.ndarray) -> np.ndarray:
        """Embeds what `prepare` gave, at once: (n, 3, s, s) float32 -> (n, d) float32."""
        import torch

        with torch.inference_mode():
            return self._pool(self._maps(batch)).float().cpu().numpy()

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
            with torch.no_grad():
                maps = self._maps(self.prepare([image]))
            if maps.ndim != 4:
                raise BackboneError(f"{self.name} has no feature map: regions cannot be told apart")
            maps = maps.float().requires_grad_()
            along = torch.from_numpy(np.ascontiguousarray(direction, np.float32)).to(self.device)
            product = self._pool(maps.to(self._dtype))[0].float() @ along
            (gradient,) = torch.autograd.grad(product, maps)
        return (maps * gradient)[0].sum(dim=0).detach().cpu().numpy(), self._covered(image)

    def _covered(self, image: Image.Image) -> Box:
        """The part of a photo that is left when timm has resized its shorter side and cropped the centre."""
        side = self.preprocessing["input_size"][-1]
        scale = math.floor(side / self.preprocessing["crop_pct"]) / min(image.size)
        width, height = (min(side / (length * scale), 1) for length in image.size)
        return (1 - width) / 2, (1 - height) / 2, (1 + width) / 2, (1 + height) / 2

    def describe(self) -> BackboneInfo:
        """What a bundle records of this backbone."""
        return BackboneInfo(
            name=self.name,
            dim=self.dim,
            fingerprint=self.fingerprint,
            weights=self._weights,
            timm_id=self._spec.timm_id,
            conv_grid=self._spec.conv_grid,
            preprocessing=self.preprocessing,
            color_network=self.color_network.fingerprint if self.color_network else None,
        )

    @property
    def _dtype(self) -> "torch.dtype":
        import torch

        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    def _maps(self, batch: np.ndarray) -> "torch.Tensor":
        """(n, 3, s, s) images -> (n, c, h, w) feature maps, where and as the network computes."""
        import torch

        images = torch.from_numpy(batch).to(self.device, self._dtype, memory_format=torch.channels_last)
        return self.network.forward_features(images)

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


def _precision(spec: BackboneSpec, has_gpu: bool) -> str:
    """What `$CBIR_PRECISION` says; else bfloat16 where it changes no figure and the processor has units for it.

    Raises:
        CbirError: it says something else.
    """
    import torch

    chosen = os.environ.get("CBIR_PRECISION", "auto")
    if chosen not in PRECISIONS:
        raise CbirError(f"expected CBIR_PRECISION to be one of {', '.join(PRECISIONS)}, got {chosen!r}")
    if chosen != "auto":
        return chosen
    units = {} if has_gpu else torch.cpu.get_capabilities()
    return "bfloat16" if spec.bfloat16 and (units.get("avx512_bf16") or units.get("amx_bf16")) else "float32"


def load_backbone(name: str, weights: str | Path | None = None, revision: str | None = None) -> Backbone:
    """Loads a backbone.

    Args:
        name: a name in `BACKBONES` or a timm model id.
        weights: a local safetensors file under timm's key names. None: the default weights, from an installed
            package, the Hub's cache or the Hub.
        revision: commit of the default weights on the Hub; None for the newest.

    Raises:
        UnknownNameError: no such backbone.
        BackboneError: the weights are missing or do not fit, or the Hub cannot be reached.
    """
    spec = backbone_spec(name)
    if weights is not None:  # of which nobody stated a licence
        return Backbone(spec, read_safetensors(Path(weights)), WeightsInfo(f"file {Path(weights).name}"))
    found, state = spec.read_weights() if spec.read_weights is not None else read_hub_weights(spec.timm_id, revision)
    return Backbone(spec, state, replace(found, licence=spec.licence))


def weights_at_hand(name: str, revision: str | None = None) -> bool:
    """Whether a backbone's default weights are on this machine: in a package that the requirements name, or in the
    Hub's cache.

    Raises:
        UnknownNameError: no such backbone.
        BackboneError: timm names no weights for it.
    """
    spec = backbone_spec(name)
    return spec.read_weights is not None or hub_weights_cached(spec.timm_id, revision)
