"""Where downloads and unpacked photos are kept between runs; everything in it can be made again."""

import os
from pathlib import Path


def cache_root() -> Path:
    """The folder in `$CBIR_CACHE`, else `~/.cache/apparel-cbir`. It need not exist yet."""
    chosen = os.environ.get("CBIR_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "apparel-cbir"
