"""What embedding costs: this project's backbones beside timm's networks, run layer by layer, and beside arithmetic."""

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import Table, in_turns, milliseconds, ratio
from cbir.features.backbone import Backbone, backbone_spec, load_backbone
from cbir.features.weights import import_timm

GFLOP = {"vgg16": 30.9}  # of one photo
BATCHES = (1, 8, 32)
SIDE = 2048  # of the matrices that tell the rate


def embedding(repeats: int, seconds: float) -> list[Table]:
    """Times of one photo and of batches, photos being prepared already."""
    import torch

    tables = []
    for name in ("vgg16", "efficientnet-lite2"):
        ours = {"this project": _load(name, "auto"), "this project, float32": _load(name, "float32")}
        if ours["this project"].precision == "float32":
            del ours["this project, float32"]
        eager = _eager(name)
        square = torch.rand(SIDE, SIDE)
        rows, figures = [], {}
        for n in BATCHES:
            batch = np.random.default_rng(0).normal(size=(n, *ours["this project"].preprocessing["input_size"]))
            batch = batch.astype(np.float32)
            pixels = torch.from_numpy(batch)

            works: dict[str, Any] = {
                "product": partial(torch.matmul, square, square),
                **{key: partial(backbone.forward, batch) for key, backbone in ours.items()},
                "timm, layer by layer": partial(_run, eager, pixels),
            }
            times = in_turns(works, max(3, repeats // n), seconds, f"embedding, {name}, {n}")
            rate = 2 * SIDE**3 / times.pop("product") / 1e6  # GFLOP/s
            implied = 1000 * GFLOP[name] / rate if name in GFLOP else None
            for key, value in times.items():
                precision = ours[key].precision if key in ours else "float32"
                each = value / n
                rows.append(
                    [
                        str(n),
                        f"{key} ({precision})" if key == "this project" else key,
                        milliseconds(each),
                        ratio(each, times["timm, layer by layer"] / n),
                        ratio(each, implied) if implied else "-",
                    ]
                )
            figures[str(n)] = {**{key: value / n for key, value in times.items()}, "GFLOP/s": rate, "implied": implied}
        title = (
            f"Embedding by {name}: milliseconds per photo, medians, {torch.get_num_threads()} threads; 'implied' is "
            "what the rate of float32 matrix products in the same run implies"
        )
        columns = ["photos at once", "how", "ms per photo", "to timm", "to implied"]
        tables.append(Table(title, columns, rows, {"name": f"embedding {name}", "batches": figures}))
    return tables


def _run(network: Any, pixels: Any) -> None:  # noqa: ANN401
    import torch

    with torch.inference_mode():
        network(pixels)


def _load(name: str, precision: str) -> Backbone:
    """A backbone; where its weights are not installed, random ones cost as much."""
    before = os.environ.get("CBIR_PRECISION")
    os.environ["CBIR_PRECISION"] = precision
    try:
        if backbone_spec(name).read_weights is not None:
            return load_backbone(name)
        from safetensors.torch import save_file

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "random.safetensors"
            state = import_timm().create_model(backbone_spec(name).timm_id).state_dict()
            save_file({key: tensor.half() for key, tensor in state.items()}, path)
            return load_backbone(name, path)
    finally:
        if before is None:
            del os.environ["CBIR_PRECISION"]
        else:
            os.environ["CBIR_PRECISION"] = before


def _eager(name: str) -> Any:  # noqa: ANN401 - timm has no common type of its networks
    return import_timm().create_model(backbone_spec(name).timm_id, num_classes=0).eval()
