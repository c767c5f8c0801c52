"""Files: written whole or not at all, and where those are kept that can be made again."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Writes a file or folder aside and moves it into place when it is whole.

    Gives the path to write to, beside the real one; nothing is there yet. When the block ends, what it wrote takes the
    place of a file of that name, in one rename; when it raises, what it wrote is removed and the old file stays. A
    folder has to be a new one: those of the file system cannot be replaced in one rename.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield aside
        aside.replace(path)
    finally:
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)


def cache_root() -> Path:
    """The folder in `$CBIR_CACHE`, else `~/.cache/apparel-cbir`. It need not exist yet."""
    chosen = os.environ.get("CBIR_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "apparel-cbir"
