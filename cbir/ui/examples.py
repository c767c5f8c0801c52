"""Photos to try the search with: `samples/examples/`, drawn by `samples.drawing.examples`."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "samples" / "examples"
SIDE = 96  # px of the small picture


@dataclass(frozen=True)
class Example:
    """One photo.

    Attributes:
        name: by which the locales describe it.
        path: of the file.
        picture: address that holds a small one.
    """

    name: str
    path: Path
    picture: str


def load_examples() -> list[Example]:
    """The photos in order of their files; none where the folder was left out."""
    return [Example(path.stem.partition("_")[2], path, _small(path)) for path in sorted(EXAMPLES.glob("*.jpg"))]


def _small(path: Path) -> str:
    with Image.open(path) as image:
        image.thumbnail((SIDE, SIDE))
        file = io.BytesIO()
        image.convert("RGB").save(file, "WEBP", quality=70)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
