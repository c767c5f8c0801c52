"""From files to a gallery: reads photos, extracts their features once and remembers them.

Threads read, decode and describe photos beside the network, a few batches ahead of it: memory does not grow with their
number, and indexing takes as long as the network does. What was extracted is kept by the content of the file, the
backbone and the version of the color descriptor (`cbir.features.cache`), as the work goes on. A run that is killed and
started again continues where it stopped, and files that moved or were renamed are not embedded again.

Legend: n photos asked for, g photos that could be read, d numbers in an embedding, c in a color descriptor, l of a
color network.
"""

import hashlib
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cbir.errors import ImageError, NoPhotosError
from cbir.features import Features, describe, extract, half_precision
from cbir.features.backbone import BATCH_SIZE, Backbone
from cbir.features.cache import FeatureCache
from cbir.images import load_image, thumbnail

AHEAD = 2 * BATCH_SIZE  # photos that are read before the network takes them: bounds memory

Source = bytes | str | os.PathLike  # of a photo: the file's bytes or its path
Photo = tuple[str, Source]  # with its id


@dataclass(frozen=True)
class IndexedPhotos:
    """What came of n photos.

    Attributes:
        ids: (g,) str, in the order given, of the photos that could be read.
        features: of these g photos, float16.
        thumbnails: of these g photos, JPEG files, which stay in the cache until they are asked for.
        unreadable: for every other photo its id and why it could not be read.
    """

    ids: np.ndarray
    features: Features
    thumbnails: Sequence[bytes]
    unreadable: dict[str, str]


@dataclass(frozen=True)
class _Prepared:
    """A photo that waits for the network: pixels (1, 3, s, s), color descriptor (1, c), learned (1, l), thumbnail."""

    pixels: np.ndarray
    color: np.ndarray
    learned: np.ndarray
    thumbnail: bytes


@dataclass(frozen=True)
class _Read:
    """What came of reading one photo.

    Attributes:
        id: as given.
        key: sha256 of the file; "" where it could not be read.
        prepared: None where the cache, or another photo of this run, has the same file.
        error: why it could not be read; "" where it could.
    """

    id: str
    key: str = ""
    prepared: _Prepared | None = None
    error: str = ""


def index_photos(photos: Iterable[Photo], n: int, backbone: Backbone) -> IndexedPhotos:
    """Reads and embeds n photos, with a progress bar.

    Args:
        photos: n of (id, the file's bytes or its path).
        n: how many there are, for the progress bar.
        backbone: embeds them.

    Raises:
        NoPhotosError: none of the photos can be read.
        CbirError: what was extracted cannot be kept, since the disk is full.
    """
    cache = FeatureCache(backbone)
    claimed = _Claimed(cache)
    ids: list[str] = []
    keys: list[str] = []
    unreadable: dict[str, str] = {}
    undecodable: dict[str, str] = {}  # by key: the same file may come again
    waiting: dict[str, _Prepared] = {}
    bar = tqdm(desc=f"embedding ({backbone.name})", total=n, unit="photo")
    with bar:
        for read in _read_ahead(photos, partial(_read, claimed=claimed, backbone=backbone)):
            bar.update()
            if read.error:
                undecodable[read.key] = read.error
            if read.prepared is not None:
                waiting[read.key] = read.prepared
            if error := read.error or (read.key and undecodable.get(read.key)):
                unreadable[read.id] = error
                continue
            ids.append(read.id)
            keys.append(read.key)
            if len(waiting) == BATCH_SIZE:
                cache.add(*_embed(waiting, backbone))
                waiting = {}
        if waiting:
            cache.add(*_embed(waiting, backbone))
        cache.write()
    if not ids:
        raise NoPhotosError(unreadable)
    return IndexedPhotos(np.array(ids), cache.features(keys), cache.thumbnails(keys), unreadable)


class _Claimed:
    """Tells threads which of several photos with the same file is to be embedded: the first, if none is cached."""

    def __init__(self, cache: FeatureCache) -> None:
        self._cache, self._keys, self._lock = cache, set[str](), threading.Lock()

    def is_first(self, key: str) -> bool:
        """Whether this file has to be embedded by whoever asks."""
        with self._lock:
            if key in self._keys or self._cache.has(key):
                return False
            self._keys.add(key)
            return True


def _read(photo: Photo, claimed: _Claimed | None, backbone: Backbone) -> _Read:
    """Reads a photo, unless another one with the same file was claimed before."""
    id, source = photo
    key = ""
    try:
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        if claimed is not None:
            key = hashlib.sha256(content).hexdigest()
            if not claimed.is_first(key):
                return _Read(id, key)
        image = load_image(content)
        color, learned = describe([image], backbone.color_network)
        return _Read(id, key, _Prepared(backbone.prepare([image]), color, learned, thumbnail(image)))
    except (ImageError, OSError) as error:
        return _Read(id, key, error=str(error))


def _read_ahead(photos: Iterable[Photo], read: "partial[_Read]") -> Iterator[_Read]:
    """Reads photos in threads, in order, `AHEAD` of whoever asks for the next.

    Where `photos` raises, what was read before comes first.
    """
    workers = max(1, min(16, (os.cpu_count() or 1) - 1))  # one core at least is the network's
    running: deque[Future[_Read]] = deque()
    source, failure = iter(photos), None
    with ThreadPoolExecutor(workers, "reading") as pool:
        try:
            while True:
                while failure is None and len(running) < AHEAD:
                    try:
                        running.append(pool.submit(read, next(source)))
                    except BaseException as error:  # StopIteration too
                        failure = error
                if not running:
                    break
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
    if failure is not None and not isinstance(failure, StopIteration):
        raise failure


def _embed(waiting: dict[str, _Prepared], backbone: Backbone) -> tuple[list[str], Features, list[bytes]]:
    """Keys, features and thumbnails of what waits."""
    photos = list(waiting.values())
    embedding = half_precision(backbone.forward(np.concatenate([photo.pixels for photo in photos])))
    color, learned = (np.concatenate([getattr(photo, name) for photo in photos]) for name in ("color", "learned"))
    return list(waiting), Features(embedding, color, learned), [photo.thumbnail for photo in photos]


def extract_photos(photos: Iterable[Photo], backbone: Backbone) -> IndexedPhotos:
    """Reads and embeds photos without the cache, for collections that keep what comes of them elsewhere.

    Args:
        photos: (id, the file's bytes or its path) of n photos, whose features fit into memory.
        backbone: embeds them.
    """
    parts: list[Features] = []
    keys: list[str] = []
    thumbnails: list[bytes] = []
    unreadable: dict[str, str] = {}
    waiting: dict[str, _Prepared] = {}

    def embed() -> None:
        ids, features, jpegs = _embed(waiting, backbone)
        keys.extend(ids)
        parts.append(features)
        thumbnails.extend(jpegs)
        waiting.clear()

    for read in _read_ahead(photos, partial(_read, claimed=None, backbone=backbone)):
        if read.prepared is None:
            unreadable[read.id] = read.error
            continue
        waiting[read.id] = read.prepared
        if len(waiting) == BATCH_SIZE:
            embed()
    if waiting:
        embed()
    features = Features.concatenate(parts) if parts else extract([], backbone)
    return IndexedPhotos(np.array(keys, str), features, thumbnails, unreadable)
