"""Embedded photos as a folder of parquet files: what `train.embed` writes; training, bundles and Milvus read it.

    *.parquet   id, type, color, embedding (d), color_descriptor (c) and, of a color network, learned (l), float16;
                thumbnail (JPEG); error: why a photo could not be read, else ""; the backbone in the metadata

Every file is whole, since it gets its name when it is written: a job that is killed leaves some of them, and goes on
with the others. Nothing else tells what is there.

Legend: n photos of a file, d numbers in an embedding, c in a color descriptor, l of a color network.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cbir.columns import BytesColumn
from cbir.errors import DataError
from cbir.features import Features
from cbir.features.backbone import BackboneInfo
from cbir.features.color_descriptor import COLOR_VERSION
from cbir.features.index import IndexedPhotos
from cbir.files import replacing
from cbir.gallery import Gallery
from cbir.labels import LABELS
from cbir.storage import build, flatten

FORMAT = b"apparel-cbir-embedded"  # key of our entry in the files' metadata
VERSION = 1
GROUP = 128  # photos in a row group: what is read at once of the thumbnails
COLUMNS = {"embedding": "embedding", "color": "color_descriptor", "learned": "learned"}  # of the parts of features


@dataclass(frozen=True)
class EmbeddedInfo:
    """What made the files of a folder.

    Attributes:
        source: of the photos: a folder, a zip, or a dataset on the Hub with its commit.
        backbone: embedded them.
        color_version: of the color descriptor.
        version: of this layout.
    """

    source: str
    backbone: BackboneInfo
    color_version: int = COLOR_VERSION
    version: int = VERSION


def is_embedded(folder: Path) -> bool:
    """Whether a folder holds embedded photos."""
    return folder.is_dir() and any(_info(path) is not None for path in embedded_files(folder)[:1])


def embedded_files(folder: Path) -> list[Path]:
    """The files of a folder, in order of their names."""
    return sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))


def write_embedded(
    path: Path, photos: IndexedPhotos, labels: Mapping[str, Mapping[str, str]], info: EmbeddedInfo
) -> None:
    """Writes a file.

    Args:
        path: of the file; its folder exists.
        photos: what came of n photos.
        labels: for each of `LABELS` the value for each id, "" where unknown.
        info: what made them.
    """
    ids = photos.ids.tolist()
    unreadable = sorted(photos.unreadable)
    gone = len(unreadable)
    columns: dict[str, pa.Array] = {"id": pa.array([*ids, *unreadable], pa.string())}
    for name in LABELS:
        columns[name] = pa.array([labels[name][id] for id in [*ids, *unreadable]], pa.string())
    for part in fields(Features):
        array = np.ascontiguousarray(getattr(photos.features, part.name), np.float16)
        if array.shape[1]:
            numbers = pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array.shape[1])
            columns[COLUMNS[part.name]] = pa.concat_arrays([numbers, pa.nulls(gone, numbers.type)])
    columns["thumbnail"] = pa.array([*photos.thumbnails, *[None] * gone], pa.binary())
    columns["error"] = pa.array([*[""] * len(ids), *(photos.unreadable[id] for id in unreadable)], pa.string())
    table = pa.table(columns).replace_schema_metadata({FORMAT: json.dumps(flatten(info).json)})
    with replacing(path) as new:
        pq.write_table(table, new, row_group_size=GROUP)


def read_info(folder: Path) -> EmbeddedInfo:
    """What made the files of a folder.

    Raises:
        DataError: there are none, or one of them was made by something else than the others.
    """
    files = embedded_files(folder)
    if not files:
        raise DataError(f"expected embedded photos in {str(folder)!r}, but it has no *.parquet: run train.embed first")
    infos = {path: _info(path) for path in files}
    first = infos[files[0]]
    for path, info in infos.items():
        if info is None or first is None:
            raise DataError(f"expected embedded photos, but {str(path)!r} was not written by train.embed: move it away")
        made = info.version, info.color_version, info.backbone.fingerprint
        if made != (VERSION, COLOR_VERSION, first.backbone.fingerprint):
            raise DataError(
                f"expected files by one backbone and this version, but {str(path)!r} is by another: embed it again"
            )
    assert first is not None
    return first


def read_ids(folder: Path) -> set[str]:
    """Ids of all photos of a folder, unreadable ones included."""
    return {id for path in embedded_files(folder) for id in _table(path, ["id"])["id"].to_pylist()}


def count_embedded(folder: Path) -> int:
    """The number of photos in a folder, unreadable ones included."""
    return sum(pq.read_metadata(path).num_rows for path in embedded_files(folder))


def read_galleries(folder: Path) -> Iterator[tuple[Gallery | None, dict[str, str]]]:
    """Reads a folder file by file.

    Yields:
        The photos of a file, in no split, or None where none of them could be read; and for every other photo its id
        and why it could not be read.

    Raises:
        DataError: a file is damaged, or as in `read_info`.
    """
    read_info(folder)
    for path in embedded_files(folder):
        names = pq.read_schema(path).names
        table = _table(path, [name for name in names if name != "thumbnail"])
        is_read = pc.equal(table["error"], "")
        others = table.filter(pc.invert(is_read))
        unreadable = dict(zip(others["id"].to_pylist(), others["error"].to_pylist(), strict=True))
        thumbnails = BytesColumn.of_file(path, "thumbnail").take(np.flatnonzero(is_read.to_numpy()))
        yield _gallery(table.filter(is_read), thumbnails), unreadable


def read_gallery(folder: Path) -> tuple[Gallery, dict[str, str]]:
    """Reads a whole folder: the photos in order of their ids, and why the others could not be read, by id.

    Raises:
        DataError: there are none, or as in `read_galleries`.
        BundleError: an id comes twice.
    """
    galleries: list[Gallery] = []
    unreadable: dict[str, str] = {}
    for gallery, others in read_galleries(folder):
        unreadable |= others
        if gallery is not None:
            galleries.append(gallery)
    if not galleries:
        raise DataError(f"expected embedded photos in {str(folder)!r}, but none of them could be read")
    joined = Gallery.concatenate(galleries)
    return joined.take(np.argsort(joined.ids)), unreadable


def _gallery(table: pa.Table, thumbnails: BytesColumn) -> Gallery | None:
    if not table.num_rows:
        return None
    parts = {name: _numbers(table[column]) for name, column in COLUMNS.items() if column in table.column_names}
    return Gallery(
        np.array(table["id"].to_pylist()),
        {name: np.array(table[name].to_pylist(), dtype=str) for name in LABELS},
        Features(**parts),
        thumbnails,
        np.full(table.num_rows, "", dtype="<U5"),
    )


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A column of n lists of d numbers: (n, d) float16."""
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)


def _info(path: Path) -> EmbeddedInfo | None:
    """What made a file; None for one that `train.embed` did not write."""
    try:
        metadata = pq.read_schema(path).metadata or {}
        return build(EmbeddedInfo, json.loads(metadata[FORMAT])) if FORMAT in metadata else None
    except (pa.ArrowException, ValueError, OSError) as error:
        raise DataError(f"{str(path)!r} cannot be read ({error}): remove it, and run train.embed again") from error


def _table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{str(path)!r} cannot be read ({error}): remove it, and run train.embed again") from error
