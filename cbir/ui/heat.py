"""Heat maps as pictures: which regions of a photo make it alike."""

import base64
import io

import numpy as np
from PIL import Image

from cbir.explain import HeatMap

HEAT = (249, 115, 22)  # orange on grey differs in lightness and hue, also for the color-blind
HEAT_ALPHA = 0.8
HEAT_SIDE = 320  # pixels, the longest side of a picture with its heat map


def overlay(heat: HeatMap) -> Image.Image:
    """The photo in grey, with what makes it alike in orange.

    The region that adds most is the most orange; what adds nothing or less than nothing stays grey.

    Returns:
        RGB, the longest side at most `HEAT_SIDE`.
    """
    image = heat.image.copy()
    image.thumbnail((HEAT_SIDE, HEAT_SIDE))
    values = np.maximum(heat.values, 0)
    shares = Image.fromarray((values / (values.max() or 1) * 255).astype(np.uint8))
    left, top, right, bottom = (round(edge * length) for edge, length in zip(heat.box, 2 * image.size, strict=True))
    mask = Image.new("L", image.size)
    mask.paste(shares.resize((max(right - left, 1), max(bottom - top, 1)), Image.Resampling.BILINEAR), (left, top))
    mask = mask.point(lambda share: round(share * HEAT_ALPHA))
    grey = image.convert("L").convert("RGB")
    return Image.composite(Image.new("RGB", image.size, HEAT), grey, mask)


def data_uri(image: Image.Image) -> str:
    """A picture as an address that holds it whole, as JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
