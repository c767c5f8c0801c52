"""Fine-tunes a color network: photos and labels in, a network out. A step of `train.run --tune-color`.

ImageNet asks for objects whatever their color. The later half of an EfficientNet-Lite0 learns to tell the color of the
garment that a photo is about, and, since trousers under a shirt are no part of the shirt, its type. It learns from
random views (`train.fit.augment`), keeps ImageNet's statistics of activations, and what comes out is the moving average
of its weights (Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992). Few epochs: some
labels are wrong, and a network that sees them often enough learns them by heart. Last, weights and activations are
rounded to integers of at most 8 bits, which this architecture was made for: less than half of the time, a quarter of
the size.

Legend: n photos, m views in a batch, s pixels a side of a view, l numbers in an embedding.
"""

import logging
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image
from tqdm import tqdm

from cbir.features.backbone import Backbone, load_backbone
from cbir.features.color_network import ColorNetwork
from cbir.graphs import onnx_runtime
from train.fit.augment import canvas, generate_grounds, random_view

if TYPE_CHECKING:
    import torch

TUNING_VERSION = 1  # to be raised whenever another network would come out: tuned ones are kept by it
START = "efficientnet-lite0"  # a name in `BACKBONES`
EPOCHS = 6  # how often each photo is seen
BATCH_SIZE = 32
RATE, HEAD_RATE = 5e-4, 3e-3  # at the peak of the schedule; what is new learns faster
WARM_UP = 0.1  # share of the steps until the peak
WEIGHT_DECAY = 0.02
DROPOUT = 0.2
SMOOTHING = 0.05  # of the labels
AVERAGING = 0.99  # of the weights, a step
CALIBRATION = 200  # photos that tell the ranges of activations
UNKNOWN = -100  # what torch's cross entropy passes over


def tune_color_network(images: Iterable[Image.Image], labels: Mapping[str, np.ndarray], seed: int) -> ColorNetwork:
    """Fine-tunes a color network from ImageNet's weights, with a progress bar.

    On a GPU where torch finds one. Takes 256 KB of memory a photo. The seed makes all random choices repeatable; sums
    by several threads may still differ in their last bits from machine to machine.

    Args:
        images: n RGB photos, read once.
        labels: label columns, each (n,) str, "" where unknown.
        seed: of the views and their order.

    Raises:
        BackboneError: ImageNet's weights are not installed.
    """
    import torch
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    start = load_backbone(START)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = start.network.to(device)
    _freeze_earlier_half(network)
    side = start.preprocessing["input_size"][-1]
    rng = np.random.default_rng(seed)
    grounds = generate_grounds(rng)
    total = len(next(iter(labels.values())))
    canvases = [canvas(image) for image in tqdm(images, desc="reading", total=total, unit="photo")]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        targets = {name: torch.from_numpy(_targets(column)) for name, column in labels.items()}
        heads = {
            name: torch.nn.Linear(start.dim, max(int(found.max()) + 1, 1)).to(device) for name, found in targets.items()
        }
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            [
                {"params": learning, "weight_decay": WEIGHT_DECAY},
                {"params": [p for head in heads.values() for p in head.parameters()], "weight_decay": 0.0},
            ]
        )
        per_epoch = -(-len(canvases) // BATCH_SIZE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, [RATE, HEAD_RATE], total_steps=EPOCHS * per_epoch, pct_start=WARM_UP, cycle_momentum=False
        )
        average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGING))
        bar = tqdm(total=EPOCHS * len(canvases), desc="tuning the color network", unit="view")
        for _ in range(EPOCHS):
            for rows in np.array_split(rng.permutation(len(canvases)), per_epoch):
                views = [random_view(canvases[row], grounds, side, rng) for row in rows]
                with torch.autocast(device.type, torch.bfloat16, enabled=_is_bfloat16_quick(device)):
                    embedding = network(_normalised(views, start).to(device))
                embedding = torch.nn.functional.dropout(embedding.float(), DROPOUT)
                losses = [_loss(head(embedding), targets[name][rows].to(device)) for name, head in heads.items()]
                loss = torch.stack(losses).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                average.update_parameters(network)
                bar.update(len(rows))
                bar.set_postfix(loss=f"{loss.item():.2f}")
        bar.close()
    chosen = rng.permutation(len(canvases))[:CALIBRATION]
    photos = [Image.fromarray(canvases[row].pixels).resize((side, side)) for row in chosen]
    return ColorNetwork(_quantised(_to_onnx(average.module.cpu(), start), photos))


