"""Small files that stand for photos, in folders and zips."""

import io
import zipfile
from pathlib import Path

from PIL import Image

Files = dict[str, bytes | str]


def photo(color: str = "red") -> bytes:
    """A picture of one color, as a PNG file."""
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), color).save(buffer, "PNG")
    return buffer.getvalue()


def fill(folder: Path, files: Files) -> Path:
    """Writes files by their relative names below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def fill_zip(path: Path, files: Files) -> Path:
    """Writes a zip of files by their relative names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


CLASSES: Files = {
    "red_dress/b.png": photo("red"),
    "red_dress/a.JPG": photo("red"),
    "blue_shirt/c.png": photo("blue"),
}
CLASS_ROWS = [
    ("blue_shirt/c.png", "blue", "shirt"),
    ("red_dress/a.JPG", "red", "dress"),
    ("red_dress/b.png", "red", "dress"),
]
