"""From files to a gallery: reads photos, extracts their features once and remembers them.

Threads read, decode and describe photos beside the network, a few batches ahead of it: memory does not grow with their
number, and indexing takes as long as the network does. What was extracted is cached by the content of the file, the
backbone and the version of the color descriptor, in shards that are written as the work goes on. A run that is killed
and started again continues where it stopped, and files that moved or were renamed are not embedded again. Of the cache,
only the keys and the rows that are asked for are read.

Legend: n photos asked for, g photos that could be read, d numbers in an embedding, c in a color descriptor, l of a
color network.
"""

import hashlib
import os
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from cbir.columns import BytesColumn
from cbir.errors import ImageError, NoPhotosError
from cbir.features import Features, describe, half_precision
from cbir.features.backbone import BATCH_SIZE, Backbone
from cbir.features.color_descriptor import COLOR_VERSION
from cbir.files import cache_root
from cbir.images import load_image, thumbnail

CACHE_LAYOUT = 3  # to be raised whenever the columns below change
SHARD_SIZE = 4 * BATCH_SIZE  # photos between two writes: what a killed run loses at most
AHEAD = 2 * BATCH_SIZE  # photos that are read before the network takes them: bounds memory
PARTS = ("embedding", "color", "learned")  # columns of features, float16

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
    thumbnails: BytesColumn
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
    """
    cache = _Cache(backbone)
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

    def __init__(self, cache: "_Cache") -> None:
        self._cache, self._keys, self._lock = cache, set[str](), threading.Lock()

    def is_first(self, key: str) -> bool:
        """Whether this file has to be embedded by whoever asks."""
        with self._lock:
            if key in self._keys or self._cache.has(key):
                return False
            self._keys.add(key)
            return True


def _read(photo: Photo, claimed: _Claimed, backbone: Backbone) -> _Read:
    id, source = photo
    key = ""
    try:
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
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


class _Cache:
    """Extracted rows by the sha256 of the photo's file, in a folder of parquet shards.

    A shard is named by the sha256 of its content. One that is damaged costs its photos' embedding again, nothing else.
    """

    def __init__(self, backbone: Backbone) -> None:
        name = f"{backbone.name}-{backbone.fingerprint[:12]}-color{COLOR_VERSION}-layout{CACHE_LAYOUT}"
        self._folder = cache_root() / "features" / name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._shards: list[Path] = []
        self._is_sound: list[bool | None] = []  # None: not checked yet
        self._places: dict[str, tuple[int, int]] = {}  # shard and row of each key
        self._new: list[tuple[list[str], Features, list[bytes]]] = []
        for path in sorted(self._folder.glob("*.parquet")):
            try:
                keys = pq.read_table(path, columns=["key"])["key"].to_pylist()
            except (pa.ArrowException, KeyError, OSError):
                path.unlink(missing_ok=True)
                continue
            self._add_shard(path, keys, None)

    def has(self, key: str) -> bool:
        """Whether a row is there, in a shard that is as it was written."""
        if key not in self._places:
            return False
        number, _ = self._places[key]
        if self._is_sound[number] is None:
            self._is_sound[number] = self._check(self._shards[number])
        return bool(self._is_sound[number])

    def add(self, keys: list[str], features: Features, thumbnails: list[bytes]) -> None:
        """Keeps rows, on disk as soon as they make a shard."""
        self._new.append((keys, features, thumbnails))
        if sum(len(new[0]) for new in self._new) >= SHARD_SIZE:
            self.write()

    def write(self) -> None:
        """Writes what is not on disk yet: under a temporary name, then renamed."""
        if not self._new:
            return
        keys = [key for new in self._new for key in new[0]]
        features = Features.concatenate([new[1] for new in self._new])
        table = pa.table(
            {
                "key": keys,
                **{name: [row.tobytes() for row in getattr(features, name).astype(np.float16)] for name in PARTS},
                "thumbnail": [jpeg for new in self._new for jpeg in new[2]],
            }
        )
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".tmp", delete=False) as file:
            pq.write_table(table, file, compression="none")
        path = self._folder / f"{_sha256(Path(file.name))}.parquet"
        Path(file.name).replace(path)
        self._add_shard(path, keys, True)
        self._new = []

    def features(self, keys: list[str]) -> Features:
        """The features of photos, float16: shard after shard, into one array of each part."""
        places = np.array([self._places[key] for key in keys])
        parts: dict[str, np.ndarray] = {}
        for number in np.unique(places[:, 0]).tolist():
            rows = np.flatnonzero(places[:, 0] == number)
            shard = pq.read_table(self._shards[number], columns=list(PARTS))
            for name in PARTS:
                values = np.stack([np.frombuffer(row, np.float16) for row in shard[name].to_pylist()])
                if name not in parts:
                    parts[name] = np.empty((len(keys), values.shape[1]), np.float16)
                parts[name][rows] = values[places[rows, 1]]
        return Features(**parts)

    def thumbnails(self, keys: list[str]) -> BytesColumn:
        """The thumbnails of photos."""
        places = np.array([self._places[key] for key in keys], np.int32)
        return BytesColumn("thumbnail", [(path, 0) for path in self._shards], places)

    def _add_shard(self, path: Path, keys: list[str], is_sound: bool | None) -> None:
        number = len(self._shards)
        self._shards.append(path)
        self._is_sound.append(is_sound)
        self._places.update((key, (number, row)) for row, key in enumerate(keys))

    @staticmethod
    def _check(path: Path) -> bool:
        try:
            if _sha256(path) == path.stem:
                return True
        except OSError:
            pass  # as good as damaged
        path.unlink(missing_ok=True)
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