def _is_bfloat16_quick(device: "torch.device") -> bool:
    """Whether the hardware multiplies bfloat16 itself: else that takes longer than float32."""
    import torch

    found = torch.cpu.get_capabilities()
    return device.type == "cuda" or found.get("avx512_bf16", False) or found.get("amx_bf16", False)


def _freeze_earlier_half(network: "torch.nn.Module") -> None:
    """Leaves the first half of the layers as ImageNet made it: quicker, and edges and hues need no relearning."""
    from timm.models import group_parameters

    matcher = cast("Callable[..., dict[str, Any]]", network.group_matcher)  # of every model of timm
    groups = group_parameters(network, matcher(coarse=True))
    earlier = {name for number, names in groups.items() if number < len(groups) / 2 for name in names}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in earlier)


def _targets(column: np.ndarray) -> np.ndarray:
    """Labels (n,) str as numbers of classes (n,) int, `UNKNOWN` where unknown."""
    classes = np.unique(column[column != ""])
    return np.where(column == "", UNKNOWN, np.searchsorted(classes, column))


def _normalised(views: Sequence[Image.Image], start: Backbone) -> "torch.Tensor":
    """Views as the network takes them: (m, 3, s, s) float32."""
    import torch

    pixels = np.stack([np.asarray(view) for view in views]).astype(np.float32) / 255
    pixels = (pixels - np.float32(start.preprocessing["mean"])) / np.float32(start.preprocessing["std"])
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2)).contiguous(memory_format=torch.channels_last)


def _loss(logits: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
    """Cross entropy, mean over the views whose label is known; 0 where there are none."""
    import torch

    known = (targets != UNKNOWN).sum().clamp(min=1)
    return torch.nn.functional.cross_entropy(logits, targets, label_smoothing=SMOOTHING, reduction="sum") / known


def _to_onnx(network: "torch.nn.Module", start: Backbone) -> bytes:
    """The network as `ColorNetwork` takes it: its input are pixels from 0 to 255, normalised inside the graph."""
    import torch

    class FromPixels(torch.nn.Module):
        mean: torch.Tensor
        std: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.network = network
            for name in ("mean", "std"):
                values = torch.tensor(start.preprocessing[name]).reshape(1, 3, 1, 1) * 255
                self.register_buffer(name, values)

        def forward(self, pixels: "torch.Tensor") -> "torch.Tensor":
            features = cast("Callable[[torch.Tensor], torch.Tensor]", self.network.forward_features)
            return features((pixels - self.mean) / self.std).mean((2, 3))  # timm's own pooling, in one operator

    side = start.preprocessing["input_size"][-1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            FromPixels().eval(),
            (torch.zeros(2, 3, side, side),),
            path,
            input_names=["pixels"],
            output_names=["features"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            external_data=False,
            dynamo=True,
            verbose=False,
        )
        return path.read_bytes()


def _quantised(graph: bytes, photos: Sequence[Image.Image]) -> bytes:
    """Rounds a graph of `_to_onnx` to 8 bits, by the ranges that activations have for photos of its input's size."""
    onnx_runtime()  # before what follows imports it
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.remaining = iter(photos)

        def get_next(self) -> dict[str, np.ndarray] | None:
            photo = next(self.remaining, None)
            if photo is None:
                return None
            return {"pixels": np.asarray(photo, np.float32).transpose(2, 0, 1)[None]}

    with tempfile.TemporaryDirectory() as folder:
        exact, prepared, rounded = (Path(folder) / f"{name}.onnx" for name in ("exact", "prepared", "rounded"))
        exact.write_bytes(graph)
        quant_pre_process(exact, prepared, skip_symbolic_shape=True)
        logging.disable(logging.WARNING)  # it advises to do what was just done
        try:
            # 7 bits for weights: with 8, processors without VNNI instructions overflow on the way.
            # Unsigned activations: x86 processors multiply these the quickest.
            quantize_static(
                prepared, rounded, Reader(), per_channel=True, reduce_range=True, activation_type=QuantType.QUInt8
            )
        finally:
            logging.disable(logging.NOTSET)
        return rounded.read_bytes()
