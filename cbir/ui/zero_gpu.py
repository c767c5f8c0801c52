"""Embedding on ZeroGPU: there the Hub lends a Space a GPU by the call, out of the quota of the visitor who asks.

Only the network runs there. Reading photos, colors, scores, explanations and searches by id cost no quota. Elsewhere
nothing here has an effect, and the package `spaces` need not be installed.
"""

import copy
import logging
import os
from collections import deque

import gradio as gr
import numpy as np
from gradio.context import LocalContext

from cbir.errors import BackboneError
from cbir.features.backbone import Backbone
from cbir.ui.texts import Words

SECONDS = 5  # asked for a call: it takes less, and whoever has less left gets none

log = logging.getLogger(__name__)


def is_zero_gpu() -> bool:
    """Whether this is a Space on ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")  # as the package reads it


def set_up() -> None:
    """Imports the package of ZeroGPU there, before anything asks torch for a GPU: it would refuse to start afterwards.

    Raises:
        BackboneError: it is missing.
    """
    if is_zero_gpu():
        try:
            import spaces  # noqa: F401 - takes CUDA's place
        except ImportError:
            raise BackboneError("ZeroGPU needs the package `spaces`: add it to the Space's requirements.txt") from None


def with_lent_gpu(backbone: Backbone) -> Backbone:
    """A backbone that embeds on the GPU lent by ZeroGPU, and on the CPU where none is; elsewhere the same one.

    To be called once, by the main thread, before the app is launched: the Space does not start without a function that
    asks for a GPU.
    """
    if not is_zero_gpu():
        return backbone
    import spaces

    there = backbone.on("cuda")  # kept aside by `spaces` until there is one

    @spaces.GPU(duration=SECONDS)
    def forward_there(batch: np.ndarray) -> np.ndarray:
        return there.forward(batch)

    def forward(batch: np.ndarray) -> np.ndarray:
        """As `Backbone.forward`."""
        try:
            return forward_there(batch)
        except Exception as error:  # out of quota, no GPU within a minute, a worker that died: the photo is read anyway
            log.warning("no GPU (%s): embedding on the CPU", error)
            event = LocalContext.event_id.get(None)
            if event and event not in told:  # once, however many photos are searched with
                told.append(event)
                words = Words.of(LocalContext.request.get(None))
                gr.Warning(words("no_gpu"), title=words("notice"))
            return backbone.forward(batch)

    told: deque[str] = deque(maxlen=64)
    lent = copy.copy(backbone)
    lent.forward = forward  # type: ignore[method-assign]
    return lent


def device_of(backbone: Backbone) -> str:
    """Where a backbone embeds, for people."""
    return f"{backbone.device}, or a GPU lent by ZeroGPU" if is_zero_gpu() else backbone.device
