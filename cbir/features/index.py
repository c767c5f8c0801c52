"""From files to a gallery: reads photos, extracts their features once and remembers them.

What was extracted is cached by the content of the file, the backbone and the version of the color descriptor, in
shards that are written as the work goes on. A run that is killed and started again continues where it stopped, and
files that moved or were renamed are not embedded again.

Legend: n photos asked for, g photos that could be read, d numbers in an embedding, c in a color descriptor, l of a
color network.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from cbir.errors import ImageError, NoPhotosError
from cbir.features import Features, extract
from cbir.features.backbone import Backbone
from cbir.features.color_descriptor import COLOR_VERSION
from cbir.files import cache_root
from cbir.images import load_image, thumbnail

CACHE_LAYOUT = 2  # to be raised whenever the columns below change
SHARD_SIZE = 128  # photos between two writes: what a killed run loses at most

Source = bytes | str | os.PathLike  # of a photo: the file's bytes or its path
Photo = tuple[str, Source]  # with its id
Row = tuple[np.ndarray, np.ndarray, np.ndarray, bytes]  # embedding (d,), color descriptor (c,), learned (l,), thumbnail


@dataclass(frozen=True)
class IndexedPhotos:
    """What came of n photos.

    Attributes:
        ids: (g,) str, in the order given, of the photos that could be read.
        features: of these g photos.
        thumbnails: of these g photos, JPEG files.
        unreadable: for every other photo its id and why it could not be read.
    """

    ids: np.ndarray
    features: Features
    thumbnails: list[bytes]
    unreadable: dict[str, str]


def index_photos(photos: Iterable[Photo], n: int, backbone: Backbone) -> IndexedPhotos:
    """Reads and embeds n photos, with a progress bar.

    Args:
        photos: n of (id, the file's bytes or its path).
        n: how many there are, for the progress bar.
        backbone: embeds them.

    Raises:
        NoPhotosError: none of the photos can be read.
    """
    cache = _Cache(backbone)
    ids, keys, unreadable = [], [], {}
    bar = tqdm(photos, desc=f"embedding ({backbone.name})", total=n, unit="photo")
    remaining = iter(bar)
    while shard := list(islice(remaining, SHARD_SIZE)):
        new = {}
        for id, source in shard:
            try:
                content = source if isinstance(source, bytes) else Path(source).read_bytes()
                key = hashlib.sha256(content).hexdigest()
                if key not in cache.rows and key not in new:
                    new[key] = load_image(content)
            except (ImageError, OSError) as error:
                unreadable[id] = str(error)
                continue
            ids.append(id)
            keys.append(key)
        if new:
            features = extract(list(new.values()), backbone)
            thumbnails = [thumbnail(image) for image in new.values()]
            rows = zip(features.embedding, features.color, features.learned, thumbnails, strict=True)
            cache.add(dict(zip(new, rows, strict=True)))
    if not ids:
        raise NoPhotosError(unreadable)
    embedding, color, learned, jpegs = zip(*(cache.rows[key] for key in keys), strict=True)
    features = Features(np.stack(embedding), np.stack(color), np.stack(learned))
    return IndexedPhotos(np.array(ids), features, list(jpegs), unreadable)


class _Cache:
    """Extracted rows by the sha256 of the photo's file, in a folder of parquet shards."""

    def __init__(self, backbone: Backbone) -> None:
        name = f"{backbone.name}-{backbone.fingerprint[:12]}-color{COLOR_VERSION}-layout{CACHE_LAYOUT}"
        self._folder = cache_root() / "features" / name
        self._folder.mkdir(parents=True, exist_ok=True)
        self.rows: dict[str, Row] = dict(self._read())

    def add(self, rows: dict[str, Row]) -> None:
        """Keeps rows, on disk too: written under a temporary name, then renamed."""
        self.rows.update(rows)
        table = pa.table(
            {
                "key": list(rows),
                "embedding": [row[0].tobytes() for row in rows.values()],
                "color": [row[1].tobytes() for row in rows.values()],
                "learned": [row[2].tobytes() for row in rows.values()],
                "thumbnail": [row[3] for row in rows.values()],
            }
        )
        name = hashlib.sha256("".join(rows).encode()).hexdigest()[:16]
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".tmp", delete=False) as file:
            pq.write_table(table, file)
        Path(file.name).replace(self._folder / f"{name}.parquet")

    def _read(self) -> Iterator[tuple[str, Row]]:
        for path in sorted(self._folder.glob("*.parquet")):
            try:
                shard = pq.read_table(path).to_pydict()
            except (pa.ArrowInvalid, OSError):
                path.unlink(missing_ok=True)  # a damaged shard costs its photos' embedding again, nothing else
                continue
            for key, *parts, jpeg in zip(*shard.values(), strict=True):
                embedding, color, learned = (np.frombuffer(part, np.float32) for part in parts)
                yield key, (embedding, color, learned, jpeg)
