"""What was extracted of photos, kept on disk by the content of their files.

Rows lie in shards, parquet files that are named by the sha256 of their content. A shard that was damaged, or is of
another layout, is not believed: it costs its photos' embedding again, nothing else. Only the keys and the rows that are
asked for are read.

Legend: n photos asked for, d numbers in an embedding, c in a color descriptor, l of a color network.
"""

import atexit
import hashlib
import io
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cbir.columns import BytesColumn
from cbir.features import Features
from cbir.features.backbone import BATCH_SIZE, Backbone
from cbir.features.color_descriptor import COLOR_DIM, COLOR_VERSION
from cbir.files import CacheFolder, reason

LAYOUT = 3  # to be raised whenever the columns below change
SHARD_SIZE = 4 * BATCH_SIZE  # photos between two writes: what a killed run loses at most
PARTS = ("embedding", "color", "learned")  # columns of features, float16
_SCHEMA = pa.schema([("key", pa.string()), *((name, pa.binary()) for name in (*PARTS, "thumbnail"))])

log = logging.getLogger(__name__)


class FeatureCache:
    """Extracted rows of one backbone, by the sha256 of the photo's file."""

    def __init__(self, backbone: Backbone) -> None:
        name = f"{backbone.name}-{backbone.fingerprint[:12]}-color{COLOR_VERSION}-layout{LAYOUT}"
        learned = backbone.color_network.dim if backbone.color_network else 0
        self._lengths = dict(zip(PARTS, (backbone.dim, COLOR_DIM, learned), strict=True))
        self._folder = CacheFolder("features", name)
        self._temporary: Path | None = None  # where this user may not write there
        self._shards: list[Path] = []
        self._is_sound: list[bool | None] = []  # None: not checked yet
        self._places: dict[str, tuple[int, int]] = {}  # shard and row of each key
        self._others: dict[str, list[tuple[int, int]]] = {}  # the same, of keys that stand in several shards
        self._new: list[tuple[list[str], Features, list[bytes]]] = []
        for path in self._folder.files("*.parquet"):
            try:
                keys = pq.read_table(path, columns=["key"])["key"].to_pylist()
            except (pa.ArrowException, KeyError, ValueError, OSError) as error:
                _tell_of(path, error)
                continue
            self._add_shard(path, keys, None)

    def has(self, key: str) -> bool:
        """Whether a row is there, in a shard that is as it was written."""
        while key in self._places:
            number, _ = self._places[key]
            if self._is_sound[number] is None:
                self._is_sound[number] = self._check(self._shards[number])
            if self._is_sound[number]:
                return True
            del self._places[key]
            if others := self._others.get(key):
                self._places[key] = others.pop()
        return False

    def add(self, keys: list[str], features: Features, thumbnails: list[bytes]) -> None:
        """Keeps rows, on disk as soon as they make a shard.

        Raises:
            CbirError: the disk is full, or cannot be written to for another reason.
        """
        self._new.append((keys, features, thumbnails))
        if sum(len(new[0]) for new in self._new) >= SHARD_SIZE:
            self.write()

    def write(self) -> None:
        """Writes what is not on disk yet; errors as in `add`."""
        if not self._new:
            return
        keys = [key for new in self._new for key in new[0]]
        features = Features.concatenate([new[1] for new in self._new])
        parts = {name: [row.tobytes() for row in getattr(features, name).astype(np.float16)] for name in PARTS}
        thumbnails = [jpeg for new in self._new for jpeg in new[2]]
        file = io.BytesIO()
        pq.write_table(pa.table({"key": keys, **parts, "thumbnail": thumbnails}, _SCHEMA), file, compression="none")
        self._add_shard(self._write(file.getvalue()), keys, True)
        self._new = []

    def features(self, keys: list[str]) -> Features:
        """The features of photos, float16: shard after shard, into one array of each part."""
        places = np.array([self._places[key] for key in keys])
        parts = {name: np.empty((len(keys), length), np.float16) for name, length in self._lengths.items()}
        for number in np.unique(places[:, 0]).tolist():
            rows = np.flatnonzero(places[:, 0] == number)
            shard = pq.read_table(self._shards[number], columns=list(PARTS))
            for name in PARTS:
                values = np.stack([np.frombuffer(row, np.float16) for row in shard[name].to_pylist()])
                parts[name][rows] = values[places[rows, 1]]
        return Features(**parts)

    def thumbnails(self, keys: list[str]) -> BytesColumn:
        """The thumbnails of photos."""
        places = np.array([self._places[key] for key in keys], np.int32)
        return BytesColumn("thumbnail", [(path, 0) for path in self._shards], places)

    def _add_shard(self, path: Path, keys: Sequence[str], is_sound: bool | None) -> None:
        number = len(self._shards)
        self._shards.append(path)
        self._is_sound.append(is_sound)
        for row, key in enumerate(keys):
            if key in self._places:
                self._others.setdefault(key, []).append((number, row))
            else:
                self._places[key] = number, row

    def _write(self, data: bytes) -> Path:
        name = f"{hashlib.sha256(data).hexdigest()}.parquet"
        path = self._folder.write(name, lambda path: path.write_bytes(data))
        if path is not None:
            return path
        if self._temporary is None:
            log.warning("features are not kept: %s is another user's; set CBIR_CACHE", self._folder.places[0])
            self._temporary = Path(tempfile.mkdtemp(prefix="cbir-features-"))
            atexit.register(shutil.rmtree, self._temporary, ignore_errors=True)  # thumbnails are read from there
        path = self._temporary / name
        path.write_bytes(data)
        return path

    def _check(self, path: Path) -> bool:
        try:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != path.stem:
                raise ValueError("it is damaged")
            table = pq.ParquetFile(pa.BufferReader(data)).read()
            if not table.schema.equals(_SCHEMA) or table.num_rows == 0 or any(c.null_count for c in table.columns):
                raise ValueError("it is of another layout")
            for name, length in self._lengths.items():
                if set(pc.unique(pc.binary_length(table[name])).to_pylist()) != {2 * length}:
                    raise ValueError(f"it has another length of {name}")
        except (pa.ArrowException, ValueError, OSError) as error:
            _tell_of(path, error)
            return False
        return True


def _tell_of(path: Path, error: Exception) -> None:
    why = reason(error) if isinstance(error, OSError) else str(error).splitlines()[0]
    log.warning("a file of the cache is not used, its photos are embedded again (%s): %s", why, path)
